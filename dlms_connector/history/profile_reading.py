"""Reads rows of a Profile Generic in a way that the meter supports.

Meters differ in selective access: by time range, the same without fields that some meters
do not understand, by entry number, or none (only the whole buffer). The caller stores the
way that worked, and it is tried first the next time.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime

from dlms_connector.config import Profile, Standard
from dlms_connector.cosem import ByEntry
from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history.entry_reading import entries_in_use, newest, read_entries
from dlms_connector.history.layouts import layout
from dlms_connector.history.profiles import Layout, Row
from dlms_connector.history.range_reading import (
    Answer,
    Question,
    buffer,
    meters_zone,
    read_around,
    read_range,
)
from dlms_connector.history.rows import in_order, read_rows, with_clock
from dlms_connector.interpret import Options
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk

#: The way of reading that worked, by profile; one mapping for each meter.
Ways = MutableMapping[Obis, int]

#: Fields that are left unspecified if a range with all of them returns no rows.
_DOUBTFUL = frozenset({"deviation", "status", "hundredths", "dayOfWeek"})


def by_time(
    client: Client,
    obis: Obis,
    start: datetime,
    end: datetime,
    options: Options,
    ways: Ways,
    stated: Profile | None = None,
    standard: Standard = "DLMS",
) -> Talk[list[Row]]:
    """Read the rows captured from `start` to `end`, both included, oldest first.

    `stated` is what the configuration says about the profile, `standard` what the meter follows.
    Raises ObjectError or ServiceError if the meter refuses the profile, CommandError if its rows
    have no capture time.
    """
    shape = yield from with_its_clock(
        client, obis, (yield from layout(client, obis, stated, standard))
    )
    zone = yield from meters_zone(client, shape, options)
    return (yield from between(client, Question(obis, shape, start, end, options, zone), ways))


def with_its_clock(client: Client, obis: Obis, shape: Layout) -> Talk[Layout]:
    """Return the layout with the column that holds the time: a row may have to show which one.

    Raises CommandError if none does.
    """
    return shape if shape.clock is not None else (yield from _with_clock(client, obis, shape))


def between(client: Client, question: Question, ways: Ways) -> Talk[list[Row]]:
    """Read the rows of a question, oldest first, by the way that worked before, else by another.

    Raises ObjectError or ServiceError if the meter refuses the profile, RowShapeError if its rows
    do not fit the layout.
    """
    obis = question.obis
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
    return best.rows if best else []


def last(
    client: Client,
    obis: Obis,
    count: int,
    options: Options,
    stated: Profile | None = None,
    standard: Standard = "DLMS",
) -> Talk[list[Row]]:
    """Read the newest rows, at most `count`, oldest first.

    Raises ObjectError, ServiceError, or CommandError if its rows make no sense.
    """
    shape = yield from layout(client, obis, stated, standard)
    rows: list[Row] = []
    try:
        entries = yield from entries_in_use(client, obis)
        if entries == 0:
            return []
        rows = yield from newest(client, obis, shape, min(count, entries), entries, options)
    except (ObjectError, ServiceError):
        pass
    if not rows:  # by entry they are not to be had
        data = yield from buffer(client, obis, None)
        rows = yield from read_rows(data, shape, options)
    return in_order(rows, newest_first=shape.newest_first)[-count:]


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


def _by_range(skip: frozenset[str] | None) -> Callable[[Client, Question], Talk[Answer]]:
    def read(client: Client, wanted: Question) -> Talk[Answer]:
        return (yield from read_range(client, wanted, skip))

    return read


def _whole(client: Client, wanted: Question) -> Talk[Answer]:
    data = yield from buffer(client, wanted.obis, None)
    rows = yield from read_rows(data, wanted.shape, wanted.options)
    return Answer(wanted.within(in_order(rows, newest_first=wanted.shape.newest_first)))


#: The ways by range, and the fields that are left unspecified.
_RANGES = {0: None, 1: _DOUBTFUL}
#: In the order in which they are tried.
_WAYS: Sequence[Callable[[Client, Question], Talk[Answer]]] = (
    *(_by_range(skip) for skip in _RANGES.values()),
    read_entries,
    _whole,
)
