"""Spans of time that are not asked for before an instant."""

from __future__ import annotations

from dlms_connector.records import DAY_MS, Spans, merged

#: Longest time for which something is held off: a clock that jumped must not make it years.
LONGEST_MS = 7 * DAY_MS
#: More are not told apart: neighbours become one, with what lies between them.
_MOST = 128


class HoldOff:
    """Spans, each with the instant at which it may be asked for again."""

    def __init__(self) -> None:
        #: Start, end, and that instant.
        self._held: list[tuple[int, int, int]] = []

    def add(self, start_ms: int, end_ms: int, now_ms: int, wait_ms: int) -> None:
        """Hold a span off for some time, up to twice as long.

        Neighbours that were held off at different times come back together, as one.
        """
        wait_ms = min(wait_ms, LONGEST_MS // 2)
        grain = 1 << wait_ms.bit_length() - 1
        until = -(-(now_ms + wait_ms) // grain) * grain
        others = [each for each in self._held if not start_ms <= each[0] < each[1] <= end_ms]
        for first, after, till in others:
            if till == until and first <= end_ms and start_ms <= after:
                start_ms, end_ms = min(start_ms, first), max(end_ms, after)
        self._held = sorted(
            [
                *(each for each in others if not start_ms <= each[0] < each[1] <= end_ms),
                (start_ms, end_ms, until),
            ]
        )
        if len(self._held) > _MOST:
            self._join_nearest()

    def spans(self, now_ms: int) -> Spans:
        """Return what is held off now; what is over is forgotten."""
        self._held = [each for each in self._held if now_ms < each[2] <= now_ms + LONGEST_MS]
        return merged((start, end) for start, end, _ in self._held)

    def next_ms(self) -> int | None:
        """Return when the first of them ends."""
        return min((until for *_, until in self._held), default=None)

    def set_back(self, by_ms: int) -> None:
        """Note that the clock was set back by so much."""
        self._held = [(start, end, until - by_ms) for start, end, until in self._held]

    def clear(self) -> None:
        """Hold off nothing."""
        self._held.clear()

    def _join_nearest(self) -> None:
        """Make the two that are nearest to each other one: none is asked for too early."""
        pairs = range(len(self._held) - 1)
        at = min(pairs, key=lambda at: self._held[at + 1][0] - self._held[at][1])
        (start, end, until), (_, other_end, other) = self._held[at : at + 2]
        self._held[at : at + 2] = [(start, max(end, other_end), max(until, other))]
