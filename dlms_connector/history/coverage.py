"""Which spans of a profile were read: a small copy of what the records know, for the planner.

It is kept for each profile of each meter, so days that are complete are only spans here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dlms_connector.records import (
    DAY_MS,
    Day,
    Known,
    Slice,
    Spans,
    all_slots,
    merged,
    regridded,
    runs,
    without,
)


class SlotCoverage:
    """The intervals of a profile with a capture period."""

    def __init__(self, known: Known, period_s: int) -> None:
        self._period_s, self._full = period_s, all_slots(period_s)
        self._known = replace(known, days={})
        self._days: dict[int, Day] = {}
        self._done: Spans = ()
        self._asked: Spans = ()
        days: dict[int, Day] = {}
        for (utc_day, period), day in known.days.items():
            found = days.get(utc_day, Day())
            asked = day.asked if period == period_s else 0
            done = found.sent | regridded(day.done, period, period_s)
            days[utc_day] = Day(sent=done, asked=(found.asked | asked) & ~done)
        self._enter(days)

    @property
    def newest_ms(self) -> int | None:
        """The newest row."""
        return self._known.newest_ms

    @property
    def asked(self) -> Spans:
        """What was asked for once in vain."""
        return self._asked

    def unread(self, start_ms: int, end_ms: int) -> Spans:
        """Return what was never asked for in a span."""
        rest = without(((start_ms, end_ms),), merged((*self._done, *self._asked)))
        period = self._period_s * 1000
        opens = (
            (max(at, start_ms), min(-(-at // period) * period, end_ms)) for at in self._known.opens
        )
        return merged((*rest, *opens))

    def has_before(self, at_ms: int) -> bool:
        """Whether something older was read."""
        return bool(self._done) and self._done[0][0] < at_ms

    def read(self, part: Slice) -> None:
        """Note a slice that was read."""
        part = replace(part, period_s=self._period_s)
        touched = range(part.start_ms // DAY_MS, -(-part.end_ms // DAY_MS))
        complete = Day(sent=self._full)
        before = {
            (utc_day, self._period_s): complete
            if _is_in(utc_day, self._done)
            else self._days.get(utc_day, Day())
            for utc_day in touched
        }
        after, _ = replace(self._known, days=before).after(part, part.rows_ms)
        self._enter({utc_day: after.days[utc_day, self._period_s] for utc_day in touched})
        self._known = replace(after, days={})

    def _enter(self, days: dict[int, Day]) -> None:
        """Enter the sets of some days in place of what was known of them."""
        own = merged((utc_day * DAY_MS, (utc_day + 1) * DAY_MS) for utc_day in days)
        done, asked = [*without(self._done, own)], [*without(self._asked, own)]
        for utc_day, day in days.items():
            done += self._spans(utc_day, day.done)
            asked += self._spans(utc_day, day.asked)
            if day.done == self._full or not day.done | day.asked:
                self._days.pop(utc_day, None)
            else:
                self._days[utc_day] = day
        self._done, self._asked = merged(done), merged(asked)

    def _spans(self, utc_day: int, slots: int) -> Iterable[tuple[int, int]]:
        start, period = utc_day * DAY_MS, self._period_s * 1000
        return ((start + first * period, start + after * period) for first, after in runs(slots))


class RowCoverage:
    """The spans of a profile whose rows come irregularly."""

    asked: Spans = ()

    def __init__(self, known: Known) -> None:
        self._known = replace(known, days={})

    @property
    def newest_ms(self) -> int | None:
        """The newest row."""
        return self._known.newest_ms

    @property
    def read_to_ms(self) -> int | None:
        """The end of what was read."""
        return self._known.read_to_ms

    def unread(self, start_ms: int, end_ms: int) -> Spans:
        """Return what was never asked for in a span."""
        return without(((start_ms, end_ms),), self._known.covered)

    def has_before(self, at_ms: int) -> bool:
        """Whether something older was read."""
        return bool(self._known.covered) and self._known.covered[0][0] < at_ms

    def read(self, part: Slice) -> None:
        """Note a slice that was read."""
        self._known, _ = self._known.after(part, part.rows_ms)


def _is_in(utc_day: int, spans: Spans) -> bool:
    start, end = utc_day * DAY_MS, (utc_day + 1) * DAY_MS
    return any(first <= start and end <= after for first, after in spans)
