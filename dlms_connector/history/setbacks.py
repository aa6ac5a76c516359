"""How long a slice that failed waits, and how much smaller the next ones are."""

from __future__ import annotations

from collections import Counter

from dlms_connector.history.errand import Errand
from dlms_connector.records import DAY_MS

_FIRST_MS, _LONGEST_MS = 60_000, 21_600_000
#: A meter is spared for hours; a full disk of ours is emptied sooner.
_LONGEST_UNKEPT_MS = 900_000
#: Slices are a half, a quarter ... of what they could be, down to this.
_SMALLEST_SHARE = 64
#: More failing slices are not told apart.
_MOST = 64


class Setbacks:
    """Counts failures of one profile, by day and kind of errand, those of ours apart.

    After an hour with a full disk of ours, the first failure of the meter is its first.
    """

    def __init__(self) -> None:
        self._failures: Counter[tuple[str, int, bool]] = Counter()
        #: By what the length of a slice is divided.
        self.share = 1

    def failed(self, errand: Errand, *, unkept: bool = False) -> int:
        """Count a failure; return the wait until it is tried again, in ms.

        `unkept` says that the meter had its part done, and the rows could not be kept.
        """
        key = errand.kind, errand.start_ms // DAY_MS, unkept
        if len(self._failures) >= _MOST and key not in self._failures:
            del self._failures[next(iter(self._failures))]
        self._failures[key] += 1
        self.share = min(self.share * 2, _SMALLEST_SHARE)
        longest_ms = _LONGEST_UNKEPT_MS if unkept else _LONGEST_MS
        return min(_FIRST_MS << min(self._failures[key] - 1, 20), longest_ms)

    def done(self, errand: Errand) -> None:
        """Forget the failures of an errand that is done."""
        for unkept in (False, True):
            del self._failures[errand.kind, errand.start_ms // DAY_MS, unkept]
        self.share = max(1, self.share // 2)
