"""Compact arrays: the type once, then the values of all elements without tags.

IEC 62056-6-2, compact-array: a type description, then the contents as an octet string.
Arrays within the description have a fixed number of elements, given as long-unsigned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from dlms_connector.errors import ExcessError, ProtocolError
from dlms_connector.protocol.data.data import Data, DataType
from dlms_connector.protocol.data.lengths import READING, cut_short, decode_length, encode_length

#: Limit of values: this many, and some more for each octet of the contents. Elements without
#: content (null-data) take no octets, so without a limit a few octets could fill the memory.
_FREE_ELEMENTS = 1 << 15
_ELEMENTS_PER_OCTET = 4

_KINDS = {int(kind): kind for kind in DataType}

#: Reads a value of a known type without its tag: type, octets, where it begins.
_ReadContent = Callable[[DataType, bytes, int], tuple[Data, int]]
_WriteContent = Callable[[Data], bytes]
#: Counts values that will be read; raises ProtocolError if they are too many.
_Spend = Callable[[int], None]


#: Octets of a value without its tag, at least. Strings may be empty, but have a length.
_LEAST_OCTETS = {
    DataType.NULL: 0,
    DataType.DONT_CARE: 0,
    DataType.DOUBLE_LONG: 4,
    DataType.DOUBLE_LONG_UNSIGNED: 4,
    DataType.LONG: 2,
    DataType.LONG_UNSIGNED: 2,
    DataType.LONG64: 8,
    DataType.LONG64_UNSIGNED: 8,
    DataType.FLOAT32: 4,
    DataType.FLOAT64: 8,
    DataType.DATE_TIME: 12,
    DataType.DATE: 5,
    DataType.TIME: 4,
    DataType.DELTA_LONG: 2,
    DataType.DELTA_LONG_UNSIGNED: 2,
    DataType.DELTA_DOUBLE_LONG: 4,
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: 4,
}
#: Types whose values differ in size.
_STRINGS = (
    DataType.BIT_STRING, DataType.OCTET_STRING, DataType.VISIBLE_STRING, DataType.UTF8_STRING,
)  # fmt: skip


@dataclass(frozen=True)
class _Description:
    """The type of an element; `parts` are the types of its own elements, `repeat` times."""

    kind: DataType
    parts: tuple[_Description, ...] = ()
    repeat: int = 1

    @cached_property
    def size(self) -> int:
        """Number of values in one element, including itself."""
        return 1 + self.repeat * sum(part.size for part in self.parts)

    @cached_property
    def octets(self) -> int:
        """The fewest octets that one element takes."""
        if self.kind in (DataType.ARRAY, DataType.STRUCTURE):
            return self.repeat * sum(part.octets for part in self.parts)
        return _LEAST_OCTETS.get(self.kind, 1)

    @cached_property
    def is_fixed(self) -> bool:
        """Whether all elements take equally many octets."""
        return self.kind not in _STRINGS and all(part.is_fixed for part in self.parts)


@dataclass(frozen=True, slots=True)
class CompactArray:
    """A compact array whose elements are not read yet."""

    description: _Description
    contents: bytes

    @property
    def size(self) -> int:
        """Number of values in one element, including itself."""
        return self.description.size

    def elements(self, read_content: _ReadContent, spend: _Spend) -> Iterator[Data]:
        """Read the elements one by one. Raises ProtocolError.

        Their number is checked before the first of them is read, where it is known by then.
        """
        element, contents, length = self.description, self.contents, len(self.contents)
        budget = _FREE_ELEMENTS + length * _ELEMENTS_PER_OCTET
        if not length:
            return
        if element.size > budget:
            raise _too_many()
        if not element.octets:
            raise ProtocolError(READING, "the elements of a compact array have no content")
        if element.octets > length:
            raise cut_short(contents)
        if element.is_fixed:
            count = length // element.octets
            if count * element.size > budget:
                raise _too_many()
            spend(count * element.size)
        at = 0
        while at < length:
            if not element.is_fixed:
                budget -= element.size
                if budget < 0:
                    raise _too_many()
                spend(element.size)
            data, at = _read_element(element, contents, at, read_content)
            yield data


def unpack_compact_array(
    buffer: bytes, at: int, depth: int, read_content: _ReadContent, spend: _Spend
) -> tuple[tuple[Data, ...], int]:
    """Read a compact array after its tag; return its elements and where it ends.

    `depth` is how many levels of nesting are allowed. Raises ProtocolError.
    """
    array, end = read_compact_header(buffer, at, depth)
    return tuple(array.elements(read_content, spend)), end


def read_compact_header(buffer: bytes, at: int, depth: int) -> tuple[CompactArray, int]:
    """Read the type and the contents of a compact array; return it and where it ends."""
    description, at = _read_description(buffer, at, depth)
    length, at = decode_length(buffer, at)
    end = at + length
    if end > len(buffer):
        raise cut_short(buffer)
    return CompactArray(description, buffer[at:end]), end


def _too_many() -> ProtocolError:
    return ExcessError(READING, "a compact array has more elements than octets")


def pack_compact_array(elements: tuple[Data, ...], write_content: _WriteContent) -> bytes:
    """Write a compact array without its tag. Raises ValueError if the elements differ in type."""
    description = _describe(elements[0]) if elements else _Description(DataType.NULL)
    if any(_describe(element) != description for element in elements):
        raise ValueError("the elements of a compact array must be alike")
    contents = b"".join(_write_element(element, write_content) for element in elements)
    if elements and not contents:
        raise ValueError("the elements of a compact array must have content")
    return _write_description(description) + encode_length(len(contents)) + contents


def _read_description(buffer: bytes, at: int, depth: int) -> tuple[_Description, int]:
    if at >= len(buffer):
        raise cut_short(buffer)
    kind = _KINDS.get(buffer[at])
    at += 1
    if depth <= 0:
        raise ProtocolError(READING, "a compact array is nested too deep")
    if kind is None or kind is DataType.COMPACT_ARRAY:
        raise ProtocolError(READING, f"a compact array cannot have elements of {buffer[at - 1]}")
    if kind is DataType.ARRAY:
        if at + 2 > len(buffer):
            raise cut_short(buffer)
        count = int.from_bytes(buffer[at : at + 2], "big")
        part, at = _read_description(buffer, at + 2, depth - 1)
        return _Description(kind, (part,), count), at
    if kind is DataType.STRUCTURE:
        count, at = decode_length(buffer, at)
        if count > len(buffer) - at:
            raise cut_short(buffer)
        parts = []
        for _ in range(count):
            part, at = _read_description(buffer, at, depth - 1)
            parts.append(part)
        return _Description(kind, tuple(parts)), at
    return _Description(kind), at


def _read_element(
    description: _Description, contents: bytes, at: int, read_content: _ReadContent
) -> tuple[Data, int]:
    if description.kind not in (DataType.ARRAY, DataType.STRUCTURE):
        return read_content(description.kind, contents, at)
    elements = []
    for _ in range(description.repeat):
        for part in description.parts:
            element, at = _read_element(part, contents, at, read_content)
            elements.append(element)
    return Data(description.kind, tuple(elements)), at


def _describe(data: Data) -> _Description:
    if data.type not in (DataType.ARRAY, DataType.STRUCTURE):
        return _Description(data.type)
    parts = tuple(_describe(element) for element in data.value)
    if data.type is DataType.STRUCTURE:
        return _Description(data.type, parts)
    if len(set(parts)) > 1:
        raise ValueError("the elements of an array in a compact array must be alike")
    return _Description(data.type, parts[:1] or (_Description(DataType.NULL),), len(parts))


def _write_description(description: _Description) -> bytes:
    tag, parts = bytes((description.kind,)), description.parts
    if description.kind is DataType.ARRAY:
        return tag + description.repeat.to_bytes(2, "big") + _write_description(parts[0])
    if description.kind is DataType.STRUCTURE:
        return tag + encode_length(len(parts)) + b"".join(map(_write_description, parts))
    return tag


def _write_element(data: Data, write_content: _WriteContent) -> bytes:
    if data.type in (DataType.ARRAY, DataType.STRUCTURE):
        return b"".join(_write_element(element, write_content) for element in data.value)
    return write_content(data)
