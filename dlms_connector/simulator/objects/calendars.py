"""Tariff calendar and special days (classes 20 and 11)."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    OCTETS,
    UINT8,
    UINT16,
    Data,
    array,
    octets,
    structure,
    u8,
    u16,
)
from dlms_connector.simulator.objects.cosem_object import (
    TYPE_UNMATCHED,
    AccessError,
    CosemObject,
    logical_name,
)
from dlms_connector.simulator.objects.shape import fields
from dlms_connector.simulator.objects.view import MeterView

CALENDAR = logical_name("0-0:13.0.0")
SPECIAL_DAYS = logical_name("0-0:11.0.0")
_TARIFF_SCRIPTS = octets(logical_name("0-0:10.0.100"))
_WORKDAY, _HOLIDAY = 1, 2


def _season(name: bytes, start: str, week: bytes) -> Data:
    return structure(octets(name), octets(bytes.fromhex(start)), octets(week))


def _week(name: bytes, days: tuple[int, ...]) -> Data:
    return structure(octets(name), *(u8(day) for day in days))


def _day(number: int, *changes: tuple[int, int]) -> Data:
    actions = (
        structure(octets(bytes((hour, 0, 0, 0))), _TARIFF_SCRIPTS, u16(tariff))
        for hour, tariff in changes
    )
    return structure(u8(number), array(*actions))


def _activate(meter: MeterView, argument: Data) -> Data:
    for active in range(2, 6):
        meter.keep(20, CALENDAR, active, meter.value(20, CALENDAR, active + 4))
    return NOTHING


def _insert(meter: MeterView, argument: Data) -> Data:
    index, _, _ = fields(argument, UINT16, OCTETS, UINT8)
    others = _without(meter, index)
    meter.keep(11, SPECIAL_DAYS, 2, array(*others, argument))
    return NOTHING


def _delete(meter: MeterView, argument: Data) -> Data:
    if argument.tag != UINT16:
        raise AccessError(TYPE_UNMATCHED)
    meter.keep(11, SPECIAL_DAYS, 2, array(*_without(meter, argument.value)))
    return NOTHING


def _without(meter: MeterView, index: int) -> list[Data]:
    entries = meter.value(11, SPECIAL_DAYS, 2).value
    return [entry for entry in entries if entry.value[0].value != index]


def make_calendars() -> list[CosemObject]:
    """Make the calendar (day tariff from 6 to 22 h) and two special days."""
    tables = (
        array(
            _season(b"\x01", "FFFF0401FF000000008000FF", b"\x01"),
            _season(b"\x02", "FFFF0A01FF000000008000FF", b"\x01"),
        ),
        array(_week(b"\x01", (_WORKDAY,) * 7)),
        array(_day(_WORKDAY, (0, 2), (6, 1), (22, 2)), _day(_HOLIDAY, (0, 2))),
    )
    named = (octets(b"SUMMER"), *tables), (octets(b"WINTER"), *tables)
    attributes = {2 + index: value for index, value in enumerate(named[0] + named[1])}
    attributes[10] = octets(bytes.fromhex("FFFFFFFFFFFFFFFFFF8000FF"))
    holidays = array(
        structure(u16(1), octets(bytes.fromhex("FFFF0101FF")), u8(_HOLIDAY)),
        structure(u16(2), octets(bytes.fromhex("FFFF0C19FF")), u8(_HOLIDAY)),
    )
    return [
        CosemObject(
            20,
            CALENDAR,
            attributes,
            writable=dict.fromkeys(range(6, 11)),
            methods={1: _activate},
        ),
        CosemObject(
            11,
            SPECIAL_DAYS,
            {2: holidays},
            writable={2: None},
            methods={1: _insert, 2: _delete},
        ),
    ]
