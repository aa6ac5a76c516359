"""Gives memory that is free back to the system, now and then.

The C library of most Linux systems (glibc) keeps what was freed, in up to eight arenas a core that
threads take turns in, and gives back only the end of one. A gateway has dozens of threads, and
what waits while the platform is away comes and goes: within an hour most of what the process holds
may be free, and of no use to anybody.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from dlms_connector.gateway import garbage

#: It takes some milliseconds for each 100 MB, in which other threads may wait for memory.
_PERIOD_S = 300.0
#: What the start has used, or a configuration before, goes earlier.
_FIRST_S = 20.0


def _found() -> Callable[[int], int] | None:
    """Return the C library's way to give back; others (musl, macOS) have none and need none."""
    with suppress(OSError, TypeError, AttributeError):
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    return None


class FreeMemory:
    """Gives it back soon, and then every five minutes, as long as somebody calls `look`."""

    def __init__(
        self,
        trim: Callable[[int], int] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._trim, self._clock = trim or _found(), clock
        self._due = clock() + _FIRST_S

    def look(self) -> None:
        """Give it back if it is time; call it where waiting for some milliseconds hurts nobody."""
        if self._clock() < self._due:
            return
        garbage.take_away_ended()
        if self._trim is not None:
            self._trim(0)
        self._due = self._clock() + _PERIOD_S
