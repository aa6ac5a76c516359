"""COSEM interface classes: their numbers, names and attributes (Blue Book, IEC 62056-6-2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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


@dataclass(frozen=True, slots=True)
class CosemClass:
    """An interface class; `scalers` maps a scaled attribute to the one with its scaler and unit."""

    id: int
    name: str
    scalers: Mapping[int, int] = field(default_factory=dict)


CLASSES = {
    row.id: row
    for row in (
        CosemClass(1, "data"),
        CosemClass(3, "register", {2: 3}),
        CosemClass(4, "extendedRegister", {2: 3}),
        CosemClass(5, "demandRegister", {2: 4, 3: 4}),
        CosemClass(7, "profileGeneric"),
        CosemClass(8, "clock"),
        CosemClass(70, "disconnectControl"),
        CosemClass(71, "limiter"),
    )
}

_BY_NAME = {row.name.casefold(): row.id for row in CLASSES.values()}


def class_id(value: Any) -> int:
    """Read an interface class by name (`register`) or number (`3`); raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 0xFFFF:
        return value
    if isinstance(value, str):
        name = "".join(c for c in value if c.isalnum()).casefold()
        if name in _BY_NAME:
            return _BY_NAME[name]
    raise ValueError(f"{value!r} is not a COSEM class name or number")
