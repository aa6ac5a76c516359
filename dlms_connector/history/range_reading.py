"""Reads rows of a time range, also where the meter compares times in its own way.

A range is compared by instants (IEC 62056-6-2), but some meters compare the local fields and
leave out the deviation: then the dates must be in the zone in which the meter wrote its rows, and
that changes with daylight saving time. So the rows are checked: what lies outside of the range, or
is missing at its ends by the capture period, is asked for again in the zone of the rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from math import ceil, floor
from operator import itemgetter
from typing import Literal

from dlms_connector.cosem import CLOCK_CLASS, AttributeRef, ByRange, Selection
from dlms_connector.errors import ObjectError, ServiceError
from dlms_connector.history.profiles import BUFFER, PROFILE_GENERIC, Layout, Row
from dlms_connector.history.rows import in_order, read_rows
from dlms_connector.interpret import Options, moment_of
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk

#: Unix times are sent as 32-bit numbers.
_LAST_UNIX_TIME = 0xFFFFFFFF
#: The largest change of a zone at DST, and the largest difference of any zone from UTC.
_SEASON, _ANY_ZONE = timedelta(hours=1), timedelta(hours=14)
#: Meters that give few rows at once are asked as often as the missing rows need, and some times
#: more, but no more than this.
_MOST_REQUESTS, _SPARE_REQUESTS = 200, 8
#: A gap in which no row was found is one in which the meter was off: others probably are, too.
_MOST_EMPTY_GAPS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """The wanted rows, the layout of the profile, and the zone of the meter's clock.

    Gaps between rows of one answer are mostly power failures. Where they are `audited`, the asker
    reads them again itself: then they are not asked for here. `seen` keeps how deep in the buffer
    a row of which time lay last, as a hint for the next search by entry number.
    """

    obis: Obis
    shape: Layout
    start: datetime
    end: datetime
    options: Options
    zone: tzinfo | None = None
    audited: bool = False
    seen: MutableSequence[tuple[int, float]] = field(default_factory=list)

    def within(self, rows: Iterable[Row]) -> list[Row]:
        """Return the wanted rows only: meters may send more than requested."""
        # As Unix times: Python compares datetimes of one zone by their local time.
        start, end = self.start.timestamp(), self.end.timestamp()
        return [row for row in rows if row.at is None or start <= row.at.timestamp() <= end]

    @property
    def expects_rows(self) -> bool:
        """Whether at least one row lies in the range, if the meter captured any then."""
        return 0 < self.shape.period_s <= self.end.timestamp() - self.start.timestamp()


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a range; `certain` is false if the meter seems to select other rows than asked."""

    rows: list[Row]
    certain: bool = True

    @property
    def value(self) -> tuple[int, bool]:
        """What makes one answer better than another: more rows, else certainty."""
        return len(self.rows), self.certain


def meters_zone(client: Client, shape: Layout, options: Options) -> Talk[tzinfo | None]:
    """Return the zone of the meter's clock: the configured one, else what its clock tells."""
    clock = shape.clock
    if options.zone is not None or clock is None or clock.class_id != CLOCK_CLASS:
        return options.zone
    try:
        moment = moment_of((yield from get_one(client, clock)))
    except (ObjectError, ServiceError):
        return None
    now = moment.instant(timezone.utc, from_utc=options.from_utc) if moment else None
    return now.tzinfo if now else None


def read_range(client: Client, wanted: Question, skip: frozenset[str] | None) -> Talk[Answer]:
    """Read the rows of a range; `skip` are fields of the two dates to leave unspecified."""
    spare = timedelta(0) if wanted.shape.period_s else _SEASON
    told = yield from _ask(client, wanted, skip, wanted.start, wanted.end, spare)
    rows = wanted.within(told)
    if any(row.at is None for row in told):
        return Answer(rows)  # without their times there is nothing to compare
    strays = _strays(wanted, told, spare)
    if strays and (not rows or not wanted.shape.period_s):
        told = yield from _again(client, wanted, skip, strays)
        rows = max(rows, wanted.within(told), key=len)
    if rows and wanted.shape.period_s:
        rows = yield from _completed(client, wanted, skip, rows)
    return Answer(rows, not strays or (bool(rows) and not _gaps(wanted, rows)))


