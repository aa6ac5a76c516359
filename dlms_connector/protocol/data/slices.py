"""Reads long values in slices: between two of them the loop serves other meters.

Only values that are long by their nature are read so: the buffer of a profile, a list of
objects. They are an array whose elements (rows) are short.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from dlms_connector.errors import ExcessError, ProtocolError
from dlms_connector.protocol.data.axdr import MAX_DEPTH, decode, decode_whole, read_content
from dlms_connector.protocol.data.budget import MAX_ROWS, Budget
from dlms_connector.protocol.data.compact_array import read_compact_header
from dlms_connector.protocol.data.data import Data, DataType, array
from dlms_connector.protocol.data.lengths import READING, announced, decode_length

#: Values between two breaks: they take some milliseconds.
SLICE = 1 << 12
#: A shorter value is read at once.
_SHORT = 1 << 10


def decode_in_slices(octets: bytes, budget: Budget) -> Generator[None, None, Data]:
    """Read one value that fills the octets, with a break after each slice.

    Raises ProtocolError, ExcessError if it exceeds the budget, or a row of it `MAX_ROW`.
    """
    kind = octets[0] if len(octets) > _SHORT else None
    if kind == DataType.ARRAY:
        type_, rows = DataType.ARRAY, _rows(octets, budget)
    elif kind == DataType.COMPACT_ARRAY:
        type_, rows = DataType.COMPACT_ARRAY, _compact_rows(octets, budget)
    else:
        return decode_whole(octets, budget=budget.of_row())
    built: list[Data] = []
    since = 0
    for row, values in rows:
        built.append(row)
        if len(built) > MAX_ROWS:
            raise ExcessError(READING, f"more than {MAX_ROWS} rows")
        since += values
        if since > SLICE:
            since = 0
            yield
    return Data(type_, tuple(built))


def decode_entries(octets: bytes, budget: Budget) -> Generator[None, None, tuple[Data, int]]:
    """Read an array as far as its entries are whole; return it and the announced number.

    For object lists only: some meters announce more entries than they send, or fewer. Raises
    ProtocolError if it is no array, ExcessError if there are too many entries.
    """
    if octets[:1] != bytes((DataType.ARRAY,)):
        data = yield from decode_in_slices(octets, budget)
        return data, len(data.value) if isinstance(data.value, tuple) else 0
    count, at = decode_length(octets, 1)
    entries: list[Data] = []
    since = budget.left
    while at < len(octets):
        try:
            entry, _, at = _row(octets, at, budget)
        except ExcessError:
            raise
        except ProtocolError:
            break
        entries.append(entry)
        if since - budget.left > SLICE:
            since = budget.left
            yield
    return array(*entries), count


#: Rows, each with its number of values.
_Rows = Iterator[tuple[Data, int]]


def _rows(octets: bytes, budget: Budget) -> _Rows:
    count, at = decode_length(octets, 1)
    announced(count, len(octets) - at)
    for _ in range(count):
        row, values, at = _row(octets, at, budget)
        yield row, values
    _end(octets, at)


def _row(octets: bytes, at: int, budget: Budget) -> tuple[Data, int, int]:
    """Read one row; return it, its number of values, and where it ends."""
    own = budget.of_row()
    own.depth, before = 1, own.left
    row, at = decode(octets, at, own)
    values = 1 + before - own.left
    budget.spend(values)
    return row, values, at


def _compact_rows(octets: bytes, budget: Budget) -> _Rows:
    compact, end = read_compact_header(octets, 1, MAX_DEPTH)
    _end(octets, end)
    budget.of_row().spend(compact.size)
    for element in compact.elements(read_content, budget.spend):
        yield element, compact.size


def _end(octets: bytes, at: int) -> None:
    if at != len(octets):
        raise ProtocolError(READING, f"{len(octets) - at} octets too many behind the data")
