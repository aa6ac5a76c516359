"""What requests name: attributes, parts of attributes, and methods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dlms_connector.obis import Obis


@dataclass(frozen=True, slots=True)
class AttributeRef:
    """One attribute of one object: what a GET or SET names."""

    class_id: int
    obis: Obis
    attribute: int
    #: Which part of it, where the whole is not wanted.
    selection: Selection | None = None

    def __str__(self) -> str:
        return f"{self.obis} attribute {self.attribute} (class {self.class_id})"


@dataclass(frozen=True, slots=True)
class MethodRef:
    """One method of one object: what an ACTION names."""

    class_id: int
    obis: Obis
    method: int

    def __str__(self) -> str:
        return f"{self.obis} method {self.method} (class {self.class_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRange:
    """The rows of a buffer whose clock column is within `start` and `end`, both included.

    Instants are aware datetimes, or whole seconds where the column holds Unix time.
    `clock` is the column compared, `columns` are those wanted, none for all of them.
    `skip` names fields of the two dates to leave unspecified, None for those that the
    meter's workarounds name.
    """

    start: datetime | int
    end: datetime | int
    clock: AttributeRef | None = None
    columns: tuple[AttributeRef, ...] = ()
    skip: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByEntry:
    """The rows of a buffer from `first` to `last`, counted from 1; a last of 0 is the end.

    Columns are counted from 1 too.
    """

    first: int = 1
    last: int = 0
    first_column: int = 1
    last_column: int = 0


Selection = ByRange | ByEntry
