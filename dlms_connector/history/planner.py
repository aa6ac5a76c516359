"""What to read of a profile next: the newest rows first, the past behind them, gaps again.

Pure: it is told the time. What it knows comes from the records and can be had from there again
at any moment, so that a crash costs nothing but what was not kept.

Three clocks may be wrong: ours, the meter's, and that which either of them was set by. So rows
count as lacking only when the meter has newer ones; a row is never believed that was not asked
for; and whatever is put off is put off for days at most.
"""

from __future__ import annotations

from collections.abc import Iterable

from dlms_connector.history.coverage import RowCoverage, SlotCoverage
from dlms_connector.history.errand import Errand, Progress
from dlms_connector.history.hold_off import LONGEST_MS, HoldOff
from dlms_connector.history.rhythm import Rhythm
from dlms_connector.history.setbacks import Setbacks
from dlms_connector.records import (
    CLOCK_IS_SET_MS,
    DAY_MS,
    DAY_S,
    Known,
    Slice,
    Source,
    Spans,
    grid,
    merged,
    without,
)

#: How far back the first reading goes where the configuration does not say.
DEFAULT_BACKFILL_S = DAY_S
#: The records keep 800 days; older rows would be read for ever.
_MOST_MS = 790 * DAY_MS
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
#: What a meter without a row for a day lacks is asked for again after so long at the earliest.
_DEAD_MS = 6 * _HOUR_MS

#: A gap is asked for again after so long, and at least two periods.
_ASK_AGAIN_MS = _HOUR_MS
#: Gaps with so few intervals between them are read as one.
_NEAR = 8
#: Without a row for so long the buffer has ended, unless the meter tells where it does.
_BARREN_MS = 10 * DAY_MS
#: Irregular rows: how often new ones are looked for, how far that reaches back before what was
#: read (an event may be entered late, or the clock set back), and the longest slice of few rows.
_IRREGULAR_POLL_S = 3600
_OVERLAP_MS = 2 * _HOUR_MS
_LONGEST_IRREGULAR_MS = 32 * DAY_MS


