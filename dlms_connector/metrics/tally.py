"""Counting what happens to all meters together: written in one thread, read in any."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkClosedError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
    SecurityError,
    StateBusyError,
    UnkeptError,
)
from dlms_connector.metrics.description import RESULTS

#: Upper bounds in seconds. A poll takes a round trip: milliseconds over TCP, seconds by radio.
POLL_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: A loop that is late by more than a tenth of a second has too much to do.
LATE_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

#: The first that fits; the order is from the special to the general.
_CLASSES: tuple[tuple[type[DlmsError], str], ...] = (
    (ConfigError, "configuration"),
    (UnkeptError, "state"),
    (StateBusyError, "state"),
    (RefusedError, "refused"),
    (ConnectError, "unreachable"),
    (LinkClosedError, "closed"),
    (LinkTimeoutError, "silent"),
    (SecurityError, "security"),
    (ProtocolError, "protocol"),
)


class Histogram:
    """How many values were at most each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bounds with the number of values up to each; the last is all."""
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(list(self._counts)), strict=True))


class Tally:
    """Polls by result, and how long they took."""

    def __init__(self) -> None:
        self.polls = dict.fromkeys(RESULTS, 0)
        self.duration = Histogram(POLL_BOUNDS)

    def polled(self, error: DlmsError | None, seconds: float) -> None:
        """Count a poll; the time of one that failed tells of timeouts only, and is left out."""
        if error is None:
            self.duration.add(seconds)
        self.polls[result_of(error)] += 1

    def __str__(self) -> str:
        """Say what came of all polls, with the reasons of those that failed."""
        failed = {name: count for name, count in self.polls.items() if count and name != "ok"}
        reasons = ", ".join(f"{count} {name}" for name, count in failed.items())
        told = f"{self.polls['ok']} polls answered, {sum(failed.values())} failed"
        return f"{told} ({reasons})" if reasons else told


def result_of(error: DlmsError | None) -> str:
    """Return the class of a failure, for the label `result`; "ok" for none."""
    if error is None:
        return "ok"
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "other")
