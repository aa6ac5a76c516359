"""What is due when. Knows no clock: `now` is told, in seconds of any steady clock.

Each item is due on a grid, all grids of one device begin at the same instant, so that an
item with a longer period comes along with those of a shorter one. A poll that was missed
is skipped, not queued: after a late poll the grid goes on.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import floor, inf
from zlib import crc32

from dlms_connector.meter import Wanted

#: An item due within this part of its period, and this time, is polled along with others.
_NEAR, _NEAR_MOST_S = 0.05, 0.5
#: Items that a broken poll left unread are tried again after this time at the latest.
_OWED_S = 60.0

_FIRST_BACKOFF_S, _MOST_BACKOFF_S = 5.0, 300.0
#: After a refusal: meters lock out whoever keeps guessing.
_LEAST_REFUSED_S = 60.0


def spread(text: str) -> float:
    """Return a fraction in [0, 1) that is always the same for a text: jitter that is told."""
    return crc32(text.encode()) / (1 << 32)


def next_slot(slot: float, period: float, after: float) -> float:
    """Return the first instant of the grid that is later than `after`."""
    return slot + period * max(0, floor((after - slot) / period) + 1)


def backoff_s(failures: int, jitter: float, *, refused: bool = False) -> float:
    """Return how long to leave a meter alone after so many failures in a row.

    5 s, doubled up to 300 s, less up to a quarter by `jitter` in [0, 1), so that meters that
    failed together do not come back together; at least 60 s after a refusal.
    """
    if refused:
        return min(_LEAST_REFUSED_S * 2.0 ** min(failures - 1, 16), _MOST_BACKOFF_S) + 15 * jitter
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16), _MOST_BACKOFF_S) * (1 - jitter / 4)


class _Group:
    """The items of a device that share a period."""

    __slots__ = ("due", "members", "period")

    def __init__(self, period: float, due: float) -> None:
        self.period = period
        self.due = due
        self.members: list[Wanted] = []

    @property
    def near(self) -> float:
        return min(self.period * _NEAR, _NEAR_MOST_S)


class Agenda:
    """When the items of one device are due."""

    def __init__(self, items: Sequence[Wanted], start: float) -> None:
        groups: dict[float, _Group] = {}
        for one in items:
            groups.setdefault(one.period_s, _Group(one.period_s, start)).members.append(one)
        self._groups = tuple(groups.values())
        self._taken: tuple[_Group, ...] = ()
        self._owed: tuple[Wanted, ...] = ()
        self._owed_due = inf

    @property
    def due(self) -> float:
        """When the next item is due; infinity if there is none."""
        return min(min((group.due for group in self._groups), default=inf), self._owed_due)

    @property
    def period(self) -> float:
        """The shortest period; infinity if there is no item."""
        return min((group.period for group in self._groups), default=inf)

    def take(self, now: float) -> tuple[Wanted, ...]:
        """Return what is due or nearly so; call `done` once it was polled."""
        self._taken = tuple(group for group in self._groups if group.due - group.near <= now)
        due = [one for group in self._taken for one in group.members]
        return (*due, *(one for one in self._owed if one not in due))

    def done(self, now: float, unread: Sequence[Wanted] = ()) -> None:
        """Note that what was taken was polled by `now`.

        What stayed unread, because the meter fell silent, is owed: it comes along at the next
        poll even if its own period is a day.
        """
        for group in self._taken:
            # A poll that ended a little after a slot may still keep it.
            group.due = next_slot(group.due, group.period, max(group.due, now - group.near))
        self._taken = ()
        self._owed = tuple(unread)
        self._owed_due = now + min(_OWED_S, self.period) if unread else inf

    def slot_after(self, after: float) -> float:
        """Return the first instant later than `after` on the grid of the shortest period."""
        fastest = min(self._groups, key=lambda group: group.period, default=None)
        return next_slot(fastest.due, fastest.period, after) if fastest else inf


class Schedule:
    """Who is due first, among any number of names."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._valid: dict[str, int] = {}
        self._order = 0

    def set(self, name: str, at: float) -> None:
        """Make a name due at an instant, whatever was said before; infinity is never."""
        self._order += 1
        self._valid[name] = self._order
        if at < inf:
            heapq.heappush(self._heap, (at, self._order, name))

    def pop(self, now: float) -> str | None:
        """Return the name most overdue, if any is due; names due at once come in order."""
        at = self.next_due
        if at is None or at > now:
            return None
        name = heapq.heappop(self._heap)[2]
        del self._valid[name]
        return name

    @property
    def next_due(self) -> float | None:
        """When the next name is due."""
        while self._heap and self._valid.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
