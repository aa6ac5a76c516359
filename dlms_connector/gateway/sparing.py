"""Warnings that may come in floods: the first is a line, of the others the number is told."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from threading import Lock

#: Seconds that are summed up in one line.
PERIOD_S = 60.0


class Sparing:
    """Logs the first warning of a kind at once, and once per period how many more there were.

    `later` runs a job in so many seconds. Used by any thread.
    """

    def __init__(
        self, log: Logger, kind: str, later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        self._log, self._kind, self._later = log, kind, later
        self._lock = Lock()
        self._open = False
        self._more = 0

    def warn(self, detail: object) -> None:
        """Log a warning, or count it."""
        with self._lock:
            first, self._open = not self._open, True
            self._more += not first
        if first:
            self._log.warning("%s: %s", self._kind, detail)
            self._later(PERIOD_S, self._period_over)
        else:
            self._log.debug("%s: %s", self._kind, detail)

    def tell(self) -> None:
        """Log how many warnings were only counted; called at the end too."""
        with self._lock:
            more, self._more = self._more, 0
        if more:
            self._log.warning("%s: %d more of this kind since", self._kind, more)

    def _period_over(self) -> None:
        with self._lock:
            self._open = self._more > 0
            going_on = self._open
        self.tell()
        if going_on:
            self._later(PERIOD_S, self._period_over)
