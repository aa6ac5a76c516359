"""A cell as the configuration of a device, and as the options of the meter it meets."""

from __future__ import annotations

from typing import Any

from dlms_connector.simulator import MeterOptions
from dlms_connector.simulator.options import EXAMPLE_KEY_256, SN_SERVICES
from dlms_connector.simulator.security.example_keys import (
    client_key,
    meter_key,
    private_octets,
    public_octets,
)
from tests.matrix.cells import DEDICATED, Cell
from tests.support.meeting import NOW

#: The meters on a line, one of them where the line is its own.
LINES = ("tcp line", "serial line")
KINDS = {"dial-in": "listen", "tcp": "tcp", "tcp line": "tcp", "udp": "udp"}
#: Logical and physical address of the first meter, and what one more adds to them.
_ADDRESSES = {
    "HDLC/1": ((1, 0), (1, 0)),
    "HDLC/2": ((1, 17), (0, 1)),
    "HDLC/4": ((1, 1000), (0, 1)),
    "WRAPPER": ((1, 1), (1, 0)),
}
SMALL_PDU = 128
PASSWORD = "secret of 16 byt"
TEXT = "; ".join(f"line {number:02} of a message" for number in range(20))
_KEYS = {
    suite: (bytes(EXAMPLE_KEY_256), bytes(reversed(EXAMPLE_KEY_256)))
    if suite == "2"
    else (EXAMPLE_KEY_256[:16], EXAMPLE_KEY_256[16:])
    for suite in "012"
}
#: The last counter that the meter saw of us: without reading it we would be refused.
_COUNTER = 41_000

ITEMS = [
    {"key": "energy", "obis": "1-0:1.8.0"},
    {"key": "voltage", "obis": "1-0:32.7.0"},
    {"key": "message", "obis": "0-0:96.13.0", "class": "data"},
]


def _number(type_: str, value: int) -> dict[str, Any]:
    return {"type": type_, "value": value}


def _scaled(type_: str, value: int, scaler: int, unit: int) -> dict[str, Any]:
    pair = [_number("integer", scaler), _number("enum", unit)]
    return {
        "class": "register",
        "attributes": {"2": _number(type_, value), "3": {"type": "structure", "value": pair}},
    }


def _data(value: dict[str, Any]) -> dict[str, Any]:
    return {"class": "data", "attributes": {"2": value}, "writable": [2]}


def objects(serial: int) -> dict[str, Any]:
    """Return what the meter shows, different for each meter."""
    return {
        "1-0:1.8.0": _scaled("double-long-unsigned", 23017 + 1000 * serial, -2, 30),
        "1-0:32.7.0": _scaled("long-unsigned", 2300 + serial, -1, 35),
        "0-0:96.13.0": _data({"type": "visible-string", "value": TEXT}),
        "0-0:96.50.0": _data(_number("long-unsigned", 5)),
        "0-0:96.51.0": _data(_number("double-long", 6)),
    }


def addresses(cell: Cell, index: int) -> tuple[int, int]:
    """Return the logical and physical address of a meter of the cell's line."""
    (logical, physical), (step, other_step) = _ADDRESSES[cell.framing]
    return logical + index * step, physical + index * other_step


def options(cell: Cell, index: int) -> MeterOptions:
    """Return what the meter is."""
    logical, physical = addresses(cell, index)
    block, authentication = _KEYS[cell.suite]
    wrapper = cell.framing == "WRAPPER"
    mode_e = cell.link == "serial mode E"
    without = {"multiple-references"} if cell.service == "get" else set()
    services = SN_SERVICES | {"general-protection"} if cell.referencing == "SN" else None
    suite: Any = int(cell.suite)
    named: Any = cell
    return MeterOptions(
        framing="WRAPPER" if wrapper else "HDLC_WITH_MODE_E" if mode_e else "HDLC",
        referencing=named.referencing,
        serial=index + 1,
        client_address=1,
        logical_address=logical,
        physical_address=physical,
        authentication=named.authentication,
        password=PASSWORD.encode(),
        security=named.security,
        security_suite=suite,
        block_cipher_key=block,
        authentication_key=authentication,
        invocation_counter=_COUNTER if _reads_counter(cell) else -1,
        signed_requests=cell.signing == "always",
        services=services,
        without=frozenset(without),
        max_pdu=SMALL_PDU if cell.service in ("set block", "action block") else 0xFFFF,
        hold_at=NOW,
        now=lambda: NOW,
        overrides=objects(index + 1),
    )


def device(cell: Cell, index: int, connection: dict[str, Any]) -> dict[str, Any]:
    """Return the device as a user configures it."""
    return {
        "deviceName": f"M{index + 1}",
        "connection": {**connection, "timeoutMs": 3000},
        "dlms": {**_addressing(cell, index), **_credentials(cell)},
        "pollPeriod": 100,
        "timeseries": ITEMS,
        "allowWrite": True,
        "workarounds": _workarounds(cell),
    }


def _addressing(cell: Cell, index: int) -> dict[str, Any]:
    logical, physical = addresses(cell, index)
    section: dict[str, Any] = {
        "referencing": cell.referencing,
        "clientAddress": 1,
        "logicalAddress": logical,
    }
    if cell.framing == "WRAPPER":
        return {**section, "interfaceType": "WRAPPER"}
    section |= {"physicalAddress": physical, "addressSize": int(cell.framing[-1])}
    if cell.link == "serial mode E":
        section["interfaceType"] = "HDLC_WITH_MODE_E"
    return section


def _credentials(cell: Cell) -> dict[str, Any]:
    block, authentication = (f"hex:{key.hex()}" for key in _KEYS[cell.suite])
    suite = int(cell.suite)
    section: dict[str, Any] = {
        "authentication": cell.authentication,
        "security": cell.security,
        "securitySuite": suite,
        "password": PASSWORD,
        "systemTitle": "4142430000000001",
    }
    if cell.security != "NONE" or cell.authentication == "HIGH_GMAC":
        section |= {"blockCipherKey": block, "authenticationKey": authentication}
    if _reads_counter(cell):
        section["invocationCounter"] = "0-0:43.1.0"
    if cell.ciphering in DEDICATED:
        section["dedicatedKey"] = block
    section["generalCiphering"] = cell.ciphering.startswith("general")
    if cell.authentication == "HIGH_ECDSA" or cell.signing != "never":
        section["signingKey"] = f"hex:{private_octets(client_key(suite)).hex()}"
        section["serverSigningKey"] = public_octets(meter_key(suite)).hex()
    return section


def _reads_counter(cell: Cell) -> bool:
    """Not in mode E, where it takes another sign-on of a second."""
    return cell.security != "NONE" and cell.link != "serial mode E"


def _workarounds(cell: Cell) -> dict[str, Any]:
    section: dict[str, Any] = {"sign": cell.signing}
    if cell.service == "get block":
        section["maxPdu"] = SMALL_PDU
    if cell.service == "ACCESS":
        section["useAccess"] = True
    return section
