"""Rows of a Profile Generic: its capture objects, and the values of its rows.

IEC 62056-6-2, Profile generic (class 7). The requests for rows are in `profile_reading`, the
times of rows in `row_times`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dlms_connector.config import Profile, ProfileColumn
from dlms_connector.cosem import CLASSES, CLOCK_CLASS, AttributeRef
from dlms_connector.errors import CommandError, ObjectError, ProtocolError, ServiceError
from dlms_connector.history.pace import Pace
from dlms_connector.history.row_times import NOTHING, expanded, instants
from dlms_connector.interpret import (
    Options,
    ScalerUnit,
    interpret,
    is_date_time,
    moment_of,
    scaler_unit,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, ENTRIES_IN_USE = 2, 3, 4, 5, 7
_DATA = 1
#: Value groups C to F of the UNIX clock 0-b:1.1.0, class Data, in seconds (IEC 62056-6-1).
_UNIX_CLOCK = bytes((1, 1, 0, 255))
#: Values of sort_method with the newest row first: 2 (LIFO), and 3 (largest) by the clock.
_NEWEST_FIRST = (2, 3)
#: Classes whose attributes beside the value are times of that value, not of the row.
_WITH_CAPTURE_TIME = (4, 5)
#: Value groups C to E of the time stamp of a billing period (IEC 62056-6-1).
_BILLING_TIME = bytes((0, 1, 2))


@dataclass(frozen=True, slots=True)
class Column:
    """A captured attribute, or a `part` of it (its data_index), and the scaler of its values.

    `scaled` is false if the scaler of its values could not be read. `stated` are the settings
    that the configuration has for it.
    """

    ref: AttributeRef
    scaler: ScalerUnit | None
    part: int = 0
    scaled: bool = True
    stated: ProfileColumn | None = None

    @property
    def is_clock(self) -> bool:
        """Whether the column contains the capture time, by the object that it captures."""
        ref = self.ref
        return (ref.class_id == CLOCK_CLASS or self.is_unix_clock) and ref.attribute == 2

    @property
    def is_unix_clock(self) -> bool:
        """Whether the column contains the capture time as a number."""
        ref = self.ref
        unix = ref.class_id == _DATA and ref.obis.octets[2:] == _UNIX_CLOCK
        return unix and not ref.obis.octets[0]

    @property
    def may_tell_time(self) -> bool:
        """Whether a date-time in the column may be the row's, not that of a maximum."""
        ref = self.ref
        return ref.attribute == 2 or ref.class_id not in _WITH_CAPTURE_TIME

    @property
    def is_billing_time(self) -> bool:
        """Whether the column is known as the time stamp of a billing period."""
        return self.may_tell_time and self.ref.obis.octets[2:5] == _BILLING_TIME

    @property
    def name(self) -> str:
        """The key of its values: the OBIS code, and attribute and part if it is not the value.

        Numbers without their scaler are `raw`: they may be wrong by powers of ten.
        """
        ref = self.ref
        name = (
            str(ref.obis) if ref.attribute == 2 and not self.part else f"{ref.obis}:{ref.attribute}"
        )
        return name + (f"[{self.part}]" if self.part else "") + ("" if self.scaled else ":raw")

    def value(self, cell: Data, options: Options) -> Value:
        """Return the value of a cell."""
        ref, scaler = self.ref, self.scaler
        if self.stated and self.stated.has_no_value(cell.value):
            return None
        if self.part:
            # A part has another data type than the whole attribute.
            ref = AttributeRef(ref.class_id, ref.obis, 0)
        if cell.type is DataType.STRUCTURE:
            scaler = None  # the whole object, which contains its own scaler
        return interpret(ref, cell, scaler, options)[0]


