"""Reads rows by entry number: the newest ones, or those of a time range.

Entries are counted from 1 in the order of the buffer. Here a *depth* counts rows from the newest
one, 0, backwards: depths stay the same whatever that order is, and however full the buffer is. A
range is found by its times: the capture period tells how deep it should be, and the rows that were
read tell how far that was wrong. So a day of last year costs a few requests, not a year of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dlms_connector.cosem import AttributeRef, ByEntry
from dlms_connector.history.profiles import ENTRIES_IN_USE, PROFILE_GENERIC, Layout, Row
from dlms_connector.history.range_reading import Answer, Question, buffer
from dlms_connector.history.rows import falls, in_order, read_rows
from dlms_connector.interpret import Options
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.talk import Talk

#: Entries read first, and the factor for the next try if times do not tell where to look.
_FIRST_ENTRIES, _GROWTH = 32, 4
#: Rows read beside the expected ones: some may have come, or be missing, since the last look.
_MARGIN = 4
#: Rows of one request, and requests of one search: halves find a row among 2^32.
_MOST_ROWS, _MOST_LOOKS = 4096, 40
#: So many guesses by time may miss; then halves are tried.
_GUESSES = 6


def entries_in_use(client: Client, obis: Obis) -> Talk[int]:
    """Return how many rows a profile holds; 0 if the meter tells no number."""
    used = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, ENTRIES_IN_USE))
    is_number = isinstance(used.value, int) and not isinstance(used.value, bool)
    return max(0, used.value) if is_number else 0


def read_entries(client: Client, wanted: Question) -> Talk[Answer]:
    """Read the rows of a range by entry number."""
    entries = yield from entries_in_use(client, wanted.obis)
    if not entries:
        return Answer([])
    rows = yield from _searched(client, wanted, entries)
    if rows is None:
        rows = yield from _from_the_end(client, wanted, entries)
    return Answer(wanted.within(in_order(rows, newest_first=wanted.shape.newest_first)))


def newest(
    client: Client, obis: Obis, shape: Layout, count: int, entries: int, options: Options
) -> Talk[list[Row]]:
    """Read the newest rows in buffer order.

    The order that the rows themselves show counts more than what the meter says of it.
    """
    rows = yield from _rows_at(client, obis, shape, (0, count - 1), entries, options)
    down = falls(rows)
    if down is None or down == shape.newest_first or count >= entries:
        return rows
    shape = replace(shape, newest_first=down)
    return (yield from _rows_at(client, obis, shape, (0, count - 1), entries, options))


def _rows_at(
    client: Client,
    obis: Obis,
    shape: Layout,
    depths: tuple[int, int],
    entries: int,
    options: Options,
) -> Talk[list[Row]]:
    """Read the rows of two depths and between, in buffer order."""
    shallow, deep = depths
    # Both numbers are given, from 1 and forwards: not every meter takes 0 for the last entry.
    first = shallow + 1 if shape.newest_first else entries - deep
    selection = ByEntry(first=first, last=first + deep - shallow)
    data = yield from buffer(client, obis, selection)
    rows = yield from read_rows(data, shape, options)
    # Some meters (gurux.dlms 4.0) take the last number for a count: what is behind is surplus.
    return rows[: deep - shallow + 1]


@dataclass
class _Search:
    """The depths where rows of a range may lie, and the rows found so far, by depth."""

    start: float
    end: float
    period_s: int
    shallow: int
    deep: int
    rows: dict[int, Row] = field(default_factory=dict)
    #: The nearest row that is too new, and the nearest that is too old: depth and time.
    newer: tuple[int, float] | None = None
    older: tuple[int, float] | None = None
    looks: int = 0

    def take(self, depth: int, row: Row) -> None:
        """Note the row of a depth, and what its time tells about the others."""
        at = row.at.timestamp() if row.at is not None else 0.0
        self.rows[depth] = row
        if at > self.end and depth >= self.shallow:
            self.shallow, self.newer = depth + 1, (depth, at)
        if at < self.start and depth <= self.deep:
            self.deep, self.older = depth - 1, (depth, at)

    def next(self) -> tuple[int, int] | None:
        """Return the depths to look at next; None if all rows of the range are known."""
        if all(depth in self.rows for depth in range(self.shallow, self.deep + 1)):
            return None
        self.looks += 1
        inside = [d for d in self.rows if self.shallow <= d <= self.deep]
        if not inside:
            first = self._guess()
            return first, min(self.deep, first + self.size - 1)
        top, bottom = min(inside), max(inside)
        missing = next((d for d in range(top, bottom) if d not in self.rows), None)
        if missing is not None:
            return missing, min(bottom, missing + self.size - 1)
        if top > self.shallow:
            count = self._count(self.end - self._at(top))
            return max(self.shallow, top - count), top - 1
        count = self._count(self._at(bottom) - self.start)
        return bottom + 1, min(self.deep, bottom + count)

    def _count(self, span_s: float) -> int:
        """Return how many rows to read for a part of the range."""
        if not self.period_s:
            return _FIRST_ENTRIES
        return min(max(0, int(span_s // self.period_s)) + _MARGIN, _MOST_ROWS)

    def _at(self, depth: int) -> float:
        at = self.rows[depth].at
        return at.timestamp() if at is not None else 0.0

    def nearest(self) -> list[tuple[int, float]]:
        """Return the depth and the time of the newest row that was found, if any was."""
        depths = sorted(self.rows)[:1]
        return [(depth, self._at(depth)) for depth in depths]

    @property
    def size(self) -> int:
        """How many rows to read at once."""
        if not self.period_s:
            return _FIRST_ENTRIES
        expected = int((self.end - self.start) // self.period_s) + 1
        return min(expected + 2 * _MARGIN, _MOST_ROWS)

    def _guess(self) -> int:
        """Return the depth at which the newest row of the range should lie, less some."""
        newer, older = self.newer, self.older
        if self.looks > _GUESSES:
            return (self.shallow + self.deep) // 2
        if newer is not None and older is not None:
            (depth, at), (deep, old) = newer, older
            share = (at - self.end) / (at - old) if at > old else 0.5
            guess = depth + int((deep - depth) * share)
        elif newer is not None:
            guess = self._counted(newer) if self.period_s else self.deep
        elif older is not None:
            guess = self._counted(older) if self.period_s else self.shallow
        else:
            guess = self.shallow
        return max(self.shallow, min(guess - _MARGIN, self.deep))

    def _counted(self, known: tuple[int, float]) -> int:
        """Return the depth where the range begins, counted by the period from a known row."""
        depth, at = known
        return depth + int((at - self.end) // self.period_s)


def _searched(client: Client, wanted: Question, entries: int) -> Talk[list[Row] | None]:
    """Return the rows of a range in buffer order; None if their times do not tell where it is."""
    obis, shape, options = wanted.obis, wanted.shape, wanted.options
    search = _Search(
        wanted.start.timestamp(), wanted.end.timestamp(), shape.period_s, 0, entries - 1
    )
    look: tuple[int, int] | None = _first_look(search, wanted.seen)
    turned = False
    while look is not None:
        if search.looks > _MOST_LOOKS:
            return None
        rows = yield from _rows_at(client, obis, shape, look, entries, options)
        if len(rows) != look[1] - look[0] + 1 or any(row.at is None for row in rows):
            return None
        down = falls(rows)
        if down is not None and down != shape.newest_first:
            if turned:
                return None  # neither order
            shape, turned = replace(shape, newest_first=down), True
            search.rows.clear()
            continue
        backwards = _newest_first(rows, shape)
        if any(_is_newer(later, row) for row, later in pairwise(backwards)):
            return None  # the clock was set back
        for depth, row in zip(range(look[0], look[1] + 1), backwards, strict=True):
            search.take(depth, row)
        look = search.next()
    wanted.seen[:] = search.nearest()
    found = [search.rows[depth] for depth in range(search.shallow, search.deep + 1)]
    return found if shape.newest_first else found[::-1]


def _first_look(search: _Search, seen: Sequence[tuple[int, float]]) -> tuple[int, int]:
    """Return the depths to look at first: where the last search lets us expect the range."""
    first, size = 0, _FIRST_ENTRIES
    for depth, at in seen:
        if search.period_s:
            first = depth + int((at - search.end) // search.period_s) - _MARGIN
            size = search.size
    first = max(0, min(first, search.deep - size + 1))
    return first, min(first + size - 1, search.deep)


def _newest_first(rows: Sequence[Row], shape: Layout) -> Sequence[Row]:
    return rows if shape.newest_first else rows[::-1]


def _is_newer(row: Row, other: Row) -> bool:
    """Whether a row was captured later than another one."""
    return bool(row.at and other.at and row.at.timestamp() > other.at.timestamp())


def _from_the_end(client: Client, wanted: Question, entries: int) -> Talk[list[Row]]:
    """Read the newest rows, so many that the oldest one is before the range."""
    obis, shape = wanted.obis, wanted.shape
    count = _FIRST_ENTRIES
    start = wanted.start.timestamp()
    while True:
        count = min(count, entries)
        rows = yield from newest(client, obis, shape, count, entries, wanted.options)
        known = [row.at.timestamp() for row in rows if row.at is not None]
        if count == entries or (known and min(known) < start):
            return rows
        count *= _GROWTH
        if known and shape.period_s:
            missing_s = min(known) - start
            count = max(len(rows) + int(missing_s // shape.period_s) + 2, len(rows) + 1)
