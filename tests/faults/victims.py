"""The meter of each cell, how it is configured, and what it showed at which time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from dlms_connector.obis import Obis
from dlms_connector.reading import Reading
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.encoding.data import (
    Data,
    array,
    enum,
    i8,
    octets,
    structure,
    u16,
    u32,
)
from dlms_connector.simulator.objects.cosem_object import CosemObject, logical_name
from dlms_connector.simulator.serving.notification import PUSH_SETUP
from tests.faults.cells import Cell

#: Unix time at which the loop's clock shows 0: a quarter of an hour begins.
EPOCH = 1_790_000_100
PERIOD_S = 60.0
TIMEOUT_S = 5.0
PROFILE = "1-0:99.1.0"
HERE = "127.0.0.1"
_TEXT, _VISIBLE_STRING, _REGISTER, _DATA = "0-0:96.13.0", 10, 3, 1
_REGISTERS = ("1-0:21.8.0", "1-0:41.8.0", "1-0:61.8.0")
_PUSHED = "1-0:3.7.0"
#: Logical and physical address 1, in HDLC.
_FIRST_STATION = b"\x02\x03"
_CLOCK = "0-0:1.0.0"
_ALL = (*_REGISTERS, _PUSHED)
_SCALER, _WH = -2, 30
#: A value is of the poll if the meter held it at most so long before it arrived.
_WINDOW_S = 35
_SPREAD = 100_000
_PASSWORD = "secret of 16 byt"
_SMALL_PDU = 128


def to_it(framing: str) -> Callable[[bytes], bool]:
    """Return what tells whether a frame goes to the first meter of a line."""
    if framing == "HDLC":
        return lambda octets: octets[3:5] == _FIRST_STATION
    return lambda octets: octets[4:6] == b"\x00\x01"


def make_meter(cell: Cell, serial: int, now: Any, *, place: int = 1) -> Meter:
    """Return a meter whose values change every second, and are those of no other object."""
    ciphered = cell.security == "ciphered"
    meter = Meter(
        MeterOptions(
            framing="HDLC" if cell.framing == "HDLC" else "WRAPPER",
            serial=serial,
            client_address=1,
            physical_address=place if cell.framing == "HDLC" else 1,
            logical_address=1 if cell.framing == "HDLC" else place,
            authentication=_authentication(cell),
            password=_PASSWORD.encode(),
            security="AUTHENTICATION_ENCRYPTION" if ciphered else "NONE",
            block_cipher_key=_key(serial),
            now=lambda: EPOCH + now(),
            monotonic=now,
        )
    )
    objects = dict(meter.objects)
    for index, text in enumerate(_ALL):
        source = _register(serial, index)
        objects[_REGISTER, logical_name(text)] = CosemObject(
            _REGISTER, logical_name(text), {2: source, 3: structure(i8(_SCALER), enum(_WH))}
        )
    objects[_DATA, logical_name(_TEXT)] = CosemObject(_DATA, logical_name(_TEXT), {2: _text})
    listed = ((8, "0-0:1.0.0"), (1, "0-0:42.0.0"), (_REGISTER, _PUSHED))
    fields = (
        structure(u16(number), octets(logical_name(text)), i8(2), u16(0)) for number, text in listed
    )
    setup = objects[40, PUSH_SETUP]
    objects[40, PUSH_SETUP] = replace(setup, attributes={**setup.attributes, 2: array(*fields)})
    meter._objects = objects
    return meter


def configured(cell: Cell, name: str, serial: int, port: int, meter: Meter) -> dict[str, Any]:
    """Return the device of a cell, as a user configures it."""
    options = meter.options
    dlms = {
        **_credentials(cell, serial),
        "interfaceType": cell.framing,
        "clientAddress": 1,
        "logicalAddress": options.logical_address,
        **({"physicalAddress": options.physical_address} if cell.framing == "HDLC" else {}),
    }
    if cell.stage == "push":
        title = {"systemTitle": meter.options.title().hex()}
        text = {"logicalDeviceName": meter.value(1, logical_name("0-0:42.0.0"), 2).value.decode()}
        return {
            "deviceName": name,
            "connection": {"type": "push"},
            "dlms": dlms,
            "push": {
                **(text if cell.security == "plain" else title),
                "layouts": [{"objects": _LAYOUT}],
            },
            "timeseries": [{"key": "energy", "obis": _PUSHED}],
        }
    return {
        "deviceName": name,
        "connection": {
            "host": HERE,
            "port": port,
            "timeoutMs": round(TIMEOUT_S * 1000),
            "connectTimeoutMs": round(TIMEOUT_S * 1000),
            "retries": 1,
            "keepOpen": "auto" if cell.stage in _WITHIN else False,
        },
        "dlms": dlms,
        "push": {"layouts": [{"objects": _LAYOUT}]},
        "pollPeriod": round(PERIOD_S * 1000),
        "timeseries": _items(cell),
        "workarounds": {"maxPdu": _SMALL_PDU} if cell.stage == "block" else {},
    }


#: Stages within an association, which is kept open from poll to poll.
_WITHIN = ("read", "list", "block", "profile")

_LAYOUT = [
    {"obis": "0-0:1.0.0", "class": "clock"},
    {"obis": "0-0:42.0.0", "class": "data"},
    {"obis": _PUSHED, "scaler": _SCALER, "unit": "Wh"},
]


def keys_of(cell: Cell) -> set[str]:
    """Return the keys of the values that each poll, or each push, has to give."""
    return {"energy"} if cell.stage == "push" else {item["key"] for item in _items(cell)}


def _items(cell: Cell) -> list[dict[str, Any]]:
    if cell.stage == "block":
        return [{"key": "message", "obis": _TEXT, "class": "data"}]
    count = len(_REGISTERS) if cell.stage == "list" else 1
    return [{"key": f"energy{obis}", "obis": obis} for obis in _REGISTERS[:count]]


def _authentication(cell: Cell) -> Any:
    if cell.security == "ciphered":
        return "HIGH_GMAC"
    return "HIGH_SHA256" if cell.stage == "prove" else "LOW"


def _credentials(cell: Cell, serial: int) -> dict[str, Any]:
    section: dict[str, Any] = {
        "authentication": _authentication(cell),
        "password": _PASSWORD,
        "systemTitle": "4142430000000001",
    }
    if cell.security == "ciphered":
        section |= {
            "security": "AUTHENTICATION_ENCRYPTION",
            "blockCipherKey": f"hex:{_key(serial).hex()}",
            "authenticationKey": f"hex:{MeterOptions().authentication_key.hex()}",
        }
    if cell.stage == "push":
        del section["password"], section["authentication"], section["systemTitle"]
    return section


def _key(serial: int) -> bytes:
    """Each meter has a key of its own."""
    return serial.to_bytes(16, "little")


def _raw(serial: int, index: int, at: float) -> int:
    """Return what a register holds at a time: it tells whose it is, and since when."""
    return (index + 1) * 100_000_000 + serial % 1000 * _SPREAD + int(at - EPOCH)


def _register(serial: int, index: int) -> Any:
    return lambda meter: u32(_raw(serial, index, meter.true_time()))


def _text(meter: Any) -> Data:
    line = f"{meter.options.serial} at {int(meter.true_time() - EPOCH)};"
    return Data(_VISIBLE_STRING, (line * 40).encode())


def wrong(reading: Reading, serial: int) -> str:
    """Return what is wrong with a reading; "" if the meter held this value at that instant."""
    end = reading.ts_ms / 1000
    if str(reading.obis) == str(Obis.parse(_TEXT)):
        return _wrong_text(str(reading.value), serial, end)
    names = [str(Obis.parse(name)) for name in _ALL]
    if str(reading.obis) not in names:
        return ""  # the clock and the name of the device, in a notification
    index = names.index(str(reading.obis))
    least, most = (_raw(serial, index, at) for at in (end - _WINDOW_S, end + 1))
    raw = Decimal(str(reading.value)).scaleb(-_SCALER)
    if not least <= raw <= most:
        return f"{reading.key} is {reading.value}, raw {raw} and not {least} to {most}"
    return ""


def _wrong_text(text: str, serial: int, end: float) -> str:
    found = re.fullmatch(r"(?:(\d+) at (\d+);)+", text)
    if not found or text != f"{found[1]} at {found[2]};" * 40 or int(found[1]) != serial:
        return f"the text {text[:60]!r}"
    age = end - EPOCH - int(found[2])
    return "" if -1 <= age <= _WINDOW_S else f"a text of {age:.0f} s before"


def rows(meter: Meter) -> list[tuple[float, dict[str, int]]]:
    """Return the rows of the load profile as the meter holds them."""
    table = meter.objects[7, logical_name(PROFILE)].table
    assert table is not None
    names = [str(Obis(name)) for _, name, _, _ in table.columns]
    return [
        (
            at,
            {
                name: data.value
                for name, data in zip(names, table.row(meter, at), strict=True)
                if name != _CLOCK
            },
        )
        for at in table.times(meter)[-4:]
    ]
