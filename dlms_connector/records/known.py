"""What the records know of a profile: a snapshot, and what a slice that was read adds to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from dlms_connector.records.days import DAY_MS, Day, grid
from dlms_connector.records.entry import Slice, Source

#: Intervals from a time up to before another one, in ms since 1970, ascending and apart.
Spans = tuple[tuple[int, int], ...]

#: Most slots that were read in part, and most spans of an irregular profile, that are kept. What
#: is left out is read again, and not sent again.
_MOST_OPEN, _MOST_SPANS = 32, 64
NO_DAY = Day()
#: A clock that says less is not set (2020-01-01).
CLOCK_IS_SET_MS = 1_577_836_800_000


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the rows of a profile.

    `days` are the sets by UTC day (days since 1970) and period; days of which nothing is known
    are not there. `opens`: a slot that was read while it lasted may get more rows: each is the
    instant up to which it was read. `covered` are the spans of an irregular profile that were
    read. `newest_ms` is the newest row, `read_to_ms` the end of the newest slice, `first_ms` when
    the profile was first asked for. Before `since_ms` another meter was there; before
    `horizon_ms` the meter holds nothing.
    """

    source: Source
    days: Mapping[tuple[int, int], Day] = field(default_factory=dict)
    opens: tuple[int, ...] = ()
    covered: Spans = ()
    newest_ms: int | None = None
    read_to_ms: int | None = None
    first_ms: int | None = None
    since_ms: int | None = None
    horizon_ms: int | None = None
    serial: str | None = None

    def after(self, part: Slice, sent_ms: Collection[int]) -> tuple[Known, frozenset[int]]:
        """Return what is known after a slice was read, and the instants that are to be sent.

        `sent_ms` are the instants of rows that have something to send. Only rows within the
        slice count.
        """
        rows = [ts_ms for ts_ms in part.rows_ms if part.start_ms <= ts_ms < part.end_ms]
        newest = max([*rows, *([] if self.newest_ms is None else [self.newest_ms])], default=None)
        known = replace(
            self,
            newest_ms=newest,
            read_to_ms=max(part.end_ms, self.read_to_ms or 0),
        )
        if not grid(part.period_s):
            covered = merged((*self.covered, (part.start_ms, part.end_ms)))[-_MOST_SPANS:]
            return replace(known, covered=covered), frozenset(sent_ms)
        return _marked(known, part, rows, frozenset(sent_ms))


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return spans in order, those that touch or overlap as one."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return tuple(result)


def without(spans: Iterable[tuple[int, int]], taken: Iterable[tuple[int, int]]) -> Spans:
    """Return what is left of spans; both are in order and apart."""
    result: list[tuple[int, int]] = []
    holes = list(taken)
    for start, end in spans:
        for hole_start, hole_end in holes:
            if hole_end <= start:
                continue
            if hole_start >= end:
                break
            if hole_start > start:
                result.append((start, hole_start))
            start = hole_end
        if start < end:
            result.append((start, end))
    return tuple(result)


def _marked(
    known: Known, part: Slice, rows: list[int], sent_ms: frozenset[int]
) -> tuple[Known, frozenset[int]]:
    """Mark the slots of a slice.

    A slot that the slice covers in part is done if it has a row, and open if more of it is to
    come. One without a row counts as asked only if the meter has newer rows: until then the row
    may still come, however wrong its clock is, or ours.
    """
    period = part.period_s * 1000
    opens = {at // period: at for at in known.opens}
    by_slot: dict[int, list[int]] = {}
    for ts_ms in rows:
        by_slot.setdefault(ts_ms // period, []).append(ts_ms)
    newest = -1 if known.newest_ms is None else known.newest_ms // period
    days = dict(known.days)
    fresh: set[int] = set()
    for slot in range(part.start_ms // period, -(-part.end_ms // period)):
        begins, ends = slot * period, (slot + 1) * period
        key = begins // DAY_MS, part.period_s
        day = days.get(key, NO_DAY)
        bit = 1 << begins % DAY_MS // period
        open_at = opens.get(slot)
        # The slot was read up to here before, without a hole.
        before = open_at if open_at is not None else begins
        joins = part.start_ms <= before
        to_end = ends <= part.end_ms
        found = by_slot.get(slot, ())
        sends = {ts_ms for ts_ms in found if ts_ms in sent_ms}
        if day.given & bit:
            # What was entered already is not entered again; after `before` nothing was.
            sends = set() if open_at is None else {at for at in sends if at >= before}
        fresh |= sends
        if not joins:
            continue
        if found or day.held & bit:
            if to_end:
                opens.pop(slot, None)
            elif open_at is not None or not day.held & bit:
                opens[slot] = max(before, part.end_ms)
        if found:
            days[key] = _with_row(day, bit, sends=bool(sends))
        elif to_end and slot < newest and not day.done & bit:
            days[key] = _without_row(day, bit)
    kept = tuple(sorted(opens.values())[-_MOST_OPEN:])
    return replace(known, days=days, opens=kept), frozenset(fresh)


def _with_row(day: Day, bit: int, *, sends: bool) -> Day:
    if sends:
        return replace(cleared(day, bit), sent=day.sent | bit)
    return day if day.given & bit else replace(cleared(day, bit), empty=day.empty | bit)


def _without_row(day: Day, bit: int) -> Day:
    if day.asked & bit:
        return replace(day, asked=day.asked & ~bit, absent=day.absent | bit)
    return replace(day, asked=day.asked | bit)


def cleared(day: Day, bits: int) -> Day:
    """Return the sets of a day without some slots: nothing is known of those."""
    return Day(
        day.sent & ~bits, day.confirmed & ~bits, day.empty & ~bits, day.asked & ~bits,
        day.absent & ~bits, day.refused & ~bits, day.why,
    )  # fmt: skip