class Planner:
    """Plans the reading of one profile of one meter; at most one errand at a time.

    `known` is what the records say; `period_s` the capture period, 0 where rows come irregularly;
    `backfill_s` how far the first reading goes back. New rows are looked for every `poll_s`
    seconds; None: as they come.
    """

    def __init__(
        self,
        known: Known,
        *,
        period_s: int,
        backfill_s: float,
        now_ms: int,
        poll_s: float | None = None,
    ) -> None:
        self.source: Source = known.source
        self.horizon_ms = known.horizon_ms
        self._stated_period_s, self._period_s = period_s, grid(period_s)
        self._period = self._period_s * 1000
        self._slots = SlotCoverage(known, self._period_s) if self._period_s else None
        self._rows = RowCoverage(known)
        self._since_ms = known.since_ms
        first_ms = known.first_ms
        if first_ms is None or not CLOCK_IS_SET_MS <= first_ms <= now_ms + DAY_MS:
            first_ms = now_ms
        self._from_ms = first_ms - int(backfill_s * 1000)
        self._poll_ms = None if poll_s is None else int(poll_s * 1000)
        if not self._period_s and self._poll_ms is None:
            self._poll_ms = _IRREGULAR_POLL_S * 1000
        self._next_look_ms = 0
        #: How far the meter's clock is ahead of ours, and what ours showed when it was read last.
        self._ahead_ms, self._latest_ms = 0, now_ms
        self._rhythm = Rhythm(self._period) if self._period else None
        self._off, self._gaps_off = HoldOff(), HoldOff()
        self._silence = HoldOff()
        self._setbacks = Setbacks()
        self._irregular_ms = DAY_MS
        self._barren: tuple[int, int] | None = None
        self._is_told = False
        self._errand: Errand | None = None
        for start, end in self._coverage.asked:  # when they were asked for is not known
            self._gaps_off.add(start, end, now_ms, self._ask_again_ms)

    @property
    def _coverage(self) -> SlotCoverage | RowCoverage:
        return self._slots or self._rows

    def holds_from(self, oldest_ms: int) -> None:
        """Note the oldest row that the meter holds, as it tells: older ones are not asked for."""
        self.horizon_ms, self._is_told = oldest_ms, True

    def clock(self, ahead_ms: int) -> None:
        """Note how far the meter's clock is ahead of ours; negative if it is behind."""
        self._ahead_ms = ahead_ms

    def errand(self, now_ms: int, most_rows: int) -> Errand | None:
        """Return what to read now, at most so many rows, as far as that is known; None: nothing."""
        self._errand = None
        self._look_at_clock(now_ms)
        if now_ms >= CLOCK_IS_SET_MS:
            edge, oldest = self._edge(now_ms), self._oldest(now_ms)
            unread = self._unread(oldest, edge, now_ms)
            span = self._span(most_rows)
            self._errand = (
                self._new(unread, oldest, edge, span, now_ms)
                or self._gap(oldest, edge, span, now_ms)
                or self._past(unread, edge, span)
            )
        return self._errand

    def slice(self, errand: Errand, rows_ms: Iterable[int], period_s: int | None = None) -> Slice:
        """Return the slice that an errand has brought; rows beyond it are left out."""
        rows = tuple(sorted(ts_ms for ts_ms in rows_ms if errand.holds(ts_ms)))
        period_s = self._stated_period_s if period_s is None else period_s
        return Slice(self.source, period_s, errand.start_ms, errand.end_ms, rows)

    def read(self, part: Slice, now_ms: int) -> None:
        """Note a slice that was read and kept."""
        errand, self._errand = self._errand, None
        if errand is None or errand.start_ms != part.start_ms:
            errand = Errand(part.start_ms, part.end_ms, "past")
        kind = errand.kind
        newest = self._coverage.newest_ms
        self._coverage.read(part)
        self._setbacks.done(errand)
        if kind == "new":
            self._next_look_ms = now_ms + (self._poll_ms or 0)
        if self._slots is None:
            self._fit_irregular(part)
            return
        self._hold_gaps(part, now_ms)
        if self._rhythm is not None:
            self._rhythm.learn(part, newest=kind == "new")
        self._note_silence(part, newest, now_ms)
        self._note_end(part)

    def failed(self, errand: Errand, now_ms: int, *, unkept: bool = False) -> None:
        """Note that an errand was not read, or what it brought could not be kept (`unkept`)."""
        self._errand = None
        wait = self._setbacks.failed(errand, unkept=unkept)
        self._irregular_ms = max(_HOUR_MS, self._irregular_ms // 4)
        start, end = self._aligned(errand.start_ms, errand.end_ms)
        held = self._gaps_off if errand.kind == "gap" else self._off
        held.add(start, end, now_ms, wait)
        if errand.kind == "new" and self._slots is None:
            # Irregular rows are looked for up to now each time: there is no later span to try.
            self._next_look_ms = now_ms + wait

    def due_ms(self, now_ms: int) -> int | None:
        """Return when there will be an errand; not after now: at once."""
        if now_ms < CLOCK_IS_SET_MS:
            return None
        before = self._errand
        found, self._errand = self.errand(now_ms, 1 << 20), before
        if found is not None:
            return now_ms
        held = (each.next_ms() for each in (self._off, self._gaps_off, self._silence))
        times = [self._next_new(now_ms), *(at for at in held if at is not None)]
        return min(at for at in times if at > now_ms)

    def progress(self, now_ms: int) -> Progress:
        """Return how far it is."""
        self._look_at_clock(now_ms)
        edge, oldest = self._edge(now_ms), self._oldest(now_ms)
        unit = self._period or _HOUR_MS
        unread = sum((end - start) // unit for start, end in self._coverage.unread(oldest, edge))
        asked = _within(self._coverage.asked, oldest, edge)
        gaps = sum((end - start) // unit for start, end in asked)
        return Progress(unread, gaps, oldest, self._coverage.newest_ms)

    # What is wanted, and what is held off

    def _look_at_clock(self, now_ms: int) -> None:
        """Notice that our clock was set back, and not the meter's: nothing waits longer for it."""
        before, self._latest_ms = self._latest_ms, now_ms
        if (by_ms := before - now_ms) > _MINUTE_MS:
            self._ahead_ms += by_ms
            self._next_look_ms -= by_ms
            for held in (self._off, self._gaps_off, self._silence):
                held.set_back(by_ms)

    def _edge(self, now_ms: int) -> int:
        """Return the end of what there can be: the meter's present, and never our future."""
        return min(now_ms, now_ms + self._ahead_ms)

    def _oldest(self, now_ms: int) -> int:
        limits = [self._from_ms, now_ms - _MOST_MS]
        # A limit in the future comes from a clock that was wrong.
        limits += [at for at in (self._since_ms, self.horizon_ms) if at is not None and at < now_ms]
        oldest = max(limits)
        return oldest // self._period * self._period if self._period else oldest

    def _unread(self, oldest: int, edge: int, now_ms: int) -> Spans:
        held = (*self._off.spans(now_ms), *self._silence.spans(now_ms))
        return without(self._coverage.unread(oldest, edge), merged(held))

    def _span(self, most_rows: int) -> int:
        """Return how long a slice may be."""
        if not self._period:
            return self._irregular_ms
        rows = min(most_rows, DAY_MS // self._period) // self._setbacks.share
        return max(1, rows) * self._period

    def _aligned(self, start: int, end: int) -> tuple[int, int]:
        """Return the whole intervals that a span has a part of."""
        if not self._period:
            return start, end
        return start // self._period * self._period, -(-end // self._period) * self._period

    # The three kinds of errands

    def _new(self, unread: Spans, oldest: int, edge: int, span: int, now_ms: int) -> Errand | None:
        if self._is_put_off(now_ms):
            return None
        if self._rhythm is None:
            start = self._look_from(edge)
            return Errand(max(oldest, start, edge - span), edge, "new") if edge > oldest else None
        if not unread or unread[-1][1] != edge:
            return None
        start = unread[-1][0]
        if self._rhythm.expected(edge, alive=self._is_alive(now_ms)) < start:
            return None
        return Errand(max(start, self._up(edge - span)), edge, "new")

    def _gap(self, oldest: int, edge: int, span: int, now_ms: int) -> Errand | None:
        due = without(
            _within(self._coverage.asked, oldest, edge - edge % max(self._period, 1)),
            self._gaps_off.spans(now_ms),
        )
        if not due:
            return None
        start, end = due[-1]
        start = max(start, end - span)
        for first, after in reversed(due[:-1]):
            if start - after > _NEAR * self._period or end - first > span:
                break
            start = first
        return Errand(start, end, "gap")

    def _past(self, unread: Spans, edge: int, span: int) -> Errand | None:
        older = [each for each in unread if each[1] != edge]
        if not older:
            return None
        start, end = older[-1]
        return Errand(max(start, self._up(end - span)), end, "past")

    def _up(self, at: int) -> int:
        return -(-at // self._period) * self._period if self._period else at

    # When new rows are there

    def _is_put_off(self, now_ms: int) -> bool:
        longest = max(LONGEST_MS, self._poll_ms or 0)
        return now_ms < self._next_look_ms <= now_ms + longest

    def _next_new(self, now_ms: int) -> int:
        at = now_ms
        if self._rhythm is not None:
            edge = self._edge(now_ms)
            at += self._rhythm.next_ms(edge, alive=self._is_alive(now_ms)) - edge
        if self._is_put_off(now_ms):
            at = max(at, self._next_look_ms)
        return max(at, now_ms + 1)

    def _look_from(self, edge: int) -> int:
        """Return where looking for new irregular rows begins."""
        read_to = self._rows.read_to_ms
        if read_to is not None and read_to > edge:  # our clock was ahead, what was read is not
            read_to = self._rows.newest_ms
        if read_to is None or read_to > edge:
            return edge - DAY_MS
        return read_to - _OVERLAP_MS

    def _is_alive(self, now_ms: int) -> bool:
        """Whether the meter has captured a row lately."""
        newest = self._coverage.newest_ms
        return newest is not None and now_ms - newest < DAY_MS

    # What lacks

    @property
    def _ask_again_ms(self) -> int:
        return max(_ASK_AGAIN_MS, 2 * self._period)

    def _hold_gaps(self, part: Slice, now_ms: int) -> None:
        for start, end in _within(self._coverage.asked, part.start_ms, part.end_ms):
            self._gaps_off.add(start, end, now_ms, self._ask_again_ms)

    def _note_silence(self, part: Slice, newest: int | None, now_ms: int) -> None:
        """Hold off what is over and has no row, while there is no newer one: it may still come."""
        now_newest = self._coverage.newest_ms
        if now_newest != newest:
            self._silence.clear()
        start, end = part.start_ms // self._period * self._period, part.end_ms // self._period
        if now_newest is not None:
            start = max(start, self._up(now_newest + 1))
        if start < (end := end * self._period):
            # The longer ago, the less likely: it is asked for each time it has doubled its age.
            alive = self._is_alive(now_ms)
            least = max(_MINUTE_MS, self._period // 2) if alive else _DEAD_MS
            wait = max(now_ms - end, least)
            self._silence.add(start, end, now_ms, wait)

    def _note_end(self, part: Slice) -> None:
        """Notice the end of the meter's buffer: many days in a row without any row."""
        newest = self._coverage.newest_ms
        if part.rows_ms or newest is None or part.end_ms > newest:
            self._barren = None
            return
        start, end = part.start_ms, part.end_ms
        if self._barren is not None and start <= self._barren[1] and self._barren[0] <= end:
            start, end = min(start, self._barren[0]), max(end, self._barren[1])
        self._barren = start, end
        if end - start >= _BARREN_MS and not self._is_told and not self._coverage.has_before(start):
            self.horizon_ms = end

    def _fit_irregular(self, part: Slice) -> None:
        """Let slices of few rows grow, those of many shrink."""
        count, length = len(part.rows_ms), part.end_ms - part.start_ms
        if count > 200:
            self._irregular_ms = max(_HOUR_MS, length // 4)
        elif count < 20 and length >= self._irregular_ms:
            self._irregular_ms = min(_LONGEST_IRREGULAR_MS, self._irregular_ms * 4)


def _within(spans: Spans, start: int, end: int) -> Spans:
    """Return the parts of spans within another one."""
    cut = ((max(first, start), min(after, end)) for first, after in spans)
    return tuple((first, after) for first, after in cut if first < after)
