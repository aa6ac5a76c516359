"""What happened, in order: a digest of all of it, and the last of it to read."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulation.substitutes import World

#: How many lines are kept to be shown when something is wrong.
_SHOWN = 400


class Journal:
    """The log of one simulation; `watch` is called with each event as it happens."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._last: deque[str] = deque(maxlen=_SHOWN)
        self._watching: dict[str, list[Callable[..., None]]] = {}
        self.hidden: list[tuple[str, str]] = []
        self.count = 0
        #: While a process dies, what its remains do is not noted.
        self.silent = False

    def note(self, kind: str, *facts: Any) -> None:
        """Note an event, and let those who watch its kind look at it."""
        if self.silent:
            return
        line = f"{World.hub.now:.6f} {kind} {' '.join(map(str, facts))}"
        for text, instead in self.hidden:
            line = line.replace(text, instead)
        self.count += 1
        self._hash.update(line.encode())
        self._last.append(line)
        for watch in self._watching.get(kind, ()):
            watch(*facts)

    def mix(self, data: bytes) -> None:
        """Note bytes on a line: they count for the digest, and are not shown."""
        self.count += 1
        self._hash.update(data)

    def watch(self, kind: str, watch: Callable[..., None]) -> None:
        """Have something called with the facts of each event of a kind."""
        self._watching.setdefault(kind, []).append(watch)

    @property
    def digest(self) -> str:
        """The same for the same events in the same order."""
        return self._hash.hexdigest()[:16]

    def tail(self, count: int = 40) -> list[str]:
        """Return the last lines."""
        return list(self._last)[-count:]
