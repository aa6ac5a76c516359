"""COSEM data in the simulated meter: A-XDR (IEC 61334-6, types of IEC 62056-6-2).

It shares no code with the client's codec on purpose, so that tests find a mistake in either.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

NULL, ARRAY, STRUCTURE, BOOLEAN, BIT_STRING, INT32, UINT32 = 0, 1, 2, 3, 4, 5, 6
OCTETS, TEXT, UTF8, BCD, INT8, INT16, UINT8, UINT16 = 9, 10, 12, 13, 15, 16, 17, 18
COMPACT_ARRAY, INT64, UINT64, ENUM, FLOAT32, FLOAT64 = 19, 20, 21, 22, 23, 24
DATE_TIME, DATE, TIME = 25, 26, 27
#: A signed difference of 32 bits from the value before.
DELTA32 = 30

#: Type names of the Blue Book, as used in an override file.
TYPE_NAMES = {
    "null-data": NULL,
    "array": ARRAY,
    "structure": STRUCTURE,
    "boolean": BOOLEAN,
    "bit-string": BIT_STRING,
    "double-long": INT32,
    "double-long-unsigned": UINT32,
    "octet-string": OCTETS,
    "visible-string": TEXT,
    "utf8-string": UTF8,
    "bcd": BCD,
    "integer": INT8,
    "long": INT16,
    "unsigned": UINT8,
    "long-unsigned": UINT16,
    "compact-array": COMPACT_ARRAY,
    "long64": INT64,
    "long64-unsigned": UINT64,
    "enum": ENUM,
    "float32": FLOAT32,
    "float64": FLOAT64,
    "date-time": DATE_TIME,
    "date": DATE,
    "time": TIME,
}

_FIXED = {
    INT32: struct.Struct(">i"),
    UINT32: struct.Struct(">I"),
    BCD: struct.Struct(">B"),
    INT8: struct.Struct(">b"),
    INT16: struct.Struct(">h"),
    UINT8: struct.Struct(">B"),
    UINT16: struct.Struct(">H"),
    INT64: struct.Struct(">q"),
    UINT64: struct.Struct(">Q"),
    ENUM: struct.Struct(">B"),
    FLOAT32: struct.Struct(">f"),
    FLOAT64: struct.Struct(">d"),
    DELTA32: struct.Struct(">i"),
}
_SIZED = {DATE_TIME: 12, DATE: 5, TIME: 4}
_STRINGS = (OCTETS, TEXT, UTF8)
_DEEPEST = 16


class MalformedError(ValueError):
    """A client sent octets that are not a valid APDU or not valid data."""


class Data(NamedTuple):
    """A typed value; arrays and structures hold a tuple of Data, strings hold bytes.

    A bit string holds text such as "0101"; a compact array holds its octets after the tag.
    """

    tag: int
    value: Any = None


def array(*items: Data) -> Data:
    """Make an array."""
    return Data(ARRAY, items)


class _Announcing(tuple[Data, ...]):
    """Elements that announce more than there are."""

    more = 0

    def __len__(self) -> int:
        return super().__len__() + self.more


def announcing(listed: Data, more: int) -> Data:
    """Make an array that announces so many more elements than it has."""
    elements = _Announcing(listed.value)
    elements.more = more
    return Data(listed.tag, elements)


#: What is no value: fewer octets follow than its length says.
CUT_SHORT = Data(COMPACT_ARRAY, b"\x12\x04\x00")


def structure(*items: Data) -> Data:
    """Make a structure."""
    return Data(STRUCTURE, items)


def octets(value: bytes) -> Data:
    """Make an octet string."""
    return Data(OCTETS, value)


def u8(value: int) -> Data:
    """Make an unsigned (8 bits)."""
    return Data(UINT8, value)


def u16(value: int) -> Data:
    """Make a long-unsigned (16 bits)."""
    return Data(UINT16, value)


def u32(value: int) -> Data:
    """Make a double-long-unsigned (32 bits)."""
    return Data(UINT32, value)


def i8(value: int) -> Data:
    """Make an integer (8 bits)."""
    return Data(INT8, value)


def enum(value: int) -> Data:
    """Make an enum."""
    return Data(ENUM, value)


def boolean(value: bool) -> Data:
    """Make a boolean."""
    return Data(BOOLEAN, value)


NOTHING = Data(NULL)


def length(count: int) -> bytes:
    """Write a length of A-XDR and BER: one octet up to 127, else a count and that many octets."""
    if count < 0x80:
        return bytes((count,))
    size = (count.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + count.to_bytes(size, "big")


def encode(data: Data) -> bytes:
    """Write data with its tag."""
    out = bytearray()
    _write(data, out)
    return bytes(out)


def _write(data: Data, out: bytearray) -> None:
    tag, value = data
    out.append(tag)
    if tag in (ARRAY, STRUCTURE):
        out += length(len(value))
        for item in value:
            _write(item, out)
    elif fixed := _FIXED.get(tag):
        out += fixed.pack(value)
    elif tag in _STRINGS:
        out += length(len(value)) + value
    elif tag == BOOLEAN:
        out.append(1 if value else 0)
    elif tag == BIT_STRING:
        padded = value + "0" * (-len(value) % 8)
        out += length(len(value)) + int(padded or "0", 2).to_bytes(len(padded) // 8, "big")
    elif tag in _SIZED or tag == COMPACT_ARRAY:
        out += value


class Reader:
    """Reads the fields of an APDU in order; raises MalformedError if it ends too early."""

    def __init__(self, octets_: bytes) -> None:
        self._octets = octets_
        self._at = 0

    @property
    def left(self) -> int:
        """How many octets remain."""
        return len(self._octets) - self._at

    def take(self, count: int) -> bytes:
        """Take `count` octets."""
        if count > self.left:
            raise MalformedError(f"{count} octets wanted, {self.left} left")
        self._at += count
        return self._octets[self._at - count : self._at]

    def peek(self, count: int) -> bytes:
        """Return the next octets without taking them; fewer at the end."""
        return self._octets[self._at : self._at + count]

    def rest(self) -> bytes:
        """Take all that remains."""
        return self.take(self.left)

    def number(self, size: int = 1) -> int:
        """Take an unsigned number of `size` octets."""
        return int.from_bytes(self.take(size), "big")

    def length(self) -> int:
        """Take a length."""
        first = self.number()
        if first < 0x80:
            return first
        if first > 0x84:
            raise MalformedError(f"a length of {first - 0x80} octets")
        return self.number(first - 0x80)

    def string(self) -> bytes:
        """Take octets that follow their length."""
        return self.take(self.length())

    def data(self, depth: int = 0) -> Data:
        """Take data with its tag."""
        tag = self.number()
        if depth > _DEEPEST:
            raise MalformedError("data nested too deep")
        if tag in (ARRAY, STRUCTURE):
            count = self.length()
            if count > self.left:
                raise MalformedError(f"{count} elements announced, {self.left} octets left")
            return Data(tag, tuple(self.data(depth + 1) for _ in range(count)))
        if fixed := _FIXED.get(tag):
            return Data(tag, fixed.unpack(self.take(fixed.size))[0])
        if tag in _STRINGS:
            return Data(tag, self.string())
        if tag == BOOLEAN:
            return Data(tag, self.number() != 0)
        if tag == BIT_STRING:
            bits = self.length()
            digits = "".join(f"{octet:08b}" for octet in self.take((bits + 7) // 8))
            return Data(tag, digits[:bits])
        if tag in _SIZED:
            return Data(tag, self.take(_SIZED[tag]))
        if tag != NULL:
            raise MalformedError(f"tag {tag} of data")
        return NOTHING


def decode(octets_: bytes) -> Data:
    """Read data that uses all the octets; raises MalformedError."""
    reader = Reader(octets_)
    data = reader.data()
    if reader.left:
        raise MalformedError(f"{reader.left} octets behind the data")
    return data
