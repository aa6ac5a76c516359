"""What is told of pushes that are not taken: once a day for each sender, and of so many only.

Whoever can reach a listener can send anything. So a message has a cause and a sender, both short,
and the memory for them is bounded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

#: Senders and causes that are named in a day; more of them are logged at DEBUG only.
_MOST_NAMED = 200
_NEWS_AGAIN_S = 86_400.0


class News:
    """Logs each cause of each sender once a day."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._named: set[tuple[str, str]] = set()
        self._again_at = 0.0

    def tell(self, sender: str, cause: str, sentence: str, hint: str = "") -> None:
        """Tell a sentence about a sender; `cause` is the kind of news."""
        now = self._clock()
        if now >= self._again_at:
            self._named.clear()
            self._again_at = now + _NEWS_AGAIN_S
        news = (sender, cause) not in self._named and len(self._named) < _MOST_NAMED
        level = logging.WARNING if news else logging.DEBUG
        self._log.log(level, "%s: %s%s", sender, sentence, f" ({hint})" if hint else "")
        if news:
            self._named.add((sender, cause))
            if len(self._named) == _MOST_NAMED:
                self._log.warning("pushes that are not taken are not named any more today")

    def forget(self, sender: str, cause: str) -> None:
        """Note that a cause is over: the next time it is news again."""
        self._named.discard((sender, cause))
