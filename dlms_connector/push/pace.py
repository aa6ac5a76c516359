"""How fast a sender may send: so much at once, and then so much per second."""

from __future__ import annotations

from typing import NamedTuple


class Pace(NamedTuple):
    """Units per second, and how many may come at once."""

    per_second: float
    at_once: float

    def begin(self) -> Budget:
        """Return what a new sender may send."""
        return Budget(self)


class Budget:
    """What one sender may still send; it grows with time."""

    __slots__ = ("_left", "_pace", "_since")

    def __init__(self, pace: Pace) -> None:
        self._pace, self._left = pace, pace.at_once
        self._since: float | None = None

    def spend(self, units: float, now: float) -> bool:
        """Take units at a time in seconds; false if there were not so many: none are owed then.

        Nothing is left after that, so that a flood is as good as a steady stream.
        """
        if self._since is not None:
            grown = (now - self._since) * self._pace.per_second
            self._left = min(self._pace.at_once, self._left + grown)
        self._since = now
        fits = self._left >= units and self._left > 0
        self._left = max(0.0, self._left - units)
        return fits
