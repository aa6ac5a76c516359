"""References in requests: attributes, parts of attributes, and methods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dlms_connector.obis import Obis


@dataclass(frozen=True, slots=True)
class AttributeRef:
    """One attribute of one object, as in a GET or SET request."""

    class_id: int
    obis: Obis
    attribute: int
    #: Selective access: the part to read, None for the whole attribute.
    selection: Selection | None = None

    def __str__(self) -> str:
        return f"{self.obis} attribute {self.attribute} (class {self.class_id})"


@dataclass(frozen=True, slots=True)
class MethodRef:
    """One method of one object, as in an ACTION request."""

    class_id: int
    obis: Obis
    method: int

    def __str__(self) -> str:
        return f"{self.obis} method {self.method} (class {self.class_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRange:
    """The rows of a buffer whose clock column is within `start` and `end`, both included.

    Instants are aware datetimes, or whole seconds if the column holds Unix time. `clock` is
    the column compared. `columns` are the columns to read; empty reads all of them. `skip`
    names the fields to leave unspecified in the two dates; None takes those of the meter's
    workarounds.
    """

    start: datetime | int
    end: datetime | int
    clock: AttributeRef | None = None
    columns: tuple[AttributeRef, ...] = ()
    skip: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByEntry:
    """The rows of a buffer from `first` to `last`, counted from 1; `last` 0 is the last row.

    Columns are counted from 1 too.
    """

    first: int = 1
    last: int = 0
    first_column: int = 1
    last_column: int = 0


Selection = ByRange | ByEntry
