"""Breaks in work on many rows: the loop serves other meters between."""

from __future__ import annotations

#: Cells that are worked on without a break: dates take some ten microseconds each.
_AT_ONCE = 1 << 10


class Pace:
    """Counts cells; says when a break is due."""

    def __init__(self) -> None:
        self._since = 0

    def is_due(self, cells: int = 1) -> bool:
        """Count cells; return whether so many were worked on that others should run."""
        self._since += cells
        if self._since < _AT_ONCE:
            return False
        self._since = 0
        return True
