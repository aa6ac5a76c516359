"""Turn readable dates and times into the octets of COSEM (IEC 62056-6-2).

Text that `interpret` shows can be written back: stars stand for unspecified fields.
"""

from __future__ import annotations

import re
from collections.abc import Set
from datetime import date, datetime, timedelta

from dlms_connector.errors import CommandError
from dlms_connector.protocol.data import (
    DAYLIGHT_SAVING_BEGIN,
    DAYLIGHT_SAVING_END,
    LAST_DAY,
    SECOND_LAST_DAY,
    UNSPECIFIED,
    encode_date_time,
)

_DATE = re.compile(
    r"(\d{4}|\*{4})-(\d\d|\*\*|dstBegin|dstEnd)-(\d\d|\*\*|last|secondLast)(?: ([1-7]))?"
)
_TIME = re.compile(r"(\d\d|\*\*):(\d\d|\*\*)(?::(\d\d|\*\*)(?:\.(\d\d))?)?")
_WORDS = {
    "**": UNSPECIFIED,
    "dstBegin": DAYLIGHT_SAVING_BEGIN,
    "dstEnd": DAYLIGHT_SAVING_END,
    "last": LAST_DAY,
    "secondLast": SECOND_LAST_DAY,
}
#: Deviation unspecified, status unspecified.
_NO_ZONE = b"\x80\x00\xff"
_ANY_TIME = b"\xff\xff\xff\xff"


#: A wholly unspecified date-time, which means never; shown as null.
NEVER = b"\xff\xff\xff\xff\xff" + _ANY_TIME + _NO_ZONE


def date_octets(name: str, value: object) -> bytes:
    """Return the 5 octets of `2026-12-25` or `****-12-25 5`, where 5 is a weekday (1 is Monday)."""
    match = _DATE.fullmatch(str(value))
    if not match:
        raise CommandError(f"{name}: {value!r} is not a date such as 2026-12-25 or ****-12-25")
    year, month, day, weekday = match.groups()
    octets = (int("FFFF", 16) if year == "****" else int(year)).to_bytes(2, "big")
    octets += _numbers(month, day)
    return octets + bytes((_weekday(name, year, month, day, weekday),))


def _numbers(*parts: str) -> bytes:
    return bytes(_WORDS[part] if part in _WORDS else int(part) for part in parts)


def _weekday(name: str, year: str, month: str, day: str, weekday: str | None) -> int:
    """Return the day of the week; it is computed for a full date, which must exist."""
    if not (year + month + day).isdigit():
        if month.isdigit() and day.isdigit():
            _exists(name, 2000, int(month), int(day))  # a year with 29 February
        return int(weekday) if weekday else UNSPECIFIED
    return _exists(name, int(year), int(month), int(day)).isoweekday()


def _exists(name: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise CommandError(f"{name}: there is no day {month:02d}-{day:02d} in that year") from None


def time_octets(name: str, value: object) -> bytes:
    """Return the 4 octets of `06:30`, `06:30:00` or `06:30:00.50`; stars mean unspecified."""
    match = _TIME.fullmatch(str(value))
    if not match:
        raise CommandError(f"{name}: {value!r} is not a time of day such as 06:30:00")
    hour, minute, second, hundredths = (part or "00" for part in match.groups())
    octets = _numbers(hour, minute, second, hundredths)
    if any(
        part > most and part != UNSPECIFIED
        for part, most in zip(octets, (23, 59, 59, 99), strict=True)
    ):
        raise CommandError(f"{name}: {value!r} is not a time of day")
    return octets


def date_time_octets(
    name: str, value: object, *, from_utc: bool = False, skip: Set[str] = frozenset()
) -> bytes:
    """Return the 12 octets of ISO 8601 with a zone, or of a date and time with stars and no zone.

    Raises CommandError if it is not a date-time, or has a finer resolution than the octets.
    """
    text = str(value)
    if (moment := _iso(text)) and (offset := moment.utcoffset()) is not None:
        if moment.microsecond % 10_000 or offset % timedelta(minutes=1):
            raise CommandError(
                f"{name}: {value!r} cannot be written exactly: the meter counts in hundredths of "
                "a second, and zones in minutes"
            )
        return encode_date_time(moment, from_utc=from_utc, skip=skip)
    # The time is the last part; a weekday may be between date and time.
    match = re.fullmatch(r"(\S+?(?: [1-7])?)(?:[T ](\S*:\S*))?", text)
    day, clock = match.groups() if match else (text, None)
    try:
        return (
            date_octets(name, day) + (time_octets(name, clock) if clock else _ANY_TIME) + _NO_ZONE
        )
    except CommandError:
        raise CommandError(
            f"{name}: {value!r} is not a date and time such as 2026-12-25T06:30:00+01:00 "
            "or ****-12-25 06:30:00"
        ) from None


def _iso(text: str) -> datetime | None:
    # Python 3.10 reads neither Z nor fractions of other than 3 or 6 digits.
    text = re.sub(r"\.(\d{1,6})", lambda match: f".{match[1]:0<6}", text.replace("Z", "+00:00"))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
