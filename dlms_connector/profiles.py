"""Rows of a Profile Generic: which columns there are, which rows are wanted, what they say.

IEC 62056-6-2, Profile generic (class 7). Meters differ in what they let one select: a range
of time is asked for first, then entries, and the whole buffer where neither is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from dlms_connector.cosem import CLASSES, AttributeRef, ByEntry, ByRange, Selection
from dlms_connector.errors import ObjectError, ProtocolError, ServiceError
from dlms_connector.interpret import Options, ScalerUnit, interpret, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.cosem_time import DateTime
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

PROFILE_GENERIC = 7
_CLOCK = 8
_BUFFER, _CAPTURE_OBJECTS, _CAPTURE_PERIOD, _ENTRIES_IN_USE = 2, 3, 4, 7


@dataclass(frozen=True, slots=True)
class Column:
    """A captured attribute, and the scaler of its values."""

    ref: AttributeRef
    scaler: ScalerUnit | None

    @property
    def is_clock(self) -> bool:
        """Whether it tells when a row was captured."""
        return self.ref.class_id == _CLOCK and self.ref.attribute == 2

    @property
    def name(self) -> str:
        """The key of its values: the object, and the attribute where it is not the value."""
        ref = self.ref
        return str(ref.obis) if ref.attribute == 2 else f"{ref.obis}:{ref.attribute}"


@dataclass(frozen=True, slots=True)
class Row:
    """What was captured at one instant; None where the meter does not tell the instant."""

    at: datetime | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a profile, and the seconds between rows (0 where there is no period)."""

    columns: tuple[Column, ...]
    period_s: int


def layout(client: Client, obis: Obis) -> Talk[Layout]:
    """Read what a profile captures. Raises ObjectError, and ProtocolError if it makes no sense."""
    objects = yield from _get(client, AttributeRef(PROFILE_GENERIC, obis, _CAPTURE_OBJECTS))
    refs = [_captured(part) for part in objects.value] if isinstance(objects.value, tuple) else []
    if not refs:
        raise ProtocolError(f"reading the columns of {obis}", "the profile captures nothing")
    columns = []
    for ref in refs:
        columns.append(Column(ref, (yield from _scaler(client, ref))))
    period = yield from _get(client, AttributeRef(PROFILE_GENERIC, obis, _CAPTURE_PERIOD))
    return Layout(tuple(columns), period.value if isinstance(period.value, int) else 0)


def by_time(
    client: Client, obis: Obis, start: datetime, end: datetime, options: Options
) -> Talk[list[Row]]:
    """Read the rows captured from `start` to `end`, both included, oldest first as they come.

    Raises ObjectError if the meter will not give the profile at all.
    """
    shape = yield from layout(client, obis)
    clock = next((one.ref for one in shape.columns if one.is_clock), None)
    selection = ByRange(start=start, end=end, clock=clock)
    try:
        data = yield from _buffer(client, obis, selection)
    except (ObjectError, ServiceError):
        data = yield from _buffer(client, obis, None)
    rows = _rows(data, shape, options)
    # A meter may give more than it was asked for, or know no ranges at all.
    return [row for row in rows if row.at is None or start <= _aware(row.at, options) <= end]


def last(client: Client, obis: Obis, count: int, options: Options) -> Talk[list[Row]]:
    """Read the newest rows, at most `count`. Raises ObjectError."""
    shape = yield from layout(client, obis)
    used = yield from _get(client, AttributeRef(PROFILE_GENERIC, obis, _ENTRIES_IN_USE))
    entries = used.value if isinstance(used.value, int) else 0
    if entries == 0:
        return []
    try:
        data = yield from _buffer(client, obis, ByEntry(first=max(1, entries - count + 1)))
    except (ObjectError, ServiceError):
        data = yield from _buffer(client, obis, None)
    return _rows(data, shape, options)[-count:]


def _get(client: Client, ref: AttributeRef) -> Talk[Data]:
    (result,) = yield from client.get([ref])
    if isinstance(result, ObjectError):
        raise result
    return result


def _buffer(client: Client, obis: Obis, selection: Selection | None) -> Talk[Data]:
    return (yield from _get(client, AttributeRef(PROFILE_GENERIC, obis, _BUFFER, selection)))


def _captured(data: Data) -> AttributeRef:
    match data:
        case Data(
            DataType.STRUCTURE,
            (Data(value=int(class_id)), Data(value=bytes(name)), Data(value=int(index)), *_),
        ) if len(name) == 6:
            # Some meters write index 255 or -1 for "the whole object": its value is meant.
            return AttributeRef(class_id, Obis(name), index if 0 < index < 128 else 2)
    raise ProtocolError("reading the columns of a profile", "a column is not a capture object")


def _scaler(client: Client, ref: AttributeRef) -> Talk[ScalerUnit | None]:
    row = CLASSES.get(ref.class_id)
    index = row.scalers.get(ref.attribute) if row else None
    if index is None:
        return None
    try:
        data = yield from _get(client, AttributeRef(ref.class_id, ref.obis, index))
    except ObjectError:
        return None  # captured, but not there as an object of its own
    return scaler_unit(data)


def _rows(buffer: Data, shape: Layout, options: Options) -> list[Row]:
    if not isinstance(buffer.value, tuple):
        return []
    rows: list[Row] = []
    at: datetime | None = None
    for entry in buffer.value:
        cells: Sequence[Data] = entry.value if isinstance(entry.value, tuple) else ()
        if len(cells) != len(shape.columns):
            raise ProtocolError(
                "reading a profile", f"a row of {len(cells)} cells for {len(shape.columns)} columns"
            )
        values: dict[str, Value] = {}
        for column, cell in zip(shape.columns, cells, strict=True):
            if column.is_clock:
                at = _instant(cell, at, shape.period_s, options)
            else:
                values[column.name] = interpret(column.ref, cell, column.scaler, options)[0]
        rows.append(Row(at, values))
    return rows


def _instant(
    cell: Data, before: datetime | None, period_s: int, options: Options
) -> datetime | None:
    """Return when a row was captured; null stands for one period after the row before it."""
    if cell.type is DataType.NULL:
        return before + timedelta(seconds=period_s) if before and period_s else None
    if isinstance(cell.value, bytes) and len(cell.value) == 12:
        return DateTime.parse(cell.value).instant(options.zone, options.standard)
    if isinstance(cell.value, int):
        return datetime.fromtimestamp(cell.value, timezone.utc)
    return None


def _aware(moment: datetime, options: Options) -> datetime:
    zone: tzinfo = options.zone or timezone.utc
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
