"""Places for connections: where lines are more than places, they take turns.

A line takes its place before it talks, and keeps it as long as it keeps its link open. When another
line waits, the line whose link has been idle longest gives its place up; if none is idle, the next
that ends a turn does. Those who wait are served in the order of their coming.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf


class Places:
    """A number of places that seats share, None for as many as there are; used in one event loop.

    Lines whose meters do not answer hold half of the places at most: each of them waits out its
    timeouts there, and those that answer would come late.
    """

    def __init__(self, most: int | None) -> None:
        self._most, self._most_silent = _limits(most)
        #: Who has a place, and whether as a silent one.
        self._held: dict[Seat, bool] = {}
        self._silent = 0
        self._idle: OrderedDict[Seat, None] = OrderedDict()
        #: Who was asked to give its place up, and has not done it yet.
        self._asked: set[Seat] = set()
        self._coming = 0
        self._queues: dict[bool, deque[tuple[int, Seat, asyncio.Future[None]]]] = {
            False: deque(),
            True: deque(),
        }

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return len(self._held)

    def resize(self, most: int | None) -> None:
        """Have so many places from now on; if they are fewer, nobody is driven out at once."""
        self._most, self._most_silent = _limits(most)
        self._grant()
        self._ask()

    async def take(self, seat: Seat, *, silent: bool) -> None:
        """Wait for a place; one that is held already is kept. `silent`: no answer is expected."""
        if seat in self._held:
            self._idle.pop(seat, None)
            self._mark(seat, silent=silent)
            return
        self._coming += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (self._coming, seat, future)
        self._queues[silent].append(waiting)
        self._grant()
        self._ask()
        try:
            await future
        except asyncio.CancelledError:
            with suppress(ValueError):  # else others would make room for nobody
                self._queues[silent].remove(waiting)
            self.leave(seat)
            raise

    def rest(self, seat: Seat) -> None:
        """Note that a seat's link is open and idle, so that its place may be given to others."""
        if seat in self._held:
            self._mark(seat, silent=False)
            self._idle[seat] = None
            self._ask()

    def is_wanted(self, seat: Seat) -> bool:
        """Whether a seat that ends a turn must give up its place."""
        return seat in self._asked or (seat in self._held and self._wanting > len(self._asked))

    def leave(self, seat: Seat) -> None:
        """Give up a place, if there is one."""
        if (silent := self._held.pop(seat, None)) is None:
            return
        self._silent -= silent
        self._idle.pop(seat, None)
        self._asked.discard(seat)
        self._grant()

    @property
    def _wanting(self) -> int:
        """How many of those who wait would get a place that is given up now."""
        silent = min(len(self._queues[True]), max(0, self._most_silent - self._silent))
        return len(self._queues[False]) + int(silent)

    def _mark(self, seat: Seat, *, silent: bool) -> None:
        self._silent += silent - self._held[seat]
        self._held[seat] = silent

    def _ask(self) -> None:
        while self._idle and self._wanting > len(self._asked):
            seat, _ = self._idle.popitem(last=False)
            if seat not in self._asked:
                self._asked.add(seat)
                seat.wake()

    def _grant(self) -> None:
        while len(self._held) < self._most:
            open_to = [
                silent
                for silent, queue in self._queues.items()
                if queue and not (silent and self._silent >= self._most_silent)
            ]
            if not open_to:
                return
            silent = min(open_to, key=lambda each: self._queues[each][0][0])
            _, seat, future = self._queues[silent].popleft()
            if not future.done():
                self._held[seat] = silent
                self._silent += silent
                future.set_result(None)


def _limits(most: int | None) -> tuple[float, float]:
    """Return how many may have a place, and how many of them may be silent."""
    return (inf, inf) if most is None else (max(1, most), max(1, most // 2))


class Seat:
    """What one line has of all places that it needs; none at all if `places` is empty.

    `wake` is called when the line shall look whether its place `is_wanted`. The places of several
    kinds are taken in one order by all lines, so that no two lines wait for each other.
    """

    def __init__(self, places: Sequence[Places], wake: Callable[[], None]) -> None:
        self._places = tuple(places)
        self.wake = wake

    async def take(self, *, silent: bool) -> None:
        """Wait for what is missing."""
        for each in self._places:
            await each.take(self, silent=silent)

    def rest(self) -> None:
        """Note that the line waits with an open link."""
        for each in self._places:
            each.rest(self)

    @property
    def is_wanted(self) -> bool:
        """Whether the line must close its link now and leave."""
        return any(each.is_wanted(self) for each in self._places)

    def leave(self) -> None:
        """Give up everything; the link is closed."""
        for each in self._places:
            each.leave(self)
