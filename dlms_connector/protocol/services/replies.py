"""Strict parser of answers with logical names (COSEM APDUs, IEC 62056-5-3 clause 8).

`parse` takes a whole plain APDU and raises ProtocolError if it is not exactly one of the
answers below. A result is Data, or the Data-Access-Result (or Action-Result) as int.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data import Budget, Cursor, Data

GET_RESPONSE, SET_RESPONSE, EVENT_NOTIFICATION, ACTION_RESPONSE = 0xC4, 0xC5, 0xC2, 0xC7
ACCESS_RESPONSE, DATA_NOTIFICATION, EXCEPTION_RESPONSE = 0xDA, 0x0F, 0xD8
CONFIRMED_SERVICE_ERROR = 0x0E

Result = Data | int

_GET_NORMAL = bytes((GET_RESPONSE, 1))


@dataclass(frozen=True, slots=True)
class GetNormal:
    """The answer to a GET of one attribute."""

    invoke_id: int
    result: Result


@dataclass(frozen=True, slots=True)
class GetBlock:
    """One block of a long answer, or the code that ends the transfer."""

    invoke_id: int
    last: bool
    number: int
    result: bytes | int


@dataclass(frozen=True, slots=True)
class GetList:
    """The answer to a GET of several attributes, each with its own result."""

    invoke_id: int
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class SetDone:
    """The answer to a SET or to its last block; a code for each attribute."""

    invoke_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BlockTaken:
    """The meter received a block of a SET or ACTION: send the next."""

    invoke_id: int
    number: int


@dataclass(frozen=True, slots=True)
class ActionDone:
    """The answer to an ACTION: for each method a code, and its return value if any."""

    invoke_id: int
    results: tuple[tuple[int, Result | None], ...]


@dataclass(frozen=True, slots=True)
class ActionBlock:
    """One block of a method's return value."""

    invoke_id: int
    last: bool
    number: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class AccessDone:
    """The answer to an ACCESS: code and data for each access specification."""

    invoke_id: int
    results: tuple[tuple[int, Data], ...]


@dataclass(frozen=True, slots=True)
class ExceptionReply:
    """The refusal of a request as a whole, in words."""

    diagnostic: str


@dataclass(frozen=True, slots=True)
class Notification:
    """An unsolicited DataNotification: its time (may be empty) and body."""

    invoke_id: int
    time: bytes
    body: Data


Reply = (
    GetNormal | GetBlock | GetList | SetDone | BlockTaken | ActionDone | ActionBlock
    | AccessDone | ExceptionReply | Notification
)  # fmt: skip

_STATES = {1: "service-not-allowed", 2: "service-unknown"}
_SERVICES = {
    1: "operation-not-possible",
    2: "service-not-supported",
    3: "other-reason",
    4: "pdu-too-long",
    5: "deciphering-error",
    6: "invocation-counter-error",
}


def parse(apdu: bytes, doing: str, budget: Budget | None = None) -> Reply:
    """Parse an answer; `doing` names the operation in errors. Raises ProtocolError.

    `budget` is what all its values may take together.
    """
    cursor = Cursor(apdu, doing, budget)
    tag = cursor.octet()
    read = _WHOLE.get(tag)
    if read is None:
        read = _CHOICES.get((tag, cursor.octet()))
    if read is None:
        raise ProtocolError(doing, f"an answer that begins {apdu[:3].hex(' ')} is of no known kind")
    reply = read(cursor)
    cursor.end()
    return reply


def long_value(answer: bytes) -> bytes | None:
    """Return the data of a normal GET answer as octets, if there is data."""
    head, choice = answer[:2], answer[3:4]
    return answer[4:] if head == _GET_NORMAL and choice == b"\x00" else None


def read_results(cursor: Cursor) -> tuple[Result, ...]:
    """Read a counted list of results, each Data or a Data-Access-Result."""
    count = cursor.results(least=2)
    return tuple(_result(cursor) for _ in range(count))


def read_action_result(cursor: Cursor) -> tuple[int, Result | None]:
    """Read an Action-Result and the method's return value, if any."""
    code = cursor.octet()
    # Some meters leave out the usage flag if nothing is returned.
    return code, _result(cursor) if cursor.left and cursor.flag() else None


def exception_diagnostic(apdu: bytes, doing: str) -> str:
    """Put an exception-response into words. Raises ProtocolError."""
    cursor = Cursor(apdu, doing)
    cursor.octet()
    return _exception(cursor).diagnostic


def _result(cursor: Cursor) -> Result:
    choice = cursor.octet()
    if choice > 1:
        raise cursor.wrong(f"{choice:02X} is neither data nor a Data-Access-Result")
    return cursor.octet() if choice else cursor.data()


