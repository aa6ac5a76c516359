"""The ledger: how many intervals of each local day are certain, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo

from dlms_connector.records.days import DAY_MS, grid, regridded, slots_between
from dlms_connector.records.known import NO_DAY, Known

NOT_READ = "not read yet"
NOT_HELD = "the meter holds none"
REPLACED = "meter replaced"
REFUSED = "refused by the platform"
UNCONFIRMED = "unconfirmed"
NOTHING = "row without values"
#: Why an interval is missing, in the order of reports.
REASONS = (NOT_READ, NOT_HELD, REPLACED, REFUSED, UNCONFIRMED, NOTHING)

#: Most days of one report: what the records keep, and some.
_MOST_DAYS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class DayCount:
    """The intervals of a profile in a local day, or in the part of it that was asked for.

    `held` by the meter, `sent` of those, `confirmed` of those; what is `expected` and not
    confirmed is `missing`, by reason. A profile without a period has as many as it has rows.
    `why` is what the platform said when it refused some.
    """

    day: date
    start_ms: int
    end_ms: int
    period_s: int
    expected: int
    held: int
    sent: int
    confirmed: int
    missing: Mapping[str, int] = field(default_factory=dict)
    why: str = ""

    @property
    def gaps(self) -> int:
        """How many are missing."""
        return sum(self.missing.values())


def day_counts(
    known: Known,
    moments: Mapping[int, str],
    period_s: int,
    span: tuple[int, int],
    zone: tzinfo,
    now_ms: int,
) -> tuple[DayCount, ...]:
    """Count the intervals of each local day of a span, from its start up to before its end.

    `moments` are the states of rows of an irregular profile; `period_s` is the latest capture
    period. Intervals that are not over yet are not expected, unless there is a row.
    """
    start_ms, end_ms = span
    periods: dict[int, list[int]] = {}
    for utc_day, period in sorted(known.days):
        periods.setdefault(utc_day, []).append(period)
    result = []
    for day, day_start, day_end in _local_days(start_ms, min(end_ms, now_ms), zone):
        part = max(day_start, start_ms), min(day_end, end_ms)
        tally = _Tally(known, now_ms)
        for utc_day in range(part[0] // DAY_MS, -(-part[1] // DAY_MS)):
            tally.count_day(utc_day, part, grid(period_s), periods.get(utc_day, ()))
        if not grid(period_s):
            tally.count_rows(
                state for ts_ms, state in moments.items() if part[0] <= ts_ms < part[1]
            )
        result.append(tally.result(day, part, grid(period_s)))
    return tuple(result)


class _Tally:
    """The counts of one local day."""

    def __init__(self, known: Known, now_ms: int) -> None:
        self._known, self._now_ms = known, now_ms
        self._reasons: Counter[str] = Counter()
        self._whys: list[str] = []
        self._expected = self._held = self._sent = self._confirmed = 0

    def count_day(
        self, utc_day: int, part: tuple[int, int], latest_s: int, periods: Iterable[int]
    ) -> None:
        """Count the slots that begin in a part of a UTC day.

        Slots of a former capture period count where something is known of them; those of the
        latest one everywhere else.
        """
        taken = 0
        for period_s in periods:
            if period_s != latest_s:
                sets = self._known.days[utc_day, period_s]
                seen = sets.done | sets.asked
                self._count_slots(utc_day, period_s, _slots_in(utc_day, part, period_s) & seen)
                taken |= regridded(seen, period_s, latest_s) if latest_s else 0
        if latest_s:
            self._count_slots(utc_day, latest_s, _slots_in(utc_day, part, latest_s) & ~taken)

    def count_rows(self, states: Iterable[str]) -> None:
        """Count rows of an irregular profile: all that are known are expected."""
        counts = Counter(states)
        held = sum(counts.values())
        self._expected += held
        self._held += held
        self._sent += held - counts["empty"]
        self._confirmed += counts["confirmed"]
        self._reasons[UNCONFIRMED] += counts["sent"]
        self._reasons[REFUSED] += counts["refused"]
        self._reasons[NOTHING] += counts["empty"]

    def result(self, day: date, part: tuple[int, int], period_s: int) -> DayCount:
        """Return the counts."""
        missing = {reason: self._reasons[reason] for reason in REASONS if self._reasons[reason]}
        return DayCount(
            day, *part, period_s, self._expected, self._held, self._sent, self._confirmed,
            missing, "; ".join(self._whys),
        )  # fmt: skip

    def _count_slots(self, utc_day: int, period_s: int, slots: int) -> None:
        period = period_s * 1000
        sets = self._known.days.get((utc_day, period_s), NO_DAY)
        over = slots_between(0, max(0, (self._now_ms - utc_day * DAY_MS) // period))
        slots &= over | sets.held
        replaced = _before(self._known.since_ms, utc_day, period)
        too_old = _before(self._known.horizon_ms, utc_day, period)
        rest = slots & ~sets.confirmed
        for reason, those in (
            (UNCONFIRMED, sets.sent), (REFUSED, sets.refused), (NOTHING, sets.empty),
            (REPLACED, replaced), (NOT_HELD, sets.absent | too_old), (NOT_READ, rest),
        ):  # fmt: skip
            self._reasons[reason] += (rest & those).bit_count()
            rest &= ~those
        self._expected += slots.bit_count()
        self._held += (slots & sets.held).bit_count()
        self._sent += (slots & sets.given).bit_count()
        self._confirmed += (slots & sets.confirmed).bit_count()
        if slots & sets.refused and sets.why not in self._whys:
            self._whys.append(sets.why)


def _before(limit_ms: int | None, utc_day: int, period: int) -> int:
    """Return the slots of a UTC day that begin before a time."""
    if limit_ms is None:
        return 0
    into = min(max(0, limit_ms - utc_day * DAY_MS), DAY_MS)
    return slots_between(0, -(-into // period))


def _slots_in(utc_day: int, part: tuple[int, int], period_s: int) -> int:
    """Return the slots of a UTC day that begin in a part of it."""
    period, midnight = period_s * 1000, utc_day * DAY_MS
    first = -(-max(0, part[0] - midnight) // period)
    after = -(-min(DAY_MS, part[1] - midnight) // period)
    return slots_between(first, after)


def _local_days(start_ms: int, end_ms: int, zone: tzinfo) -> Iterator[tuple[date, int, int]]:
    """Yield each local day that has a part in a span: its date, its start and its end."""
    if end_ms <= start_ms:
        return
    day = (_EPOCH + timedelta(milliseconds=start_ms)).astimezone(zone).date()
    for _ in range(_MOST_DAYS):
        begins, ends = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
        if begins >= end_ms:
            return
        yield day, begins, ends
        day += timedelta(days=1)


def _midnight(day: date, zone: tzinfo) -> int:
    """Return the instant at which a local day begins, also where that midnight does not exist."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round((local.astimezone(timezone.utc) - _EPOCH) / timedelta(milliseconds=1))
