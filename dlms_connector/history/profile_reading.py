"""Reads rows of a Profile Generic in a way that the meter supports.

Meters differ in selective access: by time range, the same without fields that some meters
do not understand, by entry number, or none (only the whole buffer). The caller stores the
way that worked, and it is tried first the next time.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime

from dlms_connector.config import Profile
from dlms_connector.cosem import AttributeRef, ByEntry
from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history.profiles import (
    ENTRIES_IN_USE,
    PROFILE_GENERIC,
    Layout,
    Row,
    layout,
    read_rows,
    with_clock,
)
from dlms_connector.history.range_reading import (
    Answer,
    buffer,
    meters_zone,
    read_around,
    read_range,
)
from dlms_connector.history.range_reading import Question as _Question
from dlms_connector.interpret import Options
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.talk import Talk

#: The way of reading that worked, by profile; one mapping for each meter.
Ways = MutableMapping[Obis, int]

#: Fields that are left unspecified if a range with all of them returns no rows.
_DOUBTFUL = frozenset({"deviation", "status", "hundredths", "dayOfWeek"})
#: Entries read first, and the factor for the next try if there is no capture period.
_FIRST_ENTRIES = 32
_GROWTH = 4


def by_time(
    client: Client,
    obis: Obis,
    start: datetime,
    end: datetime,
    options: Options,
    ways: Ways,
    stated: Profile | None = None,
) -> Talk[list[Row]]:
    """Read the rows captured from `start` to `end`, both included, oldest first.

    `stated` is what the configuration says about the profile. Raises ObjectError or ServiceError
    if the meter refuses the profile, CommandError if its rows have no capture time.
    """
    shape = yield from layout(client, obis, stated)
    if shape.clock is None:
        shape = yield from _with_clock(client, obis, shape)
    zone = yield from meters_zone(client, shape, options)
    question = _Question(obis, shape, start, end, options, zone)
    learned = ways.get(obis)
    order = [] if learned is None else [learned]
    order += [way for way in range(len(_WAYS)) if way != learned]
    refusal: ObjectError | ServiceError | None = None
    best: Answer | None = None
    for way in order:
        # The whole buffer is long: read it only if there is no other way.
        if _WAYS[way] is _whole and best is not None:
            break
        try:
            answer = yield from _WAYS[way](client, question)
            if way == learned and not answer.rows and question.expects_rows and way in _RANGES:
                answer = yield from read_around(client, question, _RANGES[way])
        except (ObjectError, ServiceError) as error:
            refusal = refusal or error
            continue
        if best is None or answer.value > best.value:
            best = answer
            if answer.rows:
                ways[obis] = way
        if answer.certain and (answer.rows or way == learned):
            break
    if best is None and refusal:
        raise refusal
    return _sorted(best.rows) if best else []


def last(
    client: Client, obis: Obis, count: int, options: Options, stated: Profile | None = None
) -> Talk[list[Row]]:
    """Read the newest rows, at most `count`, oldest first.

    Raises ObjectError, ServiceError, or CommandError if its rows make no sense.
    """
    shape = yield from layout(client, obis, stated)
    rows: list[Row] = []
    try:
        entries = yield from _entries_in_use(client, obis)
        if entries == 0:
            return []
        rows = yield from _newest(client, obis, shape, min(count, entries), entries, options)
    except (ObjectError, ServiceError):
        pass
    if not rows:  # by entry they are not to be had
        data = yield from buffer(client, obis, None)
        rows = yield from read_rows(data, shape, options)
    rows = _sorted(rows[::-1] if shape.newest_first else rows)
    return rows[-count:]


def _with_clock(client: Client, obis: Obis, shape: Layout) -> Talk[Layout]:
    """Return the layout with the column that holds the time: one row shows which one it is."""
    try:
        sample = yield from buffer(client, obis, ByEntry(first=1, last=1))
    except (ObjectError, ServiceError):
        sample = yield from buffer(client, obis, None)
    shape = yield from with_clock(shape, sample)
    if shape.clock is None:
        raise CommandError(f"{obis} does not capture its clock: ask for its `last` rows")
    return shape


def _by_range(skip: frozenset[str] | None) -> Callable[[Client, _Question], Talk[Answer]]:
    def read(client: Client, wanted: _Question) -> Talk[Answer]:
        return (yield from read_range(client, wanted, skip))

    return read


def _by_entries(client: Client, wanted: _Question) -> Talk[Answer]:
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
            return Answer(wanted.within(rows))
        count *= _GROWTH
        if known and shape.period_s:
            missing_s = min(known) - start
            count = max(len(rows) + int(missing_s // shape.period_s) + 2, len(rows) + 1)
    return Answer([])


def _whole(client: Client, wanted: _Question) -> Talk[Answer]:
    data = yield from buffer(client, wanted.obis, None)
    rows = yield from read_rows(data, wanted.shape, wanted.options)
    return Answer(wanted.within(rows))


#: The ways by range, and the fields that are left unspecified.
_RANGES = {0: None, 1: _DOUBTFUL}
#: In the order in which they are tried.
_WAYS: Sequence[Callable[[Client, _Question], Talk[Answer]]] = (
    *(_by_range(skip) for skip in _RANGES.values()),
    _by_entries,
    _whole,
)


def _newest(
    client: Client, obis: Obis, shape: Layout, count: int, entries: int, options: Options
) -> Talk[list[Row]]:
    """Read the newest rows by entry number; numbers follow the order of the buffer.

    The order that the rows themselves show counts more than what the meter says of it.
    """
    rows = yield from _end_of_buffer(client, obis, shape, count, entries, options)
    falls = _falls(rows)
    if falls is None or falls == shape.newest_first or count >= entries:
        return rows
    shape = replace(shape, newest_first=falls)
    return (yield from _end_of_buffer(client, obis, shape, count, entries, options))


def _end_of_buffer(
    client: Client, obis: Obis, shape: Layout, count: int, entries: int, options: Options
) -> Talk[list[Row]]:
    # Both numbers are given, from 1 and forwards: not every meter takes 0 for the last entry.
    first = 1 if shape.newest_first else entries - count + 1
    selection = ByEntry(first=first, last=first + count - 1)
    data = yield from buffer(client, obis, selection)
    return (yield from read_rows(data, shape, options))


def _falls(rows: Sequence[Row]) -> bool | None:
    """Return whether the newest row comes first; None if the rows do not show it."""
    known = [row.at.timestamp() for row in rows if row.at is not None]
    return known[0] > known[-1] if known and known[0] != known[-1] else None


def _entries_in_use(client: Client, obis: Obis) -> Talk[int]:
    used = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, ENTRIES_IN_USE))
    return max(0, used.value) if isinstance(used.value, int) else 0


def _sorted(rows: list[Row]) -> list[Row]:
    """Return rows oldest first; in the order of the buffer if one has no capture time."""
    if any(row.at is None for row in rows):
        return rows
    return sorted(rows, key=lambda row: row.at.timestamp() if row.at else 0.0)
