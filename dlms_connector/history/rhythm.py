"""When the rows of a profile are captured, and how long after that they can be read."""

from __future__ import annotations

from collections import Counter

from dlms_connector.records import Slice

#: A row is there some seconds after its instant; later, up to a period, where it was not.
_FIRST_MARGIN_MS = 10_000
#: Rows in time after which it is tried with half of that.
_IN_TIME = 10


class Rhythm:
    """Learns the phase of the rows in the period, and their delay."""

    def __init__(self, period_ms: int) -> None:
        self._period = period_ms
        self._phase, self._margin, self._in_time = 0, _FIRST_MARGIN_MS, 0
        #: The row that was asked for in vain, and whether once only.
        self._missed: int | None = None
        self._once = False

    def expected(self, edge_ms: int, *, alive: bool) -> int:
        """Return the instant of the newest row that is worth a request at `edge_ms`.

        A row that was not there is tried once more in its period, if the meter is `alive`.
        """
        at = self._newest(edge_ms)
        return at - self._period if edge_ms < self._again(at, alive=alive) else at

    def next_ms(self, edge_ms: int, *, alive: bool) -> int:
        """Return when the next row is worth a request."""
        at = self._newest(edge_ms)
        again, following = self._again(at, alive=alive), at + self._period + self._margin
        return min(again, following) if again > edge_ms else following

    def learn(self, part: Slice, *, newest: bool) -> None:
        """Learn from a slice; `newest`: that its end was the present."""
        if newest:
            self._learn_delay(part)
        phases = Counter(ts_ms % self._period for ts_ms in part.rows_ms)
        if phases:
            phase, count = phases.most_common(1)[0]
            if count * 2 >= len(part.rows_ms):
                self._phase = phase

    def _learn_delay(self, part: Slice) -> None:
        at = self._newest(part.end_ms)
        if part.rows_ms and part.rows_ms[-1] >= at // self._period * self._period:
            self._in_time += 1
            if at == self._missed:
                self._in_time, self._margin = 0, min(part.end_ms - at, self._period)
            elif self._in_time >= _IN_TIME:
                self._in_time, self._margin = 0, max(_FIRST_MARGIN_MS, self._margin // 2)
            self._missed = None
        else:
            self._once, self._missed = self._missed != at, at

    def _newest(self, edge_ms: int) -> int:
        since = edge_ms - self._phase - self._margin
        return since // self._period * self._period + self._phase

    def _again(self, at: int, *, alive: bool) -> int:
        """Return from when on a row may be asked for: it was missed, or not asked for yet."""
        if at != self._missed:
            return at
        wait = max(4 * self._margin, self._period // 4)
        return at + wait if self._once and alive else at + 2 * self._period
