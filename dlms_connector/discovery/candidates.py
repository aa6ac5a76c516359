"""The addresses to probe, the most likely ones first: bounded lists, no IO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from dlms_connector.config import DEFAULT_FORMULA, InterfaceType, preset
from dlms_connector.errors import ConfigError
from dlms_connector.protocol.datalink import evaluate_formula, server_address

Referencing = Literal["LN", "SN"]

#: Workarounds that a probe shows: DISC before SNRM, and the byte order of the wrapper header.
CLEAR_FIRST, BYTE_ORDER = "clearFirst", "wrapperByteOrder"
#: And that SNRM names its parameters: some meters hang up at one without, or are silent to it.
PARAMETERS = "windowReceive"

PUBLIC_CLIENT = 16
#: Client addresses met in the field, the public one first: management, the readers of
#: several countries, Kamstrup, pre-established.
CLIENTS = (PUBLIC_CLIENT, 1, 32, 48, 2, 19, 18, 102, 3)
#: Clients to try at every likely server if none answers the public client.
_SECOND_CLIENTS = (1, 32)

#: Broadcast addresses: every physical device accepts them and answers with its own address.
BROADCASTS = ((1, 0x7F, 2), (1, 0x3FFF, 4), (0, 0x7F, 1))
#: Logical address, physical address, and address size in octets. The most usual addresses
#: come first, then the broadcasts, then guesses.
_SERVERS = (
    (1, 1, 2),
    (0, 1, 1),
    *BROADCASTS,
    (1, 16, 2),
    (1, 17, 2),
    (0, 16, 1),
    (1, 1, 4),
    (1, 17, 4),
    (1, 16, 4),
    (0, 17, 1),
    (1, 35, 2),
    (0, 2, 1),
    (1, 2, 2),
)
#: How many of them are tried in a first round, before another framing is tried.
_FIRST_ROUND = 5
_FEW_SERVERS = 9
#: Server wPorts of the wrapper: 1 is the management logical device (IEC 62056-47).
_WPORTS = (1, 16, 17, 2, 0)
_SIZES = (1, 2, 4)
#: Baud rates of a serial line, the usual one first.
BAUDRATES = (9600, 19200, 2400, 4800, 38400, 115200, 57600, 1200)


class Server(NamedTuple):
    """A server address, and its size in octets on an HDLC line."""

    logical: int
    physical: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address to probe."""

    interface: InterfaceType
    client: int
    server: Server
    referencing: Referencing = "LN"
    #: The workarounds that the meter at this address needs, as keys and values.
    needs: tuple[tuple[str, Any], ...] = ()

    def needing(self, more: Mapping[str, Any]) -> Candidate:
        """Return it with more workarounds."""
        return replace(self, needs=tuple({**dict(self.needs), **more}.items()))

    def need(self, key: str) -> Any:
        """Return the value of a workaround; None if it is not needed."""
        return dict(self.needs).get(key)

    @property
    def is_hdlc(self) -> bool:
        """Whether the data link is HDLC, which is probed with SNRM."""
        return self.interface != "WRAPPER"

    @property
    def octets(self) -> bytes:
        """The server's address on an HDLC line. Raises ConfigError if it fits no size."""
        return server_address(*self.server)

    def __str__(self) -> str:
        logical, physical, size = self.server
        if not self.is_hdlc:
            names = " by short names" if self.referencing == "SN" else ""
            other = ", header in the other byte order" if self.need(BYTE_ORDER) else ""
            return f"client {self.client}, server wPort {logical}{names}{other}"
        form = "" if size is None else f" in {size} octet{'s' * (size > 1)}"
        more = ", SNRM with parameters" if self.need(PARAMETERS) else ""
        return f"client {self.client}, server {logical}/{physical}{form}{more}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user already knows; an empty tuple means unknown."""

    interfaces: tuple[InterfaceType, ...] = ()
    clients: tuple[int, ...] = ()
    servers: tuple[Server, ...] = ()
    preset: str | None = None
    serial_number: int | None = None


def preset_dlms(name: str | None) -> Mapping[str, Any]:
    """Return the section `dlms` of a preset, with its templates' keys. Raises KeyError."""
    if name is None:
        return {}
    values = preset.values(name)
    own = values.get("dlms") or {}
    return {**preset_dlms(values.get("template")), **own}