def _invoke_id(cursor: Cursor) -> int:
    return cursor.octet() & 0x0F


def _codes(cursor: Cursor) -> tuple[int, ...]:
    return tuple(cursor.take(cursor.count(least=1)))


def _get_normal(cursor: Cursor) -> GetNormal:
    return GetNormal(_invoke_id(cursor), _result(cursor))


def _get_block(cursor: Cursor) -> GetBlock:
    invoke_id, last, number = _invoke_id(cursor), cursor.flag(), cursor.number(4)
    choice = cursor.octet()
    if choice > 1:
        raise cursor.wrong(f"{choice:02X} is neither a block nor a Data-Access-Result")
    return GetBlock(invoke_id, last, number, cursor.octet() if choice else cursor.string())


def _get_list(cursor: Cursor) -> GetList:
    return GetList(_invoke_id(cursor), read_results(cursor))


def _set_normal(cursor: Cursor) -> SetDone:
    return SetDone(_invoke_id(cursor), (cursor.octet(),))


def _set_last_block(cursor: Cursor) -> SetDone:
    done = _set_normal(cursor)
    # Some meters leave out the block number if they refuse.
    if cursor.left or not done.codes[0]:
        cursor.number(4)
    return done


def _set_list(cursor: Cursor) -> SetDone:
    return SetDone(_invoke_id(cursor), _codes(cursor))


def _set_list_last_block(cursor: Cursor) -> SetDone:
    done = _set_list(cursor)
    cursor.number(4)
    return done


def _block_taken(cursor: Cursor) -> BlockTaken:
    taken = BlockTaken(_invoke_id(cursor), cursor.number(4))
    # Some meters add a result to it, though only the last block has one.
    cursor.take(cursor.left)
    return taken


def _action_normal(cursor: Cursor) -> ActionDone:
    return ActionDone(_invoke_id(cursor), (read_action_result(cursor),))


def _action_list(cursor: Cursor) -> ActionDone:
    invoke_id, count = _invoke_id(cursor), cursor.count(least=1)
    return ActionDone(invoke_id, tuple(read_action_result(cursor) for _ in range(count)))


def _action_block(cursor: Cursor) -> ActionBlock:
    invoke_id, last, number = _invoke_id(cursor), cursor.flag(), cursor.number(4)
    return ActionBlock(invoke_id, last, number, cursor.string())


def _access(cursor: Cursor) -> AccessDone:
    invoke_id = cursor.number(4) & 0xFFFFFF
    cursor.string()  # the meter's date and time, mostly empty
    if cursor.flag():
        raise cursor.wrong("the request's specifications come back, which was not asked for")
    data = [cursor.data() for _ in range(cursor.results(least=1))]
    codes = [(cursor.octet(), cursor.octet())[1] for _ in range(cursor.count(least=2))]
    if len(codes) != len(data):
        raise cursor.wrong(f"{len(data)} values came with {len(codes)} results")
    return AccessDone(invoke_id, tuple(zip(codes, data, strict=True)))


def _exception(cursor: Cursor) -> ExceptionReply:
    state, service = cursor.octet(), cursor.octet()
    # After invocation-counter-error the meter sends the counter value that it expects.
    cursor.take(cursor.left)
    return ExceptionReply(exception_words(state, service))


def exception_words(state: int, service: int) -> str:
    """Put the two codes of an exception-response into words."""
    words = (_STATES.get(state, f"state error {state}"),
             _SERVICES.get(service, f"service error {service}"))  # fmt: skip
    return ", ".join(words)


def _notification(cursor: Cursor) -> Notification:
    return Notification(cursor.number(4) & 0xFFFFFF, cursor.string(), cursor.data())


_WHOLE: dict[int, Callable[[Cursor], Reply]] = {
    ACCESS_RESPONSE: _access,
    EXCEPTION_RESPONSE: _exception,
    DATA_NOTIFICATION: _notification,
}
_CHOICES: dict[tuple[int, int], Callable[[Cursor], Reply]] = {
    (GET_RESPONSE, 1): _get_normal,
    (GET_RESPONSE, 2): _get_block,
    (GET_RESPONSE, 3): _get_list,
    (SET_RESPONSE, 1): _set_normal,
    (SET_RESPONSE, 2): _block_taken,
    (SET_RESPONSE, 3): _set_last_block,
    (SET_RESPONSE, 4): _set_list_last_block,
    (SET_RESPONSE, 5): _set_list,
    (ACTION_RESPONSE, 1): _action_normal,
    (ACTION_RESPONSE, 2): _action_block,
    (ACTION_RESPONSE, 3): _action_list,
    (ACTION_RESPONSE, 4): _block_taken,
}
