"""Wakes one task: an `asyncio.Event` for one that waits, without its queue of those who do.

Each line has one, and a fleet has thousands of lines.
"""

from __future__ import annotations

import asyncio


class Alarm:
    """Rings in one event loop; a ring while nobody waits is kept until `clear`."""

    __slots__ = ("_rung", "_sleeper")

    def __init__(self) -> None:
        self._rung = False
        self._sleeper: asyncio.Future[None] | None = None

    def clear(self) -> None:
        """Forget earlier rings."""
        self._rung = False

    def ring(self) -> None:
        """Wake who waits, or the next one who does."""
        self._rung = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        """Return what is done when it has rung; one task waits at a time."""
        self._sleeper = asyncio.get_running_loop().create_future()
        if self._rung:
            self._sleeper.set_result(None)
        return self._sleeper
