"""Rows of a Profile Generic: its capture objects, and the values of its rows.

IEC 62056-6-2, Profile generic (class 7). The requests for rows are in `profile_reading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from dlms_connector.cosem import CLASSES, CLOCK_CLASS, AttributeRef
from dlms_connector.errors import CommandError, ObjectError, ProtocolError, ServiceError
from dlms_connector.interpret import Options, ScalerUnit, aware, interpret, moment_of, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import DELTAS, Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, ENTRIES_IN_USE = 2, 3, 4, 5, 7
_DATA = 1
#: Value groups C to F of the UNIX clock 0-b:1.1.0, class Data, in seconds (IEC 62056-6-1).
_UNIX_CLOCK = bytes((1, 1, 0, 255))
#: Values of sort_method with the newest row first: 2 (LIFO), and 3 (largest) by the clock.
_NEWEST_FIRST = (2, 3)

#: A cell with an unknown value. Null-data would mean the value of the row before.
_NOTHING = Data(DataType.DONT_CARE)


@dataclass(frozen=True, slots=True)
class Column:
    """A captured attribute, or a `part` of it (its data_index), and the scaler of its values.

    `scaled` is false if the scaler of its values could not be read.
    """

    ref: AttributeRef
    scaler: ScalerUnit | None
    part: int = 0
    scaled: bool = True

    @property
    def is_clock(self) -> bool:
        """Whether the column contains the capture time."""
        ref = self.ref
        unix = ref.class_id == _DATA and ref.obis.octets[2:] == _UNIX_CLOCK
        return (
            ref.class_id == CLOCK_CLASS or (unix and not ref.obis.octets[0])
        ) and ref.attribute == 2

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
    """The columns of a profile, and its capture period in seconds (0 if there is none)."""

    columns: tuple[Column, ...]
    period_s: int
    newest_first: bool = False

    @property
    def clock_column(self) -> int | None:
        """The index of the column with the capture time, None if there is none."""
        return next((index for index, one in enumerate(self.columns) if one.is_clock), None)

    @property
    def clock(self) -> AttributeRef | None:
        """The attribute with the capture time, None if there is none."""
        return next((one.ref for one in self.columns if one.is_clock), None)


def layout(client: Client, obis: Obis) -> Talk[Layout]:
    """Read the layout of a profile.

    Raises ObjectError, ServiceError, or CommandError if it is invalid.
    """
    objects = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, CAPTURE_OBJECTS))
    listed = objects.value if isinstance(objects.value, tuple) else ()
    captured = [_captured(part) for part in listed]
    if not captured:
        raise CommandError(f"{obis} captures nothing")
    columns = []
    for column in captured:
        columns.append((yield from _with_scaler(client, column)))
    period_s = yield from capture_period_s(client, obis)
    order = yield from _number(client, obis, SORT_METHOD)
    return Layout(tuple(columns), period_s, order in _NEWEST_FIRST)


def _number(client: Client, obis: Obis, attribute: int) -> Talk[int | None]:
    """Read an optional number; None if the meter does not give it."""
    try:
        data = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, attribute))
    except (ObjectError, ServiceError):
        return None
    return data.value if isinstance(data.value, int) else None


def capture_period_s(client: Client, obis: Obis) -> Talk[int]:
    """Read a profile's capture period in seconds; 0 if there is none or it is not given."""
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
    """Return the rows in buffer order. Raises CommandError if the number of cells is wrong."""
    if not isinstance(buffer.value, tuple):
        return []
    rows: list[Row] = []
    at: datetime | None = None
    names, clock = _names(shape.columns), shape.clock_column
    before: list[Data] = [_NOTHING] * len(names)
    for entry in buffer.value:
        cells: Sequence[Data] = entry.value if isinstance(entry.value, tuple) else ()
        if len(cells) != len(names):
            raise CommandError(
                f"a row of the profile has {len(cells)} cells for {len(names)} columns"
            )
        told = [_expanded(*pair) for pair in zip(cells, before, strict=True)]
        if clock is not None:
            if cells[clock].type is DataType.NULL:
                told[clock] = _NOTHING
                at = _one_period_on(at, shape)
            else:
                at = _instant(told[clock], at, shape, options)
        before = told
        values = {
            name: column.value(cell, options)
            for index, (name, column, cell) in enumerate(
                zip(names, shape.columns, told, strict=True)
            )
            if index != clock
        }
        rows.append(Row(at, values))
    return rows


def _names(columns: Sequence[Column]) -> list[str]:
    """Return the keys of columns; a repeated one gets `#2` at its end, so that no value is lost."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for name in (column.name for column in columns):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def _expanded(cell: Data, before: Data) -> Data:
    """Undo the compression of rows (IEC 62056-5-3): null-data repeats the value of the row before.

    A delta type is the difference from that value; without such a number the cell is unknown.
    """
    if cell.type is DataType.NULL:
        return before
    if cell.type not in DELTAS:
        return cell
    known = isinstance(before.value, int) and not isinstance(before.value, bool)
    return Data(before.type, before.value + cell.value) if known else _NOTHING


def _instant(
    cell: Data, before: datetime | None, shape: Layout, options: Options
) -> datetime | None:
    """Return the capture time of a row, from its clock cell and the row before it."""
    if cell.type is DataType.STRUCTURE and len(cell.value) > 1:
        cell = cell.value[1]  # the whole clock object: logical name, time …
    if moment := moment_of(cell):
        found = moment.instant(options.zone, from_utc=options.from_utc)
        if found is None:
            return None
        told = moment.deviation is not None or moment.status is not None
        found = aware(found, options)
        return found if told or before is None else _in_order(found, before, shape)
    if isinstance(cell.value, int) and not isinstance(cell.value, bool):
        try:
            return datetime.fromtimestamp(cell.value, timezone.utc)
        except (OverflowError, ValueError, OSError):
            return None
    return None


def _one_period_on(before: datetime | None, shape: Layout) -> datetime | None:
    """Return the time that null-data means in a clock column: one period after the row before."""
    if before is None or not shape.period_s:
        return None
    seconds = -shape.period_s if shape.newest_first else shape.period_s
    try:
        # In UTC: local time skips or repeats an hour at DST changes.
        later = before.astimezone(timezone.utc) + timedelta(seconds=seconds)
        return later.astimezone(before.tzinfo)
    except OverflowError:
        return None


def _in_order(found: datetime, before: datetime, shape: Layout) -> datetime:
    """Choose the first or second of the repeated hours in autumn, by the row before."""
    second = found.replace(fold=1)
    if second.utcoffset() == found.utcoffset():
        return found
    if shape.newest_first:
        return second if second.timestamp() < before.timestamp() else found
    return second if found.timestamp() <= before.timestamp() else found
