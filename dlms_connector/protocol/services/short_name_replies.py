"""Strict parser of answers with short names (ReadResponse, WriteResponse, IEC 62056-5-3)."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.errors import ExcessError, ProtocolError
from dlms_connector.protocol.data import Budget, Cursor, decode_whole
from dlms_connector.protocol.services.replies import Result

READ_RESPONSE, WRITE_RESPONSE = 0x0C, 0x0D
_DATA, _ERROR, _BLOCK, _BLOCK_NUMBER = 0, 1, 2, 3
_ONE_DATA = bytes((READ_RESPONSE, 1, _DATA))
_SUCCESS, _WRITE_BLOCK_NUMBER = 0, 2


@dataclass(frozen=True, slots=True)
class ReadResults:
    """A result for each variable: Data, or a Data-Access-Result as int."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One block of the results; the joined blocks are a ReadResponse without its tag."""

    last: bool
    number: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class WriteResults:
    """A Data-Access-Result for each variable."""

    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BlockTaken:
    """The meter received a block of a long request: send the next."""

    number: int


def parse_read(
    answer: bytes, doing: str, budget: Budget | None = None
) -> ReadResults | ReadBlock | BlockTaken:
    """Read a ReadResponse; `budget` is what its values may take. Raises ProtocolError."""
    cursor = _begin(answer, READ_RESPONSE, doing, budget)
    if answer[1:2] == b"\x01" and answer[2:3] in (b"\x02", b"\x03"):
        cursor.take(2)
        reply = _block(cursor) if answer[2] == _BLOCK else BlockTaken(cursor.number(2))
        cursor.end()
        return reply
    return ReadResults(_results(cursor))


def long_value(answer: bytes) -> bytes | None:
    """Return the data of the only result of a ReadResponse as octets, if there is data."""
    return answer[3:] if answer[:3] == _ONE_DATA else None


def parse_read_blocks(
    whole: bytes, doing: str, budget: Budget | None = None, *, several: bool
) -> ReadResults:
    """Parse the results in the joined blocks. Raises ProtocolError.

    The blocks hold the list of results, as in an answer without blocks. If one variable was
    requested, some meters leave out its count and choice, and send the data alone.
    """
    budget = budget or Budget(items=None if several else 1)
    try:
        return ReadResults(_results(Cursor(whole, doing, budget.again())))
    except ExcessError:
        raise
    except ProtocolError as error:
        if several:
            raise
        problem = error
    try:
        return ReadResults((decode_whole(whole, budget=budget),))
    except ProtocolError:
        raise problem from None


def parse_write(answer: bytes, doing: str) -> WriteResults | BlockTaken:
    """Read a WriteResponse. Raises ProtocolError."""
    cursor = _begin(answer, WRITE_RESPONSE, doing)
    count = cursor.count(least=1)
    if count == 1 and answer[2:3] == bytes((_WRITE_BLOCK_NUMBER,)):
        cursor.octet()
        taken = BlockTaken(cursor.number(2))
        cursor.end()
        return taken
    codes = tuple(_code(cursor) for _ in range(count))
    cursor.end()
    return WriteResults(codes)


def _begin(answer: bytes, tag: int, doing: str, budget: Budget | None = None) -> Cursor:
    cursor = Cursor(answer, doing, budget)
    if cursor.octet() != tag:
        raise ProtocolError(doing, f"{answer[:3].hex(' ')} came instead of {tag:02X}")
    return cursor


def _results(cursor: Cursor) -> tuple[Result, ...]:
    results = tuple(_result(cursor) for _ in range(cursor.results(least=2)))
    cursor.end()
    return results


def _result(cursor: Cursor) -> Result:
    choice = cursor.octet()
    if choice == _DATA:
        return cursor.data()
    if choice == _ERROR:
        return cursor.octet()
    raise cursor.wrong(f"{choice:02X} is neither data nor a Data-Access-Result")


def _code(cursor: Cursor) -> int:
    choice = cursor.octet()
    if choice == _SUCCESS:
        return 0
    if choice == _ERROR:
        return cursor.octet()
    raise cursor.wrong(f"{choice:02X} is neither success nor a Data-Access-Result")


def _block(cursor: Cursor) -> ReadBlock:
    return ReadBlock(cursor.flag(), cursor.number(2), cursor.string())
