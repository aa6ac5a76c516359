"""The order of a search: which addresses are tried over which setting of the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dlms_connector.config import Connection, InterfaceType, SerialConnection, UdpConnection
from dlms_connector.discovery import candidates
from dlms_connector.discovery.candidates import Candidate, Wanted, preset_dlms

_MODE_E: InterfaceType = "HDLC_WITH_MODE_E"
_SIGNING_ON = frozenset({_MODE_E, "IEC_62056_21"})
#: How many addresses of each framing are tried first, where nothing is known of the meter.
_FIRST = 2
#: Addresses over the wrapper that are also greeted by short names.
_FEW_SHORT_NAMES = 3
#: Addresses over the wrapper that are also greeted with the other byte order in the header.
_FEW_SWAPPED = 3
#: Addresses over HDLC that are also asked by an SNRM with parameters.
_FEW_PROPOSING = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """The candidates for one setting of the line."""

    connection: Connection
    candidates: tuple[Candidate, ...]
    baudrate: int | None = None
    signs_on: bool = False


def stages(given: Connection, wanted: Wanted, *, all_baudrates: bool) -> Iterator[Stage]:
    """Yield the stages of a search, the most likely first."""
    if isinstance(given, SerialConnection):
        found = _serial(given, wanted, all_baudrates=all_baudrates)
    elif isinstance(given, UdpConnection):
        found = (Stage(given, part) for part in _datagrams(wanted))
    else:
        found = _tcp(given, wanted)
    return (stage for stage in found if stage.candidates or stage.signs_on)


def _datagrams(wanted: Wanted) -> Iterator[tuple[Candidate, ...]]:
    first, likely, rest = _wrapper(wanted)
    swapped = _swapped(wanted)
    yield from (first, swapped[:1], likely, _short_names(wanted), swapped[1:], rest)


def _tcp(given: Connection, wanted: Wanted) -> Iterator[Stage]:
    """Alternate between the framings: the first ones of each, the likely ones, the rest."""
    interfaces = wanted.interfaces or ("HDLC", "WRAPPER", "HDLC_WITH_MODE_E")
    hdlc: tuple[tuple[Candidate, ...], ...] = ((), (), ())
    wrapped = hdlc
    short: tuple[Candidate, ...] = ()
    swapped = proposing = short
    if "HDLC" in interfaces:
        hdlc, proposing = _hdlc(wanted), _proposing(wanted)
    if "WRAPPER" in interfaces:
        wrapped, short, swapped = _wrapper(wanted), _short_names(wanted), _swapped(wanted)
    preferred = preset_dlms(wanted.preset).get("interfaceType") == "WRAPPER"
    order = (wrapped, hdlc) if preferred else (hdlc, wrapped)
    for framing in order:
        yield Stage(given, framing[0])
    # One of these early: to the usual header such a meter is silent at any address.
    yield Stage(given, swapped[:1])
    for framing in order:
        yield Stage(given, framing[1])
    yield Stage(given, short)
    yield Stage(given, swapped[1:])
    yield Stage(given, proposing)
    if _SIGNING_ON.intersection(interfaces):
        yield _mode_e(given, wanted, interfaces)
    for framing in order:
        yield Stage(given, framing[2])


def _serial(given: SerialConnection, wanted: Wanted, *, all_baudrates: bool) -> Iterator[Stage]:
    interfaces = wanted.interfaces or ("HDLC", "HDLC_WITH_MODE_E")
    quick = tuple(candidates.hdlc(wanted, quick=True))
    if "HDLC" in interfaces:
        rates = candidates.BAUDRATES if all_baudrates else ()
        for rate in dict.fromkeys((given.baudrate, *rates)):
            yield Stage(given.model_copy(update={"baudrate": rate}), quick, rate)
    if _SIGNING_ON.intersection(interfaces):
        yield _mode_e(given, wanted, interfaces)
    if "HDLC" in interfaces:
        yield Stage(given, _proposing(wanted), given.baudrate)
        rest = tuple(_without(candidates.hdlc(wanted), quick))
        yield Stage(given, rest, given.baudrate)


def _hdlc(wanted: Wanted) -> tuple[tuple[Candidate, ...], ...]:
    quick = tuple(candidates.hdlc(wanted, quick=True))
    known = wanted.preset is not None or wanted.serial_number is not None or wanted.servers
    first = len(quick) if known else _FIRST
    rest = tuple(_without(candidates.hdlc(wanted), quick))
    return quick[:first], quick[first:], rest


def _wrapper(wanted: Wanted) -> tuple[tuple[Candidate, ...], ...]:
    """Return the first two clients, then every client and every wPort once, then the rest."""
    every = tuple(candidates.wrapper(wanted))
    if not every:
        return (), (), ()
    first = every[:_FIRST]
    place, client = every[0].server, every[0].client
    likely = tuple(one for one in every[_FIRST:] if one.server == place or one.client == client)
    return first, likely, tuple(one for one in every[_FIRST:] if one not in likely)


def _short_names(wanted: Wanted) -> tuple[Candidate, ...]:
    """Return a few addresses again by short names: some meters are silent to the other."""
    few = tuple(candidates.wrapper(wanted))[:_FEW_SHORT_NAMES]
    return tuple(replace(one, referencing="SN") for one in few)


def _swapped(wanted: Wanted) -> tuple[Candidate, ...]:
    """Return a few addresses again for meters that know headers in the other byte order only."""
    few = tuple(candidates.wrapper(wanted))[:_FEW_SWAPPED]
    return tuple(one.needing({candidates.BYTE_ORDER: "little"}) for one in few)


def _proposing(wanted: Wanted) -> tuple[Candidate, ...]:
    """Return a few addresses again for meters that hear only an SNRM with parameters."""
    few = tuple(candidates.hdlc(wanted, quick=True))[:_FEW_PROPOSING]
    return tuple(one.needing({candidates.PARAMETERS: 1}) for one in few)


def _mode_e(given: Connection, wanted: Wanted, interfaces: Sequence[str]) -> Stage:
    """Return the stage behind a sign-on; without addresses the meter is only read out."""
    if _MODE_E not in interfaces:
        return Stage(given, (), None, signs_on=True)
    every = candidates.hdlc(wanted, quick=not wanted.servers, interface=_MODE_E)
    return Stage(given, tuple(every), None, signs_on=True)


def _without(all_of: Iterable[Candidate], some: Sequence[Candidate]) -> Iterator[Candidate]:
    done = {(one.client, one.octets) for one in some}
    return (one for one in all_of if (one.client, one.octets) not in done)
