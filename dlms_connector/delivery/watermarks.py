"""Proof by two client attributes in a row, where no receipts come.

The platform saves telemetry and attributes in separate batches. One attribute read back does not
prove that telemetry sent before it is stored; two, the second sent after the first was read back,
were never early (70 rounds on a real server). What remains: a message that the platform refuses,
or a database that stalls for more than 2 s, is not noticed.

Pure: told the time, in seconds. A *round* confirms what a device handed over a margin before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

#: The client attribute.
WATERMARK_KEY = "dlmsWatermark"

#: Seconds that data is older than the watermark behind it: longer than the server works on a pack.
MARGIN_S = 3.0
#: Rounds at a time and rounds begun per second: each takes four messages or more.
MOST_ROUNDS, PER_S = 64, 10.0
#: Seconds before an attribute is asked for, the first and the longest time.
_ASK_S, _ASK_LONGEST_S = 0.2, 10.0
#: Seconds until a watermark that does not show is sent again, and how often it is.
_PATIENCE_S, _TIMES = 20.0, 3
#: Rounds of a device that fail in a row until it counts as never answered, and its longest pause.
_FAILURES, _LONGEST_PAUSE_S = 5, 3600.0


@dataclass(frozen=True, slots=True)
class Publish:
    """Send the watermark of a device."""

    device: str
    number: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Request the watermark of a device."""

    device: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A round failed: what it was to confirm may be lost. `silent`: it failed very often."""

    device: str
    silent: bool


Action = Publish | Ask | Failed


@dataclass(slots=True)
class _Round:
    covers: int
    number: int
    second: bool = False
    times: int = 0
    asked: int = 0
    ask_at: float = 0.0
    until: float = 0.0


class Watermarks:
    """The rounds of all devices.

    `covers` returns the last hand-over of a device before a time, None if none waits for a round.
    """

    def __init__(
        self,
        period_s: float,
        numbers: Iterator[int],
        covers: Callable[[str, float], int | None],
        *,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._period_s, self._numbers, self._covers = period_s, numbers, covers
        self._margin_s = margin_s
        self._rounds: dict[str, _Round] = {}
        self._due: list[tuple[float, str]] = []
        self._waits: dict[str, float] = {}
        self._earliest: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._begin_at = 0.0

    def wanted(self, device: str, now: float) -> None:
        """Note that something of a device was handed over that a round is to confirm."""
        if device not in self._rounds and device not in self._waits:
            at = max(now + self._margin_s, self._earliest.get(device, 0.0))
            self._waits[device] = at
            heappush(self._due, (at, device))

    def step(self, now: float) -> Iterator[Action]:
        """Yield what is to be done now."""
        for device, round_ in list(self._rounds.items()):
            if now >= round_.until:
                yield self._try_again(device, round_, now)
            elif now >= round_.ask_at:
                round_.ask_at = now + min(_ASK_S * 2.0**round_.asked, _ASK_LONGEST_S)
                round_.asked += 1
                yield Ask(device)
        while self._due and self._due[0][0] <= now and len(self._rounds) < MOST_ROUNDS:
            if now < self._begin_at:
                return
            at, device = heappop(self._due)
            if self._waits.get(device) != at:
                continue
            del self._waits[device]
            covers = self._covers(device, now - self._margin_s)
            if covers is None:
                if self._covers(device, now) is not None:
                    self.wanted(device, now)
                continue
            # A burst of a second's rounds is fine; more are spread.
            self._begin_at = max(self._begin_at, now - 1.0) + 1.0 / PER_S
            self._earliest[device] = now + self._period_s
            round_ = self._rounds[device] = _Round(covers, 0)
            yield self._publish(device, round_, now)

    def due(self) -> float | None:
        """Return when `step` has something to do, None if nothing waits."""
        times = [min(each.ask_at, each.until) for each in self._rounds.values()]
        if self._due and len(self._rounds) < MOST_ROUNDS:
            times.append(max(self._due[0][0], self._begin_at))
        return min(times, default=None)

    def answered(self, device: str, value: object, now: float) -> int | Publish | None:
        """Take a watermark that was read back.

        Returns the last hand-over that is confirmed, the second watermark to be sent, or None if
        the value is not the one that is waited for.
        """
        round_ = self._rounds.get(device)
        if round_ is None or isinstance(value, bool) or value != round_.number:
            return None
        if not round_.second:
            round_.second, round_.times = True, 0
            return self._publish(device, round_, now)
        del self._rounds[device]
        self._failures.pop(device, None)
        return round_.covers

    def is_silent(self, device: str) -> bool:
        """Whether the platform never answers for a device."""
        return self._failures.get(device, 0) >= _FAILURES

    def forget(self, device: str) -> None:
        """Drop the round of a device: it was deleted, or its data is sent again."""
        self._rounds.pop(device, None)
        self._waits.pop(device, None)

    def lost(self) -> None:
        """Drop all rounds: the connection was lost, and perhaps data with it."""
        self._rounds.clear()
        self._waits.clear()
        self._due.clear()

    def _publish(self, device: str, round_: _Round, now: float) -> Publish:
        round_.number = next(self._numbers)
        round_.asked, round_.ask_at, round_.until = 0, now + _ASK_S, now + _PATIENCE_S
        return Publish(device, round_.number)

    def _try_again(self, device: str, round_: _Round, now: float) -> Action:
        round_.times += 1
        if round_.times <= _TIMES:
            return self._publish(device, round_, now)
        del self._rounds[device]
        failures = self._failures[device] = self._failures.get(device, 0) + 1
        pause = min(self._period_s * 2.0 ** min(failures, 12), _LONGEST_PAUSE_S)
        self._earliest[device] = now + pause
        return Failed(device, failures >= _FAILURES)
