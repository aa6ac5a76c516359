"""Fillers of the same length for what must not be seen, in A-XDR data and in BER.

The structure stays: lengths and tags are those of the original. What cannot be parsed is filled
as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

FILLER = ord("*")

#: Widths of A-XDR data of fixed length (IEC 62056-6-2 clause 4.1.5).
_FIXED = {0: 0, 3: 1, 5: 4, 6: 4, 13: 1, 15: 1, 16: 2, 17: 1, 18: 2, 20: 8, 21: 8, 22: 1,
          23: 4, 24: 8, 25: 12, 26: 5, 27: 4, 255: 0}  # fmt: skip
_INTEGERS = frozenset({5, 6, 16, 18, 20, 21})
_STRINGS = frozenset({9, 10, 12})
_BIT_STRING, _COMPACT_ARRAY = 4, 19
_MOST_DEPTH = 32


class UnclearError(Exception):
    """The octets are not what they should be."""


def fill(octets: bytearray, start: int, end: int | None = None) -> None:
    """Overwrite a part."""
    end = len(octets) if end is None else min(end, len(octets))
    octets[start:end] = bytes([FILLER]) * max(0, end - start)


def length(octets: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a length and where its value begins. Raises UnclearError."""
    if at >= len(octets):
        raise UnclearError
    first = octets[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    end = at + 1 + count
    if not 1 <= count <= 4 or end > len(octets):
        raise UnclearError
    return int.from_bytes(octets[at + 1 : end], "big"), end


def is_plain(value: bytes) -> bool:
    """Whether a string is a logical name or a date and time, which identify nobody."""
    if len(value) == 6:
        return value[5] == 0xFF
    return len(value) == 12 and value[0] in (0x07, 0xFF) and (1 <= value[2] <= 12 or value[2] > 252)


def fill_data(
    octets: bytearray,
    at: int,
    *,
    integers: bool,
    spare: Callable[[bytes], bool] = lambda value: False,
    seen: Callable[[bytes], None] = lambda value: None,
    depth: int = 0,
) -> int:
    """Fill the strings of one A-XDR value, and return where it ends. Raises UnclearError.

    With `integers`, integers become zero; `spare` says which strings stay, `seen` gets the others.
    """
    if at >= len(octets) or depth > _MOST_DEPTH:
        raise UnclearError
    tag, at = octets[at], at + 1
    if tag in _FIXED:
        end = at + _FIXED[tag]
        if end > len(octets):
            raise UnclearError
        if integers and tag in _INTEGERS:
            octets[at:end] = bytes(end - at)
        return end
    if tag == _COMPACT_ARRAY:
        raise UnclearError
    size, at = length(octets, at)
    if tag in (1, 2):
        for _ in range(size):
            at = fill_data(octets, at, integers=integers, spare=spare, seen=seen, depth=depth + 1)
        return at
    end = at + ((size + 7) // 8 if tag == _BIT_STRING else size)
    if end > len(octets) or tag not in (_BIT_STRING, *_STRINGS):
        raise UnclearError
    value = bytes(octets[at:end])
    if tag in _STRINGS and not spare(value):
        seen(value)
        fill(octets, at, end)
    return end


def fill_ber(
    octets: bytearray,
    at: int,
    end: int,
    hidden: frozenset[int],
    seen: Callable[[int, bytes], None],
    opened: Callable[[bytearray, int, int], None],
) -> None:
    """Fill the primitive values within the tags `hidden`. Raises UnclearError.

    `seen` gets tag and value of what is filled, `opened` the place of the user information (BE).
    """
    while at < end:
        tag = octets[at]
        size, start = length(octets, at + 1)
        at = start + size
        if at > end:
            raise UnclearError
        if tag == 0xBE:
            inner, begin = length(octets, start + 1)
            opened(octets, begin, min(begin + inner, at))
        elif tag in hidden:
            # An explicit tag holds one value; an implicit one is the value itself.
            begin = start
            if tag & 0x20 and size >= 2:
                inner, begin = length(octets, start + 1)
                if begin + inner != at:
                    begin = start
            seen(tag, bytes(octets[begin:at]))
            fill(octets, begin, at)
