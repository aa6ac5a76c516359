"""Instants as the 12 octets of a COSEM date-time (Blue Book, clause on date and time formats)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dlms_connector.simulator.encoding.data import DATE_TIME, OCTETS, Data, octets
from dlms_connector.simulator.objects.cosem_object import TYPE_UNMATCHED, AccessError
from dlms_connector.simulator.objects.view import MeterView

_UNSPECIFIED = -0x8000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SUMMER, _OCTOBER, _MARCH = 60, 10, 3
_SUMMER_FLAG, _RESERVED_BITS = 0x80, 0x70


def write(meter: MeterView, at: float, *, hundredths: bool = False) -> Data:
    """Return an instant in the meter's local time, with its deviation."""
    local = _EPOCH + timedelta(seconds=at, minutes=offset(meter, at))
    weekday, fraction = local.isoweekday(), local.microsecond // 10_000 if hundredths else 0
    if "wrong-weekday" in meter.faults:
        weekday, fraction = 0, 200
    return octets(
        local.year.to_bytes(2, "big")
        + bytes((local.month, local.day, weekday, local.hour, local.minute))
        + bytes((local.second, fraction))
        + _told_deviation(meter, at).to_bytes(2, "big", signed=True)
        + bytes((_status(meter, at),))
    )


def deviation(meter: MeterView) -> int:
    """Return the deviation in minutes, local time to UTC; some standards reverse the sign."""
    return meter.options.time_zone_sign * meter.options.utc_offset_minutes


def offset(meter: MeterView, at: float) -> int:
    """Return the minutes by which local time is ahead of UTC at an instant."""
    summer = "summer-time" in meter.faults and is_summer(at)
    return meter.options.utc_offset_minutes + (_SUMMER if summer else 0)


def is_summer(at: float) -> bool:
    """Whether it is summer time in Europe, which changes on last Sundays at 1:00 UTC."""
    year = datetime.fromtimestamp(at, timezone.utc).year
    return _last_sunday(year, _MARCH) <= at < _last_sunday(year, _OCTOBER)


def _last_sunday(year: int, month: int) -> float:
    last = datetime(year, month, 31, 1, tzinfo=timezone.utc)
    return (last - timedelta(days=last.isoweekday() % 7)).timestamp()


def _told_deviation(meter: MeterView, at: float) -> int:
    if "unspecified-deviation" in meter.faults:
        return _UNSPECIFIED
    if "impossible-deviation" in meter.faults:
        return -1
    return meter.options.time_zone_sign * offset(meter, at)


def _status(meter: MeterView, at: float) -> int:
    summer = "summer-time" in meter.faults and is_summer(at)
    reserved = _RESERVED_BITS if "undefined-status" in meter.faults else 0
    return (_SUMMER_FLAG if summer else 0) | reserved


def read(meter: MeterView, data: Data) -> float | None:
    """Return the instant of a date-time; None if its date is all wildcards. Raises AccessError."""
    if data.tag not in (OCTETS, DATE_TIME) or len(data.value) != 12:
        raise AccessError(TYPE_UNMATCHED)
    raw: bytes = data.value
    if raw[:5] == b"\xff" * 5:
        return None
    year, month, day = int.from_bytes(raw[:2], "big"), raw[2], raw[3]
    hour, minute, second, hundredth = (0 if octet == 0xFF else octet for octet in raw[5:9])
    off = int.from_bytes(raw[9:11], "big", signed=True)
    if off != _UNSPECIFIED and "no-deviation" in meter.faults:
        raise AccessError(TYPE_UNMATCHED)
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise AccessError(TYPE_UNMATCHED) from None
    hands = (local - _EPOCH).total_seconds() + hundredth / 100
    if off == _UNSPECIFIED:
        summer = "summer-time" in meter.faults and bool(raw[11] & _SUMMER_FLAG) and raw[11] != 0xFF
        return hands - (meter.options.utc_offset_minutes + (_SUMMER if summer else 0)) * 60
    return hands - meter.options.time_zone_sign * off * 60


def hands(meter: MeterView, data: Data) -> float | None:
    """Return a date-time's local fields in seconds, as a meter compares that knows no deviation."""
    at = read(meter, Data(data.tag, data.value[:9] + b"\x80\x00\x00"))
    return None if at is None else at + meter.options.utc_offset_minutes * 60
