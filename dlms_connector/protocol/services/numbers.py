"""Answers of plain numbers, as nearly all answers to polls are, read without a parser.

Only what is exactly right is read here. Anything else, also what is nearly right, is left to
`replies`, which knows all that there is and says what is wrong.
"""

from __future__ import annotations

from struct import Struct

from dlms_connector.errors import ObjectError
from dlms_connector.protocol.data import Data, DataType

#: GetResponse with one result that is data, and with a list.
_NORMAL, _LIST = b"\xc4\x01", b"\xc4\x03"
#: Longer lists have a count of more octets.
_MOST = 0x7F
_DATA = 0

#: By tag: the type, what reads the number, its octets.
_NUMBERS = {
    int(kind): (kind, packing.unpack_from, packing.size)
    for kind, packing in (
        (DataType.DOUBLE_LONG, Struct(">i")),
        (DataType.DOUBLE_LONG_UNSIGNED, Struct(">I")),
        (DataType.INTEGER, Struct(">b")),
        (DataType.LONG, Struct(">h")),
        (DataType.UNSIGNED, Struct(">B")),
        (DataType.LONG_UNSIGNED, Struct(">H")),
        (DataType.LONG64, Struct(">q")),
        (DataType.LONG64_UNSIGNED, Struct(">Q")),
        (DataType.ENUM, Struct(">B")),
    )
}


def read_numbers(answer: bytes, count: int) -> list[Data | ObjectError] | None:
    """Return the numbers of an answer to a GET of so many attributes; None if it is not that.

    The invoke-id is not looked at.
    """
    if count == 1:
        if not answer.startswith(_NORMAL):
            return None
        at = 3
    elif count > _MOST or not answer.startswith(_LIST) or answer[3:4] != bytes((count,)):
        return None
    else:
        at = 4
    results: list[Data | ObjectError] = []
    end = len(answer)
    for _ in range(count):
        if at + 2 > end or answer[at] != _DATA:
            return None
        known = _NUMBERS.get(answer[at + 1])
        if known is None:
            return None
        kind, unpack, size = known
        at += 2
        if at + size > end:
            return None
        results.append(Data(kind, unpack(answer, at)[0]))
        at += size
    return results if at == end else None
