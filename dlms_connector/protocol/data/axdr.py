"""Strict A-XDR decoder of COSEM data, and the matching encoder (IEC 61334-6).

Data from a meter is never trusted: every count is compared with the octets left and taken from
the budget of the reply, nesting is limited, and data that does not fit raises ProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.budget import MAX_VALUES, Budget
from dlms_connector.protocol.data.compact_array import pack_compact_array, unpack_compact_array
from dlms_connector.protocol.data.data import Data, DataType, array, structure
from dlms_connector.protocol.data.lengths import (
    READING,
    announced,
    cut_short,
    decode_length,
    encode_length,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUES",
    "Budget",
    "Data",
    "DataType",
    "array",
    "decode",
    "decode_length",
    "decode_whole",
    "encode",
    "encode_length",
    "read_content",
    "structure",
]

#: Data of meters is nested three to six deep; more is noise or an attack.
MAX_DEPTH = 32
#: So many bits of a bit string take the memory of a value.
_BITS_OF_VALUE = 64

#: Reads or writes the content of a value, without its tag.
_Reader = Callable[[bytes, int, Budget], tuple[Any, int]]
_Writer = Callable[[Any], bytes]


def decode(buffer: bytes, start: int = 0, budget: Budget | None = None) -> tuple[Data, int]:
    """Read one value; return it and where it ends. Raises ProtocolError.

    The values of the reply share a `budget`; ExcessError if it is exceeded.
    """
    return _read(buffer, start, budget or Budget())


def decode_whole(buffer: bytes, start: int = 0, budget: Budget | None = None) -> Data:
    """Read one value that fills the octets to their end. Raises ProtocolError."""
    data, end = _read(buffer, start, budget or Budget())
    if end != len(buffer):
        raise ProtocolError(READING, f"{len(buffer) - end} octets too many behind the data")
    return data


def encode(data: Data) -> bytes:
    """Write a value with its tag. Raises ValueError if the value does not fit its type."""
    try:
        return bytes((data.type,)) + _WRITERS[data.type](data.value)
    except (struct.error, TypeError, AttributeError, OverflowError, ArithmeticError) as error:
        raise ValueError(f"{data.value!r} is not of type {data.type.name}: {error}") from error


def _read(buffer: bytes, at: int, budget: Budget) -> tuple[Data, int]:
    try:
        kind, read = _READERS[buffer[at]]
    except IndexError:
        raise cut_short(buffer) from None
    except KeyError:
        raise ProtocolError(READING, f"no type has the tag {buffer[at]}") from None
    value, at = read(buffer, at + 1, budget)
    return Data(kind, value), at


def read_content(kind: DataType, buffer: bytes, at: int) -> tuple[Data, int]:
    """Read a value whose type is known and whose tag is left out, as in compact arrays."""
    value, at = _READERS[kind][1](buffer, at, _LEAF)
    return Data(kind, value), at


def _number(form: str) -> tuple[_Reader, _Writer]:
    packing = struct.Struct(form)
    size, unpack = packing.size, packing.unpack_from

    def read(buffer: bytes, at: int, _budget: Budget) -> tuple[Any, int]:
        end = at + size
        if end > len(buffer):
            raise cut_short(buffer)
        return unpack(buffer, at)[0], end

    return read, packing.pack


def _sized(size: int) -> tuple[_Reader, _Writer]:
    def read(buffer: bytes, at: int, _budget: Budget) -> tuple[bytes, int]:
        end = at + size
        if end > len(buffer):
            raise cut_short(buffer)
        return buffer[at:end], end

    def write(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError(f"{size} octets are needed, not {len(value)}")
        return bytes(value)

    return read, write


def _read_nothing(_buffer: bytes, at: int, _budget: Budget) -> tuple[None, int]:
    return None, at


def _write_nothing(value: None) -> bytes:
    if value is not None:
        raise ValueError(f"{value!r} is not null")
    return b""


def _read_boolean(buffer: bytes, at: int, _budget: Budget) -> tuple[bool, int]:
    if at >= len(buffer):
        raise cut_short(buffer)
    return buffer[at] != 0, at + 1


def _write_boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _read_bcd(buffer: bytes, at: int, _budget: Budget) -> tuple[int | bytes, int]:
    if at >= len(buffer):
        raise cut_short(buffer)
    tens, ones = divmod(buffer[at], 16)
    return (tens * 10 + ones if max(tens, ones) < 10 else buffer[at : at + 1]), at + 1


def _write_bcd(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if not 0 <= value < 100:
        raise ValueError(f"{value} does not have two digits")
    return bytes((value // 10 * 16 + value % 10,))


def _read_string(buffer: bytes, at: int, _budget: Budget) -> tuple[bytes, int]:
    size, at = decode_length(buffer, at)
    end = at + size
    if end > len(buffer):
        raise cut_short(buffer)
    return buffer[at:end], end


def _write_string(value: bytes | str) -> bytes:
    octets = value.encode() if isinstance(value, str) else bytes(value)
    return encode_length(len(octets)) + octets


def _read_bits(buffer: bytes, at: int, budget: Budget) -> tuple[str, int]:
    count, at = decode_length(buffer, at)
    end = at + (count + 7) // 8
    if end > len(buffer):
        raise cut_short(buffer)
    if count > _BITS_OF_VALUE:
        budget.spend(count // _BITS_OF_VALUE)  # each bit becomes a character
    digits = f"{int.from_bytes(buffer[at:end], 'big'):0{8 * (end - at)}b}"
    return digits[:count], end


def _write_bits(value: str) -> bytes:
    size = (len(value) + 7) // 8
    octets = int(value.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")
    return encode_length(len(value)) + octets


def _read_elements(buffer: bytes, at: int, budget: Budget) -> tuple[tuple[Data, ...], int]:
    count, at = decode_length(buffer, at)
    announced(count, len(buffer) - at)
    if budget.depth >= MAX_DEPTH:
        raise ProtocolError(READING, f"nested deeper than {MAX_DEPTH} levels")
    budget.spend(count)
    budget.depth += 1
    elements = []
    for _ in range(count):
        element, at = _read(buffer, at, budget)
        elements.append(element)
    budget.depth -= 1
    return tuple(elements), at


def _write_elements(value: tuple[Data, ...]) -> bytes:
    return encode_length(len(value)) + b"".join(map(encode, value))


def _read_compact_array(buffer: bytes, at: int, budget: Budget) -> tuple[tuple[Data, ...], int]:
    return unpack_compact_array(buffer, at, MAX_DEPTH - budget.depth, read_content, budget.spend)


def _write_compact_array(value: tuple[Data, ...]) -> bytes:
    return pack_compact_array(value, lambda data: encode(data)[1:])


def _float(form: str) -> tuple[_Reader, _Writer]:
    read, pack = _number(form)

    def write(value: float | Decimal) -> bytes:
        return pack(float(value))

    return read, write


#: For values without elements, which are not nested.
_LEAF = Budget()

_STRING = (_read_string, _write_string)
_ELEMENTS = (_read_elements, _write_elements)
_NOTHING = (_read_nothing, _write_nothing)

_CODERS: dict[DataType, tuple[_Reader, _Writer]] = {
    DataType.NULL: _NOTHING,
    DataType.ARRAY: _ELEMENTS,
    DataType.STRUCTURE: _ELEMENTS,
    DataType.BOOLEAN: (_read_boolean, _write_boolean),
    DataType.BIT_STRING: (_read_bits, _write_bits),
    DataType.DOUBLE_LONG: _number(">i"),
    DataType.DOUBLE_LONG_UNSIGNED: _number(">I"),
    DataType.OCTET_STRING: _STRING,
    DataType.VISIBLE_STRING: _STRING,
    DataType.UTF8_STRING: _STRING,
    DataType.BCD: (_read_bcd, _write_bcd),
    DataType.INTEGER: _number(">b"),
    DataType.LONG: _number(">h"),
    DataType.UNSIGNED: _number(">B"),
    DataType.LONG_UNSIGNED: _number(">H"),
    DataType.COMPACT_ARRAY: (_read_compact_array, _write_compact_array),
    DataType.LONG64: _number(">q"),
    DataType.LONG64_UNSIGNED: _number(">Q"),
    DataType.ENUM: _number(">B"),
    DataType.FLOAT32: _float(">f"),
    DataType.FLOAT64: _float(">d"),
    DataType.DATE_TIME: _sized(12),
    DataType.DATE: _sized(5),
    DataType.TIME: _sized(4),
    DataType.DELTA_INTEGER: _number(">b"),
    DataType.DELTA_LONG: _number(">h"),
    DataType.DELTA_DOUBLE_LONG: _number(">i"),
    DataType.DELTA_UNSIGNED: _number(">B"),
    DataType.DELTA_LONG_UNSIGNED: _number(">H"),
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: _number(">I"),
    DataType.DONT_CARE: _NOTHING,
}
_READERS = {int(kind): (kind, read) for kind, (read, _) in _CODERS.items()}
_WRITERS = {kind: write for kind, (_, write) in _CODERS.items()}
