"""What is made of the same objects is made once: meters of one template differ in little."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

#: Most fleets have some templates. Where each device has items of its own, nothing is gained.
_MOST = 256


class Alike(Generic[T]):
    """Values by the objects that they were made of, which are told apart by identity.

    For objects that cannot be hashed, or not cheaply, such as items of the configuration. With very
    many the oldest value is forgotten, and made again for the next who asks.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        #: The parts are kept with what they became, so that no other object gets their identity.
        self._made: dict[Hashable, tuple[Sequence[object], T]] = {}

    def of(self, parts: Sequence[object], rest: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` has made, or makes, of these objects and of a `rest` that is equal."""
        key = (tuple(map(id, parts)), rest)
        if (kept := self._made.get(key)) is not None:
            return kept[1]
        made = make()
        while len(self._made) >= self._most:
            self._made.pop(next(iter(self._made)), None)
        self._made[key] = parts, made
        return made
