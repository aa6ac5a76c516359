"""How long it takes to read rows of a meter, learned from the reads before. There is no clock.

A read takes a fixed time (round trips, perhaps an association) and a time for each row. Both follow
from a regression over the last reads, in which older ones count less.
"""

from __future__ import annotations

from math import inf

#: How much the reads before still count after one more.
_KEPT = 0.85
#: Before anything is known: a slow serial line, so that the first read is a small one.
_FIXED_S, _ROW_S = 1.0, 0.5
#: Estimates are that much larger than what the reads say.
_CAUTION = 1.25
#: A read has at most so many times the rows of the largest one before.
_GROWTH = 2
_FIRST_ROWS = 4


class Tempo:
    """The fixed time and the time per row of one meter, in seconds."""

    def __init__(self) -> None:
        self._count = self._rows = self._squares = self._seconds = self._products = 0.0
        self._largest = 0

    def read(self, rows: int, seconds: float) -> None:
        """Note that a read of so many rows took so long."""
        self._largest = max(self._largest, rows)
        self._count = self._count * _KEPT + 1
        self._rows = self._rows * _KEPT + rows
        self._squares = self._squares * _KEPT + rows * rows
        self._seconds = self._seconds * _KEPT + seconds
        self._products = self._products * _KEPT + rows * seconds

    def seconds(self, rows: int) -> float:
        """Return about how long a read of so many rows takes."""
        fixed_s, row_s = self._line()
        return _CAUTION * (fixed_s + row_s * rows)

    def rows(self, seconds: float) -> int:
        """Return how many rows can be read in a time; 0 if not even one."""
        most = self._largest * _GROWTH or _FIRST_ROWS
        if seconds == inf:
            return most
        fixed_s, row_s = self._line()
        left_s = seconds / _CAUTION - fixed_s
        if left_s < row_s or left_s < 0:
            return 0
        return most if left_s >= row_s * most else int(left_s / row_s)

    def _line(self) -> tuple[float, float]:
        if not self._count:
            return _FIXED_S, _ROW_S
        mean_rows, mean_s = self._rows / self._count, self._seconds / self._count
        spread = self._squares - self._rows * mean_rows
        if spread <= 1e-6 * self._squares or not self._squares:
            # All reads were of one size: half of their time may be due to the rows.
            row_s = mean_s / 2 / mean_rows if mean_rows else mean_s
            return mean_s - row_s * mean_rows, row_s
        row_s = (self._products - self._rows * mean_s) / spread
        row_s = min(max(row_s, 0.0), mean_s / mean_rows)
        return mean_s - row_s * mean_rows, row_s
