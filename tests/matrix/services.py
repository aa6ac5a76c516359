"""What a cell asks of its meter beside polls, and what shows that the meter was asked this way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.data import Data, DataType, structure
from dlms_connector.simulator import Meter
from dlms_connector.simulator.objects.cosem_object import logical_name
from tests.matrix.configured import TEXT
from tests.support.meeting import NOW, Meeting

PROFILE = "1-0:99.1.0"
_QUARTER_S = 900


async def _nothing_more(met: Meeting, meter: Meter, name: str) -> None:
    """The polls have shown it."""


async def _set(met: Meeting, meter: Meter, name: str) -> None:
    number = {"obis": "0-0:96.50.0", "class": "data", "value": 777}
    assert await met.call("writeObject", number, name) == {"result": 777}
    assert meter.value(1, logical_name("0-0:96.50.0"), 2).value == 777


async def _set_list(met: Meeting, meter: Meter, name: str) -> None:
    codes = ("0-0:96.50.0", "0-0:96.51.0")
    types = (DataType.LONG_UNSIGNED, DataType.DOUBLE_LONG)
    writes = [
        (AttributeRef(1, Obis.parse(code), 2), Data(type_, 700 + index))
        for index, (code, type_) in enumerate(zip(codes, types, strict=True))
    ]
    assert await met.ask(lambda client: client.set(writes), name) == [None, None]
    assert [meter.value(1, logical_name(code), 2).value for code in codes] == [700, 701]


async def _set_block(met: Meeting, meter: Meter, name: str) -> None:
    text = TEXT[::-1]
    message = {"obis": "0-0:96.13.0", "class": "data", "value": text}
    assert await met.call("writeObject", message, name) == {"result": text}
    assert meter.value(1, logical_name("0-0:96.13.0"), 2).value == text.encode()


async def _action(met: Meeting, meter: Meter, name: str) -> None:
    relay = {"obis": "0-0:96.3.10", "class": 70, "method": 1, "value": 0, "type": "int8"}
    assert await met.call("invokeMethod", relay, name) == {"result": None}
    assert meter.relay_state == 0


async def _action_block(met: Meeting, meter: Meter, name: str) -> None:
    """Initiate an image transfer with an identifier that is longer than a PDU."""
    switch = AttributeRef(18, Obis.parse("0-0:44.0.0"), 5)
    on = [(switch, Data(DataType.BOOLEAN, True))]
    assert await met.ask(lambda client: client.set(on), name) == [None]
    begin = MethodRef(18, Obis.parse("0-0:44.0.0"), 1)
    identifier = TEXT.encode()
    argument = structure(
        Data(DataType.OCTET_STRING, identifier), Data(DataType.DOUBLE_LONG_UNSIGNED, 1000)
    )
    await met.ask(lambda client: client.action(begin, argument), name)
    assert (meter.image.identifier, meter.image.size) == (identifier, 1000)


async def _range(met: Meeting, meter: Meter, name: str) -> None:
    last = NOW // _QUARTER_S * _QUARTER_S
    start, end = (_moment(last - back * _QUARTER_S) for back in (7, 4))
    answer = await met.call("readProfile", {"obis": PROFILE, "from": start, "to": end}, name)
    assert answer == {"result": rows(meter, -8, -4)}


async def _entry(met: Meeting, meter: Meter, name: str) -> None:
    answer = await met.call("readProfile", {"obis": PROFILE, "last": 3}, name)
    assert answer == {"result": rows(meter, -3, None)}


def rows(meter: Meter, first: int, beyond: int | None) -> list[dict[str, Any]]:
    """Return rows of the load profile as the meter itself knows them."""
    table = meter.objects[7, logical_name(PROFILE)].table
    assert table is not None
    names = [str(Obis(name)) for _, name, _, _ in table.columns]
    rows = []
    for at in table.times(meter)[first:beyond]:
        raw = dict(zip(names, table.row(meter, at), strict=True))
        rows.append(
            {
                "time": _moment(at),
                "0-0:96.10.1": raw["0-0:96.10.1"].value,
                # Hundredths of a watt-hour in the register; the others count watt-hours.
                "1-0:1.8.0": float(Decimal(raw["1-0:1.8.0"].value).scaleb(-2)),
                "1-0:2.8.0": raw["1-0:2.8.0"].value,
                "1-0:3.8.0": raw["1-0:3.8.0"].value,
            }
        )
    return rows


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat()


@dataclass(frozen=True)
class Service:
    """What to do, and what the meter has counted then, by the way of naming objects."""

    carry_out: Callable[[Meeting, Meter, str], Awaitable[None]]
    seen: Mapping[str, str]
    never: Mapping[str, str] | None = None


SERVICES = {
    "get": Service(
        _nothing_more,
        {"LN": "get", "SN": "read"},
        {"LN": "get-with-list", "SN": "read-with-list"},
    ),
    "get list": Service(_nothing_more, {"LN": "get-with-list", "SN": "read-with-list"}),
    "get block": Service(_nothing_more, {"LN": "get-next", "SN": "read-next"}),
    "set": Service(_set, {"LN": "set", "SN": "write"}),
    "set list": Service(_set_list, {"LN": "set-with-list", "SN": "write-with-list"}),
    "set block": Service(_set_block, {"LN": "set-block", "SN": "write-block"}),
    "action": Service(_action, {"LN": "action", "SN": "write"}),
    "action block": Service(_action_block, {"LN": "action-block", "SN": "write-block"}),
    "range": Service(_range, {"LN": "by-range", "SN": "by-range"}),
    "entry": Service(_entry, {"LN": "by-entry", "SN": "by-entry"}),
    "ACCESS": Service(_nothing_more, {"LN": "access"}, {"LN": "get-with-list"}),
}