@dataclass(frozen=True, slots=True)
class Row:
    """The values captured at one time; `at` is None if the meter does not give the time."""

    at: datetime | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a profile, and its capture period in seconds (0 if there is none).

    `found` is the column that was found to hold the capture time if no clock is captured.
    """

    columns: tuple[Column, ...]
    period_s: int
    newest_first: bool = False
    found: int | None = None

    @property
    def clock_column(self) -> int | None:
        """The index of the column with the capture time, None if there is none."""
        clocks = (index for index, one in enumerate(self.columns) if one.is_clock)
        return next(clocks, self.found)

    @property
    def clock(self) -> AttributeRef | None:
        """The attribute with the capture time, None if there is none."""
        column = self.clock_column
        return None if column is None else self.columns[column].ref

    @property
    def counts_time(self) -> bool:
        """Whether the capture time is a number instead of a date-time."""
        column = self.clock_column
        return column is not None and self.columns[column].is_unix_clock


def layout(client: Client, obis: Obis, stated: Profile | None = None) -> Talk[Layout]:
    """Read the layout of a profile; what the configuration states is not asked for.

    Raises ObjectError, ServiceError, or CommandError if it is invalid.
    """
    objects = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, CAPTURE_OBJECTS))
    listed = objects.value if isinstance(objects.value, tuple) else ()
    captured = [_captured(part) for part in listed]
    if not captured:
        raise CommandError(f"{obis} captures nothing")
    columns = []
    for column in captured:
        columns.append((yield from _with_scaler(client, _with_settings(column, stated))))
    period_s = yield from capture_period_s(client, obis, stated)
    order = yield from _number(client, obis, SORT_METHOD)
    return Layout(tuple(columns), period_s, order in _NEWEST_FIRST)


def _number(client: Client, obis: Obis, attribute: int) -> Talk[int | None]:
    """Read an optional number; None if the meter does not give it."""
    try:
        data = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, attribute))
    except (ObjectError, ServiceError):
        return None
    return data.value if isinstance(data.value, int) else None


def capture_period_s(client: Client, obis: Obis, stated: Profile | None = None) -> Talk[int]:
    """Return a profile's capture period in seconds: the configured one, else the meter's.

    0 if there is none or the meter does not give it.
    """
    if stated is not None and stated.capture_period_s is not None:
        return stated.capture_period_s
    return max(0, (yield from _number(client, obis, CAPTURE_PERIOD)) or 0)


def _captured(data: Data) -> Column:
    match data:
        case Data(
            DataType.STRUCTURE,
            (Data(value=int(class_id)), Data(value=bytes(name)), Data(value=int(index)), *more),
        ) if len(name) == 6:
            # Some meters write index 255 or -1 for "the whole object": its value is meant.
            ref = AttributeRef(class_id, Obis(name), index if 0 < index < 128 else 2)
            part = more[0].value if more else 0
            return Column(ref, None, part if isinstance(part, int) else 0)
    raise CommandError("what the profile captures is no list of objects")


def _with_settings(column: Column, stated: Profile | None) -> Column:
    ref, settings = column.ref, stated.columns if stated else ()
    named = (one for one in settings if (one.obis, one.attribute) == (ref.obis, ref.attribute))
    return replace(column, stated=next(named, None))


def _with_scaler(client: Client, column: Column) -> Talk[Column]:
    """Read the scaler that belongs to a column.

    A captured object need not be readable itself. An error in one column must not make the
    other columns fail.
    """
    ref = column.ref
    row = CLASSES.get(ref.class_id)
    index = row.scalers.get(ref.attribute) if row else None
    if index is None:
        return column
    try:
        data = yield from get_one(client, AttributeRef(ref.class_id, ref.obis, index))
    except (ObjectError, ServiceError):
        return replace(column, scaled=False)
    try:
        return replace(column, scaler=scaler_unit(data))
    except ProtocolError:
        return replace(column, scaled=False)


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

    Raises CommandError if the number of cells is wrong.
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
    named = list(zip(_names(shape.columns), shape.columns, strict=True))
    found: list[Row] = []
    before: Sequence[Data] = [NOTHING] * len(named)
    pace = Pace()
    for row, at in zip(rows, times, strict=True):
        before = [expanded(*pair) for pair in zip(row, before, strict=True)]
        values = {
            name: column.value(cell, options)
            for index, ((name, column), cell) in enumerate(zip(named, before, strict=True))
            if index != clock
        }
        found.append(Row(at, values))
        if pace.is_due(len(row)):
            yield Breath()
    return found


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
        raise CommandError(f"a row of the profile has {len(cells)} cells for {count} columns")
    return cells


def _names(columns: Sequence[Column]) -> list[str]:
    """Return the keys of columns; a repeated one gets `#2` at its end, so that no value is lost."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for name in (column.name for column in columns):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names
