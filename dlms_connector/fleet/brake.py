"""What all lines share when they read history: how many do so at once, and when none may.

History that cannot be kept is not read: while the outbox is full, one slice now and then tries
whether there is room again.
"""

from __future__ import annotations

from math import inf

#: Reads at the same time, over all lines: more would delay polls by the work on their rows.
_AT_ONCE = 64
#: How long nobody reads after a refusal; doubled up to the second.
_FIRST_S, _MOST_S = 10.0, 300.0
#: A line that found no place looks again after this time.
_AGAIN_S = 5.0
#: A slice on trial that is neither kept nor refused by then is forgotten.
_TRIAL_S = 60.0


class Brake:
    """Lets errands begin, or not; times are in seconds of the loop's clock."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = at_once
        self._refusals = 0
        self._until = -inf
        self._on_trial = False

    def lets(self, now: float) -> bool:
        """Whether an errand may begin."""
        return self._places > 0 and now >= self._until

    def again(self, now: float) -> float:
        """Return when to ask again."""
        return max(self._until, now + _AGAIN_S)

    def begin(self, now: float, *, brings: bool = True) -> None:
        """Note that an errand begins, and whether it brings a slice; call `end` after it."""
        self._places -= 1
        if self._refusals and brings:
            self._until, self._on_trial = now + _TRIAL_S, True

    def end(self) -> None:
        """Note that an errand is over."""
        self._places += 1

    def kept(self) -> bool:
        """Note that a slice was kept; return whether there was no room for the one before."""
        news = self._refusals > 0
        self._refusals, self._until, self._on_trial = 0, -inf, False
        return news

    def refused(self, now: float) -> bool:
        """Note that there was no room for a slice; return whether this is news."""
        if now < self._until and not self._on_trial:
            return False  # it was read before the first refusal
        self._until = now + min(_FIRST_S * 2.0 ** min(self._refusals, 8), _MOST_S)
        self._refusals, self._on_trial = self._refusals + 1, False
        return self._refusals == 1
