"""What is wrong with a document, as far as it is not a single device's own."""

from __future__ import annotations

from collections.abc import Iterator


class Problems:
    """Sentences in the order in which they were found; each is kept once."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}  # a set that keeps its order

    def note(self, *found: object) -> None:
        """Add sentences, or what becomes one."""
        self._found.update(dict.fromkeys(map(str, found)))

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)
