"""What a Profile Generic captures, and what one of its rows says (IEC 62056-6-2, class 7).

`layouts` reads the layout of a profile, `rows` the rows of a buffer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dlms_connector.config import ProfileColumn
from dlms_connector.cosem import CLOCK_CLASS, AttributeRef
from dlms_connector.errors import ProtocolError
from dlms_connector.interpret import Interpretation, Options, ScalerUnit, examine, scaler_unit
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.reading import Value

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD = 2, 3, 4, 5
ENTRIES_IN_USE, PROFILE_ENTRIES = 7, 8
_DATA = 1
#: Value groups C to F of the UNIX clock 0-b:1.1.0, class Data, in seconds (IEC 62056-6-1).
_UNIX_CLOCK = bytes((1, 1, 0, 255))
#: Classes whose attributes beside the value are times of that value, not of the row.
_WITH_CAPTURE_TIME = (4, 5)
#: Registers and extended registers: the value is followed by scaler_unit.
_REGISTERS, _VALUE_AND_SCALER = (3, 4), 2
#: Value groups C to E of the time stamp of a billing period (IEC 62056-6-1).
_BILLING_TIME = bytes((0, 1, 2))


@dataclass(frozen=True, slots=True)
class Column:
    """A captured attribute, or a `part` of it (its data_index), and the scaler of its values.

    `scaled` is false if the scaler of its values could not be read. `stated` are the settings
    that the configuration has for it. A `whole` object was captured (attribute index 0): its
    cells hold all of its attributes.
    """

    ref: AttributeRef
    scaler: ScalerUnit | None
    part: int = 0
    scaled: bool = True
    stated: ProfileColumn | None = None
    whole: bool = False

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

    @property
    def unit(self) -> str | None:
        """The symbol of the unit of its numbers, None if there is none or it is not known."""
        return self.scaler.unit if self.scaler else None

    def examine(self, cell: Data, options: Options) -> Interpretation:
        """Return value, unit and quality of a cell."""
        ref, scaler = self.ref, self.scaler
        if cell.type is DataType.STRUCTURE:
            cell, scaler = self._within(cell)
        if self.stated and self.stated.has_no_value(cell.value):
            return Interpretation(None, None, "good")
        if self.part:
            # A part has another data type than the whole attribute.
            ref = AttributeRef(ref.class_id, ref.obis, 0)
        return examine(ref, cell, scaler, options)

    def _within(self, cell: Data) -> tuple[Data, ScalerUnit | None]:
        """Return the value within a structure, and its scaler, if the object is known there.

        It is a value with its scaler_unit, or all attributes of a `whole` object with the
        logical name first. Any other structure is shown as it is: it may contain scalers.
        """
        parts = cell.value
        if self.whole and parts and parts[0].value == self.ref.obis.octets:
            parts = parts[1:]
        elif self.ref.class_id not in _REGISTERS or len(parts) != _VALUE_AND_SCALER:
            return cell, None
        if not parts:
            return cell, None
        if self.ref.class_id not in _REGISTERS or len(parts) < _VALUE_AND_SCALER:
            return parts[0], self.scaler
        try:
            return parts[0], scaler_unit(parts[1])
        except ProtocolError:
            return (parts[0], self.scaler) if self.whole else (cell, None)


@dataclass(frozen=True, slots=True)
class Row:
    """The values captured at one time; `at` is None if the meter does not give the time.

    `suspect` names the columns with a value without a meaning, such as 31 February; `clock` are
    the flags of the meter's clock at that time that cast doubt on it. `units` are those of
    numbers.
    """

    at: datetime | None
    values: Mapping[str, Value]
    units: Mapping[str, str | None] = field(default_factory=dict)
    suspect: frozenset[str] = frozenset()
    clock: tuple[str, ...] = ()


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
    def names(self) -> Sequence[str]:
        """The names of the columns, by which a row has their values."""
        return _names(self.columns)

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


def _names(columns: Sequence[Column]) -> list[str]:
    """Return the keys of columns; a repeated one gets `#2` at its end, so that no value is lost."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for name in (column.name for column in columns):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names
