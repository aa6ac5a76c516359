"""Rows of a profile's buffer: their times and values.

The times of rows are in `row_times`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from dlms_connector.errors import CommandError
from dlms_connector.history.pace import Pace
from dlms_connector.history.profiles import Column, Layout, Row
from dlms_connector.history.row_times import NOTHING, expanded, instants, time_in
from dlms_connector.interpret import Options, is_date_time, moment_of
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: Flags of a clock that cast doubt on the time of a row.
_DOUBTS = ("invalidValue", "doubtfulValue", "invalidClockStatus")


class RowShapeError(CommandError):
    """Rows whose cells do not fit the layout: the meter captures other objects than it did."""


def rows_of(buffer: Data, shape: Layout, options: Options) -> list[Row]:
    """Return the rows as `read_rows` does, without a break."""
    talk = read_rows(buffer, shape, options)
    while True:
        try:
            next(talk)
        except StopIteration as done:
            rows: list[Row] = done.value
            return rows


def read_rows(buffer: Data, shape: Layout, options: Options) -> Talk[list[Row]]:
    """Return the rows in buffer order; the loop serves others while they are converted.

    Raises RowShapeError if the number of cells is wrong.
    """
    rows = [_cells(entry, len(shape.columns)) for entry in _elements(buffer)]
    clock = shape.clock_column
    if clock is None:
        clock = yield from _moment_column(rows, shape.columns)
    times: Sequence[datetime | None] = [None] * len(rows)
    if clock is not None:
        cells = [row[clock] for row in rows]
        newest_first = shape.newest_first
        times = yield from instants(cells, shape.period_s, options, newest_first=newest_first)
    units = {name: one.unit for name, one in zip(shape.names, shape.columns, strict=True)}
    named = list(zip(shape.names, shape.columns, strict=True))
    found: list[Row] = []
    before: Sequence[Data] = [NOTHING] * len(named)
    pace = Pace()
    for row, at in zip(rows, times, strict=True):
        before = [expanded(*pair) for pair in zip(row, before, strict=True)]
        values: dict[str, Value] = {}
        suspect: set[str] = set()
        others: dict[str, str | None] = {}
        for index, ((name, column), cell) in enumerate(zip(named, before, strict=True)):
            if index == clock:
                continue
            values[name], unit, quality = column.examine(cell, options)
            if quality != "good":
                suspect.add(name)
            if unit is not None and unit != column.unit:
                others[name] = unit
        flags = () if clock is None else _doubts(row[clock])
        own = {**units, **others} if others else units
        found.append(Row(at, values, own, frozenset(suspect), flags))
        if pace.is_due(len(row)):
            yield Breath()
    return found


def falls(rows: Sequence[Row]) -> bool | None:
    """Return whether the newest row comes first; None if the rows do not show it."""
    known = [row.at.timestamp() for row in rows if row.at is not None]
    return known[0] > known[-1] if known and known[0] != known[-1] else None


def in_order(rows: Iterable[Row], *, newest_first: bool = False) -> list[Row]:
    """Return rows in buffer order oldest first; those of one instant keep their order.

    What the rows show counts more than `newest_first`. Where one has no capture time, only a
    buffer with the newest row first is turned.
    """
    listed = list(rows)
    down = falls(listed)
    if newest_first if down is None else down:
        listed.reverse()
    if any(row.at is None for row in listed):
        return listed
    return sorted(listed, key=lambda row: row.at.timestamp() if row.at else 0.0)


def _doubts(clock: Data) -> tuple[str, ...]:
    """Return the flags of a row's clock that cast doubt on its time."""
    moment = moment_of(time_in(clock))
    flags = moment.flags if moment is not None else ()
    return tuple(flag for flag in flags if flag in _DOUBTS)


def with_clock(shape: Layout, buffer: Data) -> Talk[Layout]:
    """Return the layout with the column that holds the time in these rows; unchanged if none."""
    rows = [_elements(entry) for entry in _elements(buffer)]
    if any(len(row) != len(shape.columns) for row in rows):
        return shape
    found = next((index for index, one in enumerate(shape.columns) if one.is_billing_time), None)
    if rows:
        found = yield from _moment_column(rows, shape.columns)
    return replace(shape, found=found)


def _moment_column(rows: Sequence[Sequence[Data]], columns: Sequence[Column]) -> Talk[int | None]:
    """Return the column whose cells are date-times: that of a billing period, else the first."""
    indexes = [index for index, one in enumerate(columns) if one.may_tell_time]
    indexes.sort(key=lambda index: not columns[index].is_billing_time)
    for index in indexes:
        if (yield from _are_moments([row[index] for row in rows])):
            return index
    return None


def _are_moments(cells: Sequence[Data]) -> Talk[bool]:
    told = [cell for cell in cells if cell.type is not DataType.NULL]
    certain, pace = False, Pace()
    for cell in told:
        if moment_of(cell) is None:
            return False
        certain = certain or (isinstance(cell.value, bytes) and is_date_time(cell.value))
        if pace.is_due():
            yield Breath()
    return certain


def _elements(buffer: Data) -> tuple[Data, ...]:
    return buffer.value if isinstance(buffer.value, tuple) else ()


def _cells(entry: Data, count: int) -> Sequence[Data]:
    cells = _elements(entry)
    if len(cells) != count:
        raise RowShapeError(f"a row of the profile has {len(cells)} cells for {count} columns")
    return cells
