"""Date-times in the forms that meters use beside the 12 octets of the standard.

With tag and length before them, once or twice; with two decimal digits in each octet (BCD); and
as text, such as `2026-06-01 12:00:00` or `20260601120000`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

from dlms_connector.protocol.data.cosem_time import UNSPECIFIED, Date, DateTime, Time

_DATE_TIME, _DATE, _TIME = 12, 5, 4
#: Tags (and lengths) that some meters write into a string before date-time, date and time.
_TAGS: Mapping[bytes, int] = {
    b"\x09\x0c": _DATE_TIME,
    b"\x0a\x0c": _DATE_TIME,
    b"\x09\x0e": _DATE_TIME + 2,
    b"\x09\x0d": _DATE_TIME + 1,
    b"\x09\x05": _DATE,
    b"\x09\x04": _TIME,
    b"\x19": _DATE_TIME,
    b"\x1a": _DATE,
    b"\x1b": _TIME,
}
#: The first octet of years 19xx and 20xx in BCD: as a number it is a year after 6399.
_BCD_CENTURIES = (0x19, 0x20)
_BCD_OCTETS = 9
_TEXT = re.compile(
    rb"(\d{4})([-/.]?)(\d\d)\2(\d\d)[ T]?(\d\d):?(\d\d)(?::?(\d\d))?(?:\.(\d\d)\d*)?"
    rb"(Z|[+-]\d\d:?\d\d)?"
)


def unwrapped(octets: bytes) -> bytes:
    """Remove tag and length that some meters write into the string before a date or time."""
    for tag, size in _TAGS.items():
        if octets.startswith(tag) and len(octets) == len(tag) + size:
            return unwrapped(octets[len(tag) :])
    return octets


def date_time_of(octets: bytes) -> DateTime | None:
    """Return the date-time in octets, None if they hold none; it may be one that cannot exist."""
    octets = unwrapped(octets)
    binary = DateTime.parse(octets) if len(octets) == _DATE_TIME else None
    if binary is not None and octets[0] in _BCD_CENTURIES:
        return _from_bcd(octets) or binary
    if binary is not None and binary.exists:
        return binary
    return _from_text(octets.rstrip(b"\0 ")) or binary


def _from_bcd(octets: bytes) -> DateTime | None:
    """Read octets of two decimal digits each; deviation and status are numbers there too."""
    numbers = [_digits(octet) for octet in octets[:_BCD_OCTETS]]
    if any(number is None for number in numbers):
        return None
    century, year, *others = (number or 0 for number in numbers)
    plain = (100 * century + year).to_bytes(2, "big") + bytes(others) + octets[_BCD_OCTETS:]
    found = replace(DateTime.parse(plain), unusual=True)
    return found if found.exists else None


def _digits(octet: int) -> int | None:
    if octet == UNSPECIFIED:
        return octet
    tens, ones = divmod(octet, 16)
    return 10 * tens + ones if max(tens, ones) <= 9 else None


def _from_text(text: bytes) -> DateTime | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    year, _, *parts, zone = match.groups()
    month, day, hour, minute, second, hundredths = (int(part) if part else None for part in parts)
    date, time = Date(int(year), month, day, None), Time(hour, minute, second, hundredths)
    if zone is None:
        return DateTime(date, time, None, None)
    return _in_utc(DateTime(date, time, 0, None), zone)


def _in_utc(local: DateTime, zone: bytes) -> DateTime | None:
    """Return a time with an offset in UTC: the sign of a deviation depends on the standard."""
    moment = local.instant(None)
    if moment is None:
        return None
    try:
        offset = datetime.strptime(zone.decode(), "%z").tzinfo
        utc = moment.replace(tzinfo=offset).astimezone(timezone.utc)
    except (ValueError, OverflowError):  # an offset of 80 minutes, a time before the first year
        return None
    day, hundredths = utc.date(), utc.microsecond // 10_000
    return DateTime(
        Date(day.year, day.month, day.day, None),
        Time(utc.hour, utc.minute, utc.second, hundredths),
        0,
        None,
    )
