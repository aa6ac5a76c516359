"""Reads rows of a Profile Generic in a way that the meter supports.

Meters differ in selective access: by time range, the same without fields that some meters
do not understand, by entry number, or none (only the whole buffer). The caller stores the
way that worked, and it is tried first the next time.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import ceil, floor

from dlms_connector.cosem import CLOCK_CLASS, AttributeRef, ByEntry, ByRange, Selection
from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history.profiles import (
    BUFFER,
    ENTRIES_IN_USE,
    PROFILE_GENERIC,
    Layout,
    Row,
    layout,
    rows_of,
)
from dlms_connector.interpret import Options
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk

#: The way of reading that worked, by profile; one mapping for each meter.
Ways = MutableMapping[Obis, int]

#: Fields that are left unspecified if a range with all of them returns no rows.
_DOUBTFUL = frozenset({"deviation", "status", "hundredths", "dayOfWeek"})
#: Entries read first, and the factor for the next try if there is no capture period.
_FIRST_ENTRIES = 32
_GROWTH = 4
#: Unix times are sent as 32-bit numbers.
_LAST_UNIX_TIME = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Question:
    """The wanted rows, and the layout of the profile."""

    obis: Obis
    shape: Layout
    start: datetime
    end: datetime
    options: Options

    def within(self, rows: Sequence[Row]) -> list[Row]:
        """Return the wanted rows only: meters may send more than requested."""
        # As Unix times: Python compares datetimes of one zone by their local time.
        start, end = self.start.timestamp(), self.end.timestamp()
        return [row for row in rows if row.at is None or start <= row.at.timestamp() <= end]


def by_time(
    client: Client, obis: Obis, start: datetime, end: datetime, options: Options, ways: Ways
) -> Talk[list[Row]]:
    """Read the rows captured from `start` to `end`, both included, oldest first.

    Raises ObjectError or ServiceError if the meter refuses the profile, CommandError if
    its rows have no capture time.
    """
    shape = yield from layout(client, obis)
    if shape.clock is None:
        raise CommandError(f"{obis} does not capture its clock: ask for its `last` rows")
    question = _Question(obis, shape, start, end, options)
    learned = ways.get(obis)
    order = [] if learned is None else [learned]
    order += [way for way in range(len(_WAYS)) if way != learned]
    refusal: ObjectError | ServiceError | None = None
    answered = False
    for way in order:
        # The whole buffer is long: read it only if there is no other way.
        if _WAYS[way] is _whole and answered:
            break
        try:
            rows = question.within((yield from _WAYS[way](client, question)))
        except (ObjectError, ServiceError) as error:
            refusal = refusal or error
            continue
        answered = True
        if rows or way == learned:
            if rows:
                ways[obis] = way
            return _sorted(rows)
    if refusal and not answered:
        raise refusal
    return []


def last(client: Client, obis: Obis, count: int, options: Options) -> Talk[list[Row]]:
    """Read the newest rows, at most `count`, oldest first.

    Raises ObjectError, ServiceError, or CommandError if its rows make no sense.
    """
    shape = yield from layout(client, obis)
    try:
        entries = yield from _entries_in_use(client, obis)
        if entries == 0:
            return []
        rows = yield from _newest(client, obis, shape, min(count, entries), entries, options)
    except (ObjectError, ServiceError):
        rows = rows_of((yield from _buffer(client, obis, None)), shape, options)
    rows = _sorted(rows[::-1] if shape.newest_first else rows)
    return rows[-count:]


def _by_range(skip: frozenset[str] | None) -> Callable[[Client, _Question], Talk[list[Row]]]:
    def read(client: Client, wanted: _Question) -> Talk[list[Row]]:
        clock, zone = wanted.shape.clock, wanted.options.zone
        start: datetime | int = _in_zone(wanted.start, zone)
        end: datetime | int = _in_zone(wanted.end, zone)
        if clock is not None and clock.class_id != CLOCK_CLASS:
            start = max(0, min(ceil(wanted.start.timestamp()), _LAST_UNIX_TIME))
            end = max(0, min(floor(wanted.end.timestamp()), _LAST_UNIX_TIME))
        selection = ByRange(start=start, end=end, clock=clock, skip=skip)
        data = yield from _buffer(client, wanted.obis, selection)
        return rows_of(data, wanted.shape, wanted.options)

    return read


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment in the meter's zone; unchanged where datetime would overflow."""
    try:
        return moment.astimezone(zone) if zone else moment
    except OverflowError:
        return moment


def _by_entries(client: Client, wanted: _Question) -> Talk[list[Row]]:
    """Read the newest rows, so many that the oldest one is before the range."""
    obis, shape = wanted.obis, wanted.shape
    entries = yield from _entries_in_use(client, obis)
    count = _FIRST_ENTRIES
    start = wanted.start.timestamp()
    while entries:
        count = min(count, entries)
        rows = yield from _newest(client, obis, shape, count, entries, wanted.options)
        known = [row.at.timestamp() for row in rows if row.at is not None]
        if count == entries or (known and min(known) < start):
            return rows
        count *= _GROWTH
        if known and shape.period_s:
            missing_s = min(known) - start
            count = max(len(rows) + int(missing_s // shape.period_s) + 2, len(rows) + 1)
    return []


def _whole(client: Client, wanted: _Question) -> Talk[list[Row]]:
    data = yield from _buffer(client, wanted.obis, None)
    return rows_of(data, wanted.shape, wanted.options)


#: In the order in which they are tried.
_WAYS: Sequence[Callable[[Client, _Question], Talk[list[Row]]]] = (
    _by_range(None),
    _by_range(_DOUBTFUL),
    _by_entries,
    _whole,
)


def _newest(
    client: Client, obis: Obis, shape: Layout, count: int, entries: int, options: Options
) -> Talk[list[Row]]:
    """Read the newest rows by entry number; numbers follow the order of the buffer."""
    if shape.newest_first:
        selection = ByEntry(first=1, last=count)
    else:
        selection = ByEntry(first=entries - count + 1)
    return rows_of((yield from _buffer(client, obis, selection)), shape, options)


def _entries_in_use(client: Client, obis: Obis) -> Talk[int]:
    used = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, ENTRIES_IN_USE))
    return used.value if isinstance(used.value, int) else 0


def _buffer(client: Client, obis: Obis, selection: Selection | None) -> Talk[Data]:
    return (yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, BUFFER, selection)))


def _sorted(rows: list[Row]) -> list[Row]:
    """Return rows oldest first; in the order of the buffer if one has no capture time."""
    if any(row.at is None for row in rows):
        return rows
    return sorted(rows, key=lambda row: row.at.timestamp() if row.at else 0.0)
