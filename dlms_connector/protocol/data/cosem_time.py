"""Decode and encode COSEM dates and times (IEC 62056-6-2, date and time formats).

Fields may be unspecified. Special values mean the last day of a month or a change of daylight
saving time. A date that does not exist gives None, never an exception: the meter's clock is
wrong, not the reading. Fields that repeat what others say (the weekday of a whole date) or add
little (hundredths, status) never cost the instant: where they cannot be true they are `doubtful`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

UNSPECIFIED = 0xFF
_UNSPECIFIED_YEAR = 0xFFFF
_UNSPECIFIED_DEVIATION = -0x8000
#: Time zones differ from UTC by quarters of an hour, and by 14 hours at most.
_DEVIATION_STEP, _MOST_DEVIATION = 15, 14 * 60

#: Special values of the month, and of the day of the month.
DAYLIGHT_SAVING_END, DAYLIGHT_SAVING_BEGIN = 0xFD, 0xFE
SECOND_LAST_DAY, LAST_DAY = 0xFD, 0xFE

DAYLIGHT_SAVING_ACTIVE = 0x80
#: Bits of the clock status (IEC 62056-6-2, clock_status).
CLOCK_STATUS = {
    0x01: "invalidValue",
    0x02: "doubtfulValue",
    0x04: "differentClockBase",
    0x08: "invalidClockStatus",
    DAYLIGHT_SAVING_ACTIVE: "daylightSavingActive",
}
_RESERVED_STATUS = 0xFF & ~sum(CLOCK_STATUS)


@dataclass(frozen=True, slots=True)
class Date:
    """A date as encoded; unspecified fields are None. `weekday` is 1 (Monday) to 7."""

    year: int | None
    month: int | None
    day: int | None
    weekday: int | None

    @classmethod
    def parse(cls, octets: bytes) -> Date:
        """Read 5 octets."""
        year = int.from_bytes(octets[:2], "big")
        specified = None if year == _UNSPECIFIED_YEAR else year
        return cls(specified, *map(_specified, octets[2:5]))

    @property
    def unspecified(self) -> bool:
        """Whether all fields are unspecified."""
        return self.year is self.month is self.day is self.weekday is None

    @property
    def exists(self) -> bool:
        """Whether at least one real day matches."""
        month, day = self.month, self.day
        if month is not None and not (1 <= month <= 12 or month >= DAYLIGHT_SAVING_END):
            return False
        if day is not None and not (1 <= day <= 31 or day >= SECOND_LAST_DAY):
            return False
        if not self._whole and self.weekday is not None and not 1 <= self.weekday <= 7:
            return False
        try:
            # Replace unspecified fields by a leap year and by a month with 31 days.
            date(
                2000 if self.year is None else self.year,
                month if month is not None and month <= 12 else 1,
                day if day is not None and day <= 31 else 1,
            )
        except ValueError:
            return False
        return True

    @property
    def doubtful(self) -> bool:
        """Whether the weekday contradicts the date; the date is what counts."""
        if self.weekday is None or not (self._whole and self.exists):
            return False
        return self.weekday != date(self.year or 0, self.month or 0, self.day or 0).isoweekday()

    @property
    def _whole(self) -> bool:
        """Whether year, month and day name a day, so that the weekday says nothing new."""
        month, day = self.month, self.day
        return None not in (self.year, month, day) and (month or 0) <= 12 and (day or 0) <= 31

    def __str__(self) -> str:
        """Return `2026-05-31`, with asterisks for unspecified fields.

        The weekday is added if the date does not determine it: `****-03-last 7` is the last
        Sunday of March.
        """
        month = _MONTHS.get(self.month or 0) or _digits(self.month, 2)
        day = _DAYS.get(self.day or 0) or _digits(self.day, 2)
        text = f"{_digits(self.year, 4)}-{month}-{day}"
        told = self.weekday is None or text.replace("-", "").isdigit()
        return text if told else f"{text} {self.weekday}"


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day as encoded; unspecified fields are None."""

    hour: int | None
    minute: int | None
    second: int | None
    hundredths: int | None

    @classmethod
    def parse(cls, octets: bytes) -> Time:
        """Read 4 octets."""
        return cls(*map(_specified, octets))

    @property
    def unspecified(self) -> bool:
        """Whether hour, minute and second are unspecified."""
        return self.hour is self.minute is self.second is None

    @property
    def exists(self) -> bool:
        """Whether every specified field is in its range.

        Also 24:00:00, the end of a day, and second 60, a leap second. Hundredths do not matter.
        """
        if self.hour == _END_OF_DAY:
            return not self.minute and not self.second
        limits = ((self.hour, 23), (self.minute, 59), (self.second, _LEAP_SECOND))
        return all(value is None or value <= most for value, most in limits)

    @property
    def doubtful(self) -> bool:
        """Whether a field is outside of its range in the standard."""
        beyond = self.hour == _END_OF_DAY or self.second == _LEAP_SECOND
        return beyond or self._fraction != (self.hundredths or 0)

    @property
    def _fraction(self) -> int:
        """The hundredths; 0 if they are not specified or cannot be."""
        return self.hundredths if self.hundredths is not None and self.hundredths <= 99 else 0

    def on(self, day: datetime) -> datetime:
        """Return a day at this time; unspecified seconds and hundredths are 0."""
        hour, second = self.hour or 0, self.second or 0
        later = timedelta(days=hour == _END_OF_DAY, minutes=second == _LEAP_SECOND)
        return later + day.replace(
            hour=hour % _END_OF_DAY,
            minute=self.minute or 0,
            second=second % _LEAP_SECOND,
            microsecond=self._fraction * 10_000,
        )

    def __str__(self) -> str:
        """Return `06:30:00`, with asterisks for unspecified fields."""
        text = ":".join(_digits(part, 2) for part in (self.hour, self.minute, self.second))
        return f"{text}.{self._fraction:02d}" if self._fraction else text


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date and time as encoded; `deviation` (minutes) and `status` are None if unspecified.

    A deviation that no time zone has is not specified either: -1 is one maker's "not given".
    `unusual` says that it was written in a form that the standard does not have.
    """

    date: Date
    time: Time
    deviation: int | None
    status: int | None
    unusual: bool = False

    @classmethod
    def parse(cls, octets: bytes) -> DateTime:
        """Read 12 octets. Raises ValueError for any other number of octets."""
        if len(octets) != 12:
            raise ValueError(f"a date-time has 12 octets, not {len(octets)}")
        deviation = int.from_bytes(octets[9:11], "big", signed=True)
        return cls(
            Date.parse(octets[:5]),
            Time.parse(octets[5:9]),
            deviation if _is_deviation(deviation) else None,
            _specified(octets[11]),
        )

    @property
    def exists(self) -> bool:
        """Whether date and time are possible."""
        return self.date.exists and self.time.exists

    @property
    def unspecified(self) -> bool:
        """Whether neither date nor time is told."""
        return self.date.unspecified and self.time.unspecified

    @property
    def doubtful(self) -> bool:
        """Whether a field cannot be true that does not change the instant."""
        reserved = (self.status or 0) & _RESERVED_STATUS
        return self.unusual or self.date.doubtful or self.time.doubtful or bool(reserved)

    def instant(self, zone: tzinfo | None, *, from_utc: bool = False) -> datetime | None:
        """Return the instant; None if it is not exactly one, or does not exist.

        `zone` is the time zone of the meter's clock, used if the deviation is unspecified.
        The instant is aware unless both are unknown.
        """
        day, time = self.date, self.time
        if day.year is None or day.month is None or day.day is None:
            return None
        if time.hour is None or time.minute is None or not self.exists:
            return None
        try:
            midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone(zone, from_utc))
            moment = time.on(midnight)
        except (ValueError, OverflowError):
            return None  # a special value: last day of a month, change of daylight saving time
        return self._in_season(moment)

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the names of the flags that are set in the clock status."""
        status = self.status or 0
        return tuple(name for bit, name in CLOCK_STATUS.items() if status & bit)

    def _in_season(self, moment: datetime) -> datetime:
        """Set `fold` by the daylight saving bit of the clock status.

        This tells apart the hour that comes twice in autumn. In spring, a clock that changes
        late gives times in the skipped hour; in standard time they are after the change.
        """
        if self.deviation is not None or self.status is None:
            return moment
        later = moment.replace(fold=1)
        offset, later_offset = moment.utcoffset(), later.utcoffset()
        # Without a zone, assume the hour of autumn; `fold` serves a caller that adds the zone.
        falls = offset is None or later_offset is None or offset > later_offset
        return moment if falls == bool(self.status & DAYLIGHT_SAVING_ACTIVE) else later

    def _zone(self, zone: tzinfo | None, from_utc: bool) -> tzinfo | None:
        if self.deviation is None:
            return zone
        sign = 1 if from_utc else -1
        return timezone(timedelta(minutes=sign * self.deviation))

    def __str__(self) -> str:
        """Return date and time, with asterisks for unspecified fields."""
        return f"{self.date} {self.time}"