def read_around(client: Client, wanted: Question, skip: frozenset[str] | None) -> Talk[Answer]:
    """Read a range so widely that it is found whatever zone the meter compares in."""
    told = yield from _ask(client, wanted, skip, wanted.start, wanted.end, _ANY_ZONE)
    return Answer(wanted.within(told))


def buffer(client: Client, obis: Obis, selection: Selection | None) -> Talk[Data]:
    """Read the buffer of a profile, or a part of it."""
    return (yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, BUFFER, selection)))


def _again(
    client: Client, wanted: Question, skip: frozenset[str] | None, strays: Sequence[Row]
) -> Talk[list[Row]]:
    """Ask for the whole range in the zone of rows that the meter sent without being asked."""
    zone = strays[0].at.tzinfo if strays[0].at else None
    try:
        return (yield from _ask(client, wanted, skip, wanted.start, wanted.end, _SEASON, zone))
    except (ObjectError, ServiceError):
        return []


def _completed(
    client: Client, wanted: Question, skip: frozenset[str] | None, rows: list[Row]
) -> Talk[list[Row]]:
    """Ask for the rows that are missing; those that do not come were never captured."""
    rows, known, more = [*rows], _instants(rows), _Times()
    gaps = deque(_gaps(wanted, rows))
    requests, at_once, empty = _needed(wanted, rows), len(rows), 0
    while gaps and requests and empty < _MOST_EMPTY_GAPS:
        gap = gaps.popleft()
        if wanted.audited and not gap.open:
            continue
        if found := more.between(gap.start, gap.end):
            gaps.extendleft(reversed(_parts(gap, found, wanted.shape.period_s)))
            continue
        requests -= 1
        try:
            told = yield from _in_gap(client, wanted, skip, gap, at_once)
        except (ObjectError, ServiceError):
            break
        for row in wanted.within(told):
            if row.at is not None and row.at.timestamp() not in known:
                known.add(row.at.timestamp())
                more.add(row.at)
                rows.append(row)
        if more.between(gap.start, gap.end):
            gaps.appendleft(gap)
        else:
            empty += 1
    return _sorted(rows)


def _needed(wanted: Question, rows: Sequence[Row]) -> int:
    """Return how many requests may bring the missing rows, at as many rows as came at once."""
    expected = _seconds(wanted.start, wanted.end) / wanted.shape.period_s
    return min(_MOST_REQUESTS, _SPARE_REQUESTS + ceil(2 * expected / len(rows)))


class _Times:
    """Times of rows, in order."""

    def __init__(self) -> None:
        self._times: list[tuple[float, datetime]] = []

    def add(self, at: datetime) -> None:
        insort(self._times, (at.timestamp(), at), key=itemgetter(0))

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the times after `start` and before `end`."""
        first = bisect_right(self._times, start.timestamp(), key=itemgetter(0))
        behind = bisect_left(self._times, end.timestamp(), key=itemgetter(0))
        return [at for _, at in self._times[first:behind]]


@dataclass(frozen=True, slots=True)
class _Gap:
    """A part of a range without rows; there is a row at its ends, but not at the `open` one."""

    start: datetime
    end: datetime
    open: Literal["start", "end"] | None = None

    @property
    def beside(self) -> datetime:
        """The time of a row beside it."""
        return self.end if self.open == "start" else self.start

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the row beside it."""
        return self.beside.tzinfo


