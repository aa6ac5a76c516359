"""What of a fleet must stay with one gateway.

The meters of an endpoint take turns, those of a group share a limit, and a port on which meters
call is one gateway's. So each of these is a unit, and what several of them have in common joins
them.
"""

from __future__ import annotations

#: A thing that one gateway has: how strongly it names a unit, and its name. The strongest thing
#: of a unit gives it its name, so that a meter that is added to an endpoint moves none.
Thing = tuple[int, str]

_PUSH: Thing = (0, "listeners")
_GROUP, _ENDPOINT = 1, 2
_KINDS = ("push", "group", "endpoint")


class Units:
    """Joins what belongs together; afterwards `of` tells the unit of an endpoint."""

    def __init__(self) -> None:
        self._above: dict[Thing, Thing] = {}

    @staticmethod
    def push() -> str:
        """Return the unit of the listeners for pushes, and of the meters that only push."""
        return _named(_PUSH)

    def add(self, endpoint: str, *, group: str | None = None, pushes: bool = False) -> None:
        """Note an endpoint, its group, and whether one of its meters pushes to a listener."""
        here = (_ENDPOINT, endpoint)
        self._above.setdefault(here, here)
        if group is not None:
            self._join(here, (_GROUP, group))
        if pushes:
            self._join(here, _PUSH)

    def of(self, endpoint: str) -> str:
        """Return the key of the unit that an endpoint belongs to."""
        return _named(self._top((_ENDPOINT, endpoint)))

    def _join(self, one: Thing, other: Thing) -> None:
        first, second = self._top(one), self._top(other)
        strongest = min(first, second)
        self._above[first] = self._above[second] = strongest

    def _top(self, thing: Thing) -> Thing:
        above = self._above.setdefault(thing, thing)
        while above != thing:
            thing, above = above, self._above[above]
        return thing


def _named(thing: Thing) -> str:
    kind, name = thing
    return f"{_KINDS[kind]} {name}"