def hdlc(
    wanted: Wanted, *, quick: bool = False, interface: InterfaceType = "HDLC"
) -> Iterator[Candidate]:
    """Yield HDLC candidates without duplicates; with `quick` only those of the first round."""
    seen: set[tuple[int, bytes]] = set()
    for client, server in _quick_pairs(wanted) if quick else _pairs(wanted):
        candidate = Candidate(interface, client, server)
        with suppress(ConfigError):
            key = (client, candidate.octets)
            if key not in seen:
                seen.add(key)
                yield candidate


def wrapper(wanted: Wanted) -> Iterator[Candidate]:
    """Yield wrapper candidates without duplicates."""
    seen = set()
    for client, port in _port_pairs(wanted):
        if (client, port) not in seen:
            seen.add((client, port))
            yield Candidate("WRAPPER", client, Server(port))


def clients_first(wanted: Wanted) -> tuple[int, ...]:
    """Return the clients in the order in which they are tried."""
    if wanted.clients:
        return wanted.clients
    named = preset_dlms(wanted.preset).get("clientAddress")
    order = (PUBLIC_CLIENT, *((named,) if named else ()), *CLIENTS)
    return tuple(dict.fromkeys(order))


def _known_servers(wanted: Wanted) -> list[Server]:
    """Return the servers derived from the user's serial number and from the preset.

    Raises ConfigError for a serial number that gives no valid address.
    """
    dlms = preset_dlms(wanted.preset)
    logical = dlms.get("logicalAddress", 1)
    found = []
    if wanted.serial_number is not None:
        formula = dlms.get("serialNumberFormula") or DEFAULT_FORMULA
        physical = evaluate_formula(formula, wanted.serial_number)
        uppers = tuple(dict.fromkeys((logical, 1, 0)))
        found += [Server(upper, physical, size) for size in (None, 4) for upper in uppers]
    if "physicalAddress" in dlms:
        found.append(Server(logical, dlms["physicalAddress"], dlms.get("addressSize")))
    return found


def _sized(server: Server) -> Iterator[Server]:
    """Yield an address in every size if its size is not known, the shortest first."""
    if server.size is not None:
        yield server
        return
    yield from (Server(server.logical, server.physical, size) for size in _SIZES)


def _servers(wanted: Wanted) -> list[Server]:
    if wanted.servers:
        return [form for server in wanted.servers for form in _sized(server)]
    return [*_known_servers(wanted), *(Server(*each) for each in _SERVERS)]


def _quick_pairs(wanted: Wanted) -> Iterator[tuple[int, Server]]:
    servers = _servers(wanted)
    few = servers if wanted.servers else servers[: len(_known_servers(wanted)) + _FIRST_ROUND]
    clients = clients_first(wanted)
    yield from ((clients[0], server) for server in few)
    yield from ((client, few[0]) for client in clients[1:3])


def _pairs(wanted: Wanted) -> Iterator[tuple[int, Server]]:
    clients, servers = clients_first(wanted), _servers(wanted)
    few = servers[: len(servers) - len(_SERVERS) + _FEW_SERVERS] if not wanted.servers else servers
    yield from ((clients[0], server) for server in servers)
    if wanted.clients:
        yield from ((client, server) for client in clients[1:] for server in servers)
        return
    named = [client for client in clients[1:] if client not in CLIENTS[1:]]
    second = dict.fromkeys((*named, *_SECOND_CLIENTS))
    yield from ((client, server) for client in second for server in few)
    rest = [client for client in clients[1:] if client not in second]
    yield from ((client, server) for client in rest for server in few[:_FIRST_ROUND])


def _port_pairs(wanted: Wanted) -> Iterator[tuple[int, int]]:
    clients = clients_first(wanted)
    ports = [each.logical or each.physical for each in wanted.servers] or list(_WPORTS)
    if not wanted.servers and (own := preset_dlms(wanted.preset).get("logicalAddress")):
        ports = list(dict.fromkeys((own, *ports)))
    yield from ((client, ports[0]) for client in clients)
    for port in ports[1:]:
        yield from ((client, port) for client in (clients if wanted.clients else clients[:3]))