def _in_gap(
    client: Client, wanted: Question, skip: frozenset[str] | None, gap: _Gap, at_once: int
) -> Talk[list[Row]]:
    """Ask for the rows of a gap: with an hour more at its ends, as the season may change there.

    `at_once` is how many rows the meter has given at once.
    """
    told = yield from _ask(client, wanted, skip, gap.start, gap.end, _SEASON, gap.zone)
    beside = gap.beside.timestamp() in _instants(told)
    if len(told) < at_once and (beside or any(_is_in(gap, row) for row in told)):
        return told
    # The meter gives so few rows at once that the hour before the gap used them up.
    again = yield from _ask(client, wanted, skip, gap.start, gap.end, timedelta(0), gap.zone)
    return [*told, *again]


def _is_in(gap: _Gap, row: Row) -> bool:
    return row.at is not None and _seconds(gap.start, row.at) > 0 < _seconds(row.at, gap.end)


def _instants(rows: Iterable[Row]) -> set[float]:
    return {row.at.timestamp() for row in rows if row.at is not None}


def _gaps(wanted: Question, rows: Iterable[Row]) -> list[_Gap]:
    """Return the parts in which the capture period lets us expect rows; first those at the ends."""
    times = [row.at for row in _sorted(rows) if row.at is not None]
    period_s = wanted.shape.period_s
    if not times or not period_s:
        return []
    ends = (_Gap(wanted.start, times[0], "start"), _Gap(times[-1], wanted.end, "end"))
    between = (_Gap(one, other) for one, other in pairwise(times))
    return [gap for gap in (*ends, *between) if _expects_rows(gap, period_s)]


def _parts(gap: _Gap, found: Sequence[datetime], period_s: int) -> list[_Gap]:
    """Return what is left of a gap in which rows were found, at these times."""
    parts = [_Gap(one, other) for one, other in pairwise((gap.start, *found, gap.end))]
    if gap.open == "start":
        parts[0] = replace(parts[0], open="start")
    if gap.open == "end":
        parts[-1] = replace(parts[-1], open="end")
    return [part for part in parts if _expects_rows(part, period_s)]


def _expects_rows(gap: _Gap, period_s: int) -> bool:
    return _seconds(gap.start, gap.end) >= (period_s if gap.open else 2 * period_s)


def _seconds(start: datetime, end: datetime) -> float:
    return end.timestamp() - start.timestamp()


def _strays(wanted: Question, rows: Iterable[Row], spare: timedelta) -> list[Row]:
    """Return rows that were not asked for: they are outside of the range by more than `spare`."""
    start = wanted.start.timestamp() - spare.total_seconds()
    end = wanted.end.timestamp() + spare.total_seconds()
    return [row for row in rows if row.at is not None and not start <= row.at.timestamp() <= end]


def _ask(
    client: Client,
    wanted: Question,
    skip: frozenset[str] | None,
    start: datetime,
    end: datetime,
    spare: timedelta,
    zone: tzinfo | None = None,
) -> Talk[list[Row]]:
    """Ask for the rows from `start` to `end`, and `spare` before and after."""
    limits: tuple[datetime | int, datetime | int]
    if wanted.shape.counts_time:
        limits = _number(ceil(start.timestamp())), _number(floor(end.timestamp()))
    else:
        zone = zone or wanted.zone
        limits = _in_zone(_moved(start, -spare), zone), _in_zone(_moved(end, spare), zone)
    selection = ByRange(start=limits[0], end=limits[1], clock=wanted.shape.clock, skip=skip)
    data = yield from buffer(client, wanted.obis, selection)
    rows = yield from read_rows(data, wanted.shape, wanted.options)
    return in_order(rows, newest_first=wanted.shape.newest_first)


def _number(unix_time: int) -> int:
    return max(0, min(unix_time, _LAST_UNIX_TIME))


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Return a moment moved in real time; unchanged where the calendar ends."""
    try:
        return (moment.astimezone(timezone.utc) + by).astimezone(moment.tzinfo) if by else moment
    except OverflowError:
        return moment


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment in the meter's zone; unchanged where datetime would overflow."""
    try:
        return moment.astimezone(zone) if zone else moment
    except OverflowError:
        return moment


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.at.timestamp() if row.at else 0.0)
