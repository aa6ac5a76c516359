"""COSEM values and their types (IEC 62056-6-2, common data types)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class DataType(IntEnum):
    """The tag of a value."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DELTA_INTEGER = 28
    DELTA_LONG = 29
    DELTA_DOUBLE_LONG = 30
    DELTA_UNSIGNED = 31
    DELTA_LONG_UNSIGNED = 32
    DELTA_DOUBLE_LONG_UNSIGNED = 33
    DONT_CARE = 255


#: Types of numbers that are the difference from the previous row of a profile.
DELTAS = frozenset(kind for kind in DataType if kind.name.startswith("DELTA_"))


@dataclass(frozen=True, slots=True)
class Data:
    """A value with its type.

    Arrays, structures and compact arrays hold a tuple of Data. Strings of octets or
    characters and the date and time types hold bytes. A bit string holds text of `0` and
    `1`. Floats hold a float. BCD holds a number of two digits, or the octet as bytes if it
    is not valid BCD. Null and dont-care hold None. The others hold bool or int.
    """

    type: DataType
    value: Any = None


def array(*elements: Data) -> Data:
    """Return an array of these elements."""
    return Data(DataType.ARRAY, elements)


def structure(*elements: Data) -> Data:
    """Return a structure of these elements."""
    return Data(DataType.STRUCTURE, elements)
