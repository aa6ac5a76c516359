"""Rows of a Profile Generic: what it captures, and what its rows say.

IEC 62056-6-2, Profile generic (class 7). How rows are asked for is in `profile_reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.errors import ObjectError, ProtocolError
from dlms_connector.interpret import Options, ScalerUnit, interpret, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.cosem_time import DateTime
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, ENTRIES_IN_USE = 2, 3, 4, 5, 7
_CLOCK = 8
#: Values of sort_method that put the newest row first.
_LIFO = 2


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
    """The columns of a profile, the seconds between rows (0 where there is no period)."""

    columns: tuple[Column, ...]
    period_s: int
    newest_first: bool = False

    @property
    def clock(self) -> AttributeRef | None:
        """The column that tells when a row was captured, None if there is none."""
        return next((one.ref for one in self.columns if one.is_clock), None)


def layout(client: Client, obis: Obis) -> Talk[Layout]:
    """Read what a profile captures. Raises ObjectError, and ProtocolError if it makes no sense."""
    objects = yield from get(client, AttributeRef(PROFILE_GENERIC, obis, CAPTURE_OBJECTS))
    refs = [_captured(part) for part in objects.value] if isinstance(objects.value, tuple) else []
    if not refs:
        raise ProtocolError(f"reading the columns of {obis}", "the profile captures nothing")
    columns = []
    for ref in refs:
        columns.append(Column(ref, (yield from _scaler(client, ref))))
    period = yield from _number(client, obis, CAPTURE_PERIOD)
    order = yield from _number(client, obis, SORT_METHOD)
    return Layout(tuple(columns), period or 0, order == _LIFO)


def get(client: Client, ref: AttributeRef) -> Talk[Data]:
    """GET one attribute. Raises ObjectError where the meter refuses it."""
    (result,) = yield from client.get([ref])
    if isinstance(result, ObjectError):
        raise result
    return result


def _number(client: Client, obis: Obis, attribute: int) -> Talk[int | None]:
    """Read a number that is good to know; None where the meter will not tell."""
    (result,) = yield from client.get([AttributeRef(PROFILE_GENERIC, obis, attribute)])
    known = isinstance(result, Data) and isinstance(result.value, int)
    return result.value if isinstance(result, Data) and known else None


def capture_period_s(client: Client, obis: Obis) -> Talk[int]:
    """Read a profile's capture period in seconds; 0 where there is none, or it is not told."""
    return (yield from _number(client, obis, CAPTURE_PERIOD)) or 0


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
        data = yield from get(client, AttributeRef(ref.class_id, ref.obis, index))
    except ObjectError:
        return None  # captured, but not there as an object of its own
    return scaler_unit(data)


def rows_of(buffer: Data, shape: Layout, options: Options) -> list[Row]:
    """Return the rows of a buffer in its own order. Raises ProtocolError for a ragged one."""
    if not isinstance(buffer.value, tuple):
        return []
    rows: list[Row] = []
    at: datetime | None = None
    period_s = -shape.period_s if shape.newest_first else shape.period_s
    for entry in buffer.value:
        cells: Sequence[Data] = entry.value if isinstance(entry.value, tuple) else ()
        if len(cells) != len(shape.columns):
            raise ProtocolError(
                "reading a profile", f"a row of {len(cells)} cells for {len(shape.columns)} columns"
            )
        values: dict[str, Value] = {}
        for column, cell in zip(shape.columns, cells, strict=True):
            if column.is_clock:
                at = _instant(cell, at, period_s, options)
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
    if moment := moment_of(cell):
        found = moment.instant(options.zone, from_utc=options.from_utc)
        return found and aware(found, options)
    if isinstance(cell.value, int) and not isinstance(cell.value, bool):
        try:
            return datetime.fromtimestamp(cell.value, timezone.utc)
        except (OverflowError, ValueError, OSError):
            return None
    return None


def moment_of(data: Data) -> DateTime | None:
    """Return the date and time in data; None if it holds none.

    Some meters put an octet string with its tag and length into an octet string.
    """
    octets = data.value
    if not isinstance(octets, bytes):
        return None
    if len(octets) == 14 and octets[:2] == bytes((DataType.OCTET_STRING, 12)):
        octets = octets[2:]
    return DateTime.parse(octets) if len(octets) == 12 else None


def aware(moment: datetime, options: Options) -> datetime:
    """Return a moment with a zone: its own, the meter's, else UTC."""
    zone: tzinfo = options.zone or timezone.utc
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
