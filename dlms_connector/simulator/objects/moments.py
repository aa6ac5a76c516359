"""Instants as the 12 octets of a COSEM date-time (Blue Book, clause on date and time formats)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dlms_connector.simulator.encoding.data import DATE_TIME, OCTETS, Data, octets
from dlms_connector.simulator.objects.cosem_object import TYPE_UNMATCHED, AccessError
from dlms_connector.simulator.objects.view import MeterView

_UNSPECIFIED = -0x8000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def write(meter: MeterView, at: float, *, hundredths: bool = False) -> Data:
    """Return an instant in the meter's local time, with its deviation."""
    minutes = meter.options.utc_offset_minutes
    local = _EPOCH + timedelta(seconds=at, minutes=minutes)
    return octets(
        local.year.to_bytes(2, "big")
        + bytes((local.month, local.day, local.isoweekday(), local.hour, local.minute))
        + bytes((local.second, local.microsecond // 10_000 if hundredths else 0))
        + deviation(meter).to_bytes(2, "big", signed=True)
        + b"\x00"
    )


def deviation(meter: MeterView) -> int:
    """Return the deviation in minutes, local time to UTC; some standards reverse the sign."""
    return meter.options.time_zone_sign * meter.options.utc_offset_minutes


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
    to_utc = (
        -meter.options.utc_offset_minutes
        if off == _UNSPECIFIED
        else -meter.options.time_zone_sign * off
    )
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise AccessError(TYPE_UNMATCHED) from None
    return (local - _EPOCH).total_seconds() + hundredth / 100 + to_utc * 60