def encode_date_time(
    moment: datetime, *, from_utc: bool = False, skip: Set[str] = frozenset()
) -> bytes:
    """Write an aware datetime in 12 octets, in its own zone; `skip` leaves fields unspecified."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("the datetime has no zone")
    minutes = round(offset.total_seconds() / 60) * (1 if from_utc else -1)
    status = DAYLIGHT_SAVING_ACTIVE if moment.dst() else 0
    deviation = _UNSPECIFIED_DEVIATION if "deviation" in skip else minutes
    return (
        encode_date(moment.date(), weekday="dayOfWeek" not in skip)
        + bytes((moment.hour, moment.minute, moment.second))
        + bytes((UNSPECIFIED if "hundredths" in skip else moment.microsecond // 10_000,))
        + deviation.to_bytes(2, "big", signed=True)
        + bytes((UNSPECIFIED if "status" in skip else status,))
    )


def encode_date(day: date, *, weekday: bool = True) -> bytes:
    """Write a date in 5 octets."""
    last = day.isoweekday() if weekday else UNSPECIFIED
    return day.year.to_bytes(2, "big") + bytes((day.month, day.day, last))


_END_OF_DAY, _LEAP_SECOND = 24, 60
_MONTHS = {DAYLIGHT_SAVING_END: "dstEnd", DAYLIGHT_SAVING_BEGIN: "dstBegin"}
_DAYS = {SECOND_LAST_DAY: "secondLast", LAST_DAY: "last"}


def _specified(octet: int) -> int | None:
    return None if octet == UNSPECIFIED else octet


def _is_deviation(minutes: int) -> bool:
    return abs(minutes) <= _MOST_DEVIATION and minutes % _DEVIATION_STEP == 0


def _digits(value: int | None, count: int) -> str:
    return "*" * count if value is None else f"{value:0{count}d}"
