"""Schedules of items and meters. There is no clock: `now` is an argument, in seconds.

Each item is due on a grid. All grids of one device begin at the same instant, so that an
item with a longer period is polled together with those of a shorter one. A missed poll is
skipped, not queued: after a late poll the grid continues.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import floor, inf
from zlib import crc32

from dlms_connector.meter import Wanted
from dlms_connector.obis import Obis

#: An item due within this part of its period, and this many seconds, is polled with others.
_NEAR, _NEAR_MOST_S = 0.05, 0.5
#: Items that a broken poll left unread are tried again after this time at the latest.
_OWED_S = 60.0

_FIRST_BACKOFF_S, _MOST_BACKOFF_S = 5.0, 300.0
#: A meter that is back is noticed within so many of its poll periods.
_MOST_PERIODS = 3
#: After a refusal: meters lock out clients that try often.
_LEAST_REFUSED_S = 60.0


def spread(text: str) -> float:
    """Return a fraction in [0, 1) that is always the same for a text: deterministic jitter."""
    return crc32(text.encode()) / (1 << 32)


def next_slot(slot: float, period: float, after: float) -> float:
    """Return the first instant of the grid that is later than `after`."""
    return slot + period * max(0, floor((after - slot) / period) + 1)


def most_wait_s(period_s: float, spread_s: float) -> float:
    """Return the longest wait for a meter with this poll period.

    In a fleet of thousands it is longer, in proportion to `spread_s`, the time in which all its
    meters can be tried once.
    """
    return min(_MOST_BACKOFF_S, max(_MOST_PERIODS * period_s, 2 * spread_s))


def backoff_s(
    failures: int, jitter: float, *, refused: bool = False, most_s: float = _MOST_BACKOFF_S
) -> float:
    """Return how many seconds to wait after so many failures in a row.

    The wait is 5 s, doubled up to `most_s`. `jitter` in [0, 1) takes off up to a quarter, so that
    meters that failed together are not tried together. After a refusal it is at least 60 s.
    """
    if refused:
        return min(_LEAST_REFUSED_S * 2.0 ** min(failures - 1, 16), _MOST_BACKOFF_S) + 15 * jitter
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16), most_s) * (1 - jitter / 4)


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
        self._soon: tuple[Wanted, ...] = ()
        self._soon_due = inf
        #: By how much the shortest period is lengthened, as the meter cannot be polled so often.
        self.stretch = 1.0

    @property
    def due(self) -> float:
        """When the next item is due; infinity if there is none."""
        slots = min((group.due for group in self._groups), default=inf)
        return min(slots, self._owed_due, self._soon_due)

    @property
    def period(self) -> float:
        """The shortest period; infinity if there is no item."""
        return min((group.period for group in self._groups), default=inf)

    def hasten(self, class_id: int, obis: Obis, now: float) -> bool:
        """Poll the items of an object at once, beside their grid, because it was changed.

        Returns whether there are such items.
        """
        items = (one for group in self._groups for one in group.members)
        found = [one for one in items if (one.item.class_id, one.item.obis) == (class_id, obis)]
        if found:
            self._soon = (*self._soon, *(one for one in found if one not in self._soon))
            self._soon_due = now
        return bool(found)

    def take(self, now: float) -> tuple[Wanted, ...]:
        """Return the items that are due or nearly due; call `done` after polling them."""
        self._taken = tuple(group for group in self._groups if group.due - group.near <= now)
        due = [one for group in self._taken for one in group.members]
        due += [one for one in self._owed if one not in due]
        due += [one for one in self._soon if one not in due]
        self._soon, self._soon_due = (), inf
        return tuple(due)

    def done(self, now: float, unread: Sequence[Wanted] = ()) -> None:
        """Note that the taken items were polled by `now`.

        Items that stayed unread, because the meter fell silent, are polled again at the next
        poll, even if their own period is a day.
        """
        least_s = self.period * self.stretch
        for group in self._taken:
            # A poll that ended shortly after a slot does not skip this slot.
            after = max(group.due, now - group.near)
            group.due = next_slot(group.due, max(group.period, least_s), after)
        self._taken = ()
        self._owed = tuple(unread)
        self._owed_due = now + min(_OWED_S, self.period) if unread else inf

    def slot_after(self, after: float) -> float:
        """Return the first instant later than `after` on the grid of the shortest period."""
        fastest = min(self._groups, key=lambda group: group.period, default=None)
        return next_slot(fastest.due, fastest.period * self.stretch, after) if fastest else inf


class Schedule:
    """Tells which of any number of names is due first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._valid: dict[str, int] = {}
        self._order = 0

    def set(self, name: str, at: float) -> None:
        """Set when a name is due, in place of an earlier time; infinity is never."""
        self._order += 1
        self._valid[name] = self._order
        if at < inf:
            heapq.heappush(self._heap, (at, self._order, name))

    def pop(self, now: float) -> str | None:
        """Return the most overdue name, if any is due; equal times come in order."""
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
