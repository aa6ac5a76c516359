"""Long values of GET, SET and ACTION, one block for each request (IEC 62056-5-3)."""

from __future__ import annotations

from dlms_connector.errors import LinkError, ObjectError, ProtocolError, ServiceError
from dlms_connector.protocol.data import MAX_OCTETS
from dlms_connector.protocol.services.blocks import Collected, cut
from dlms_connector.protocol.services.codec import CONFIRMED_HIGH
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.replies import (
    ActionBlock,
    ActionDone,
    BlockTaken,
    GetBlock,
    GetNormal,
    Reply,
    SetDone,
    parse,
)
from dlms_connector.protocol.talk import Talk

GET, SET, ACTION = 0xC0, 0xC1, 0xC3

#: Octets before a block's data: last-block, block number, and the longest likely length field.
_BLOCK_HEADER = 1 + 4 + 3
_NEXT = 2
_FOLLOWING = {SET: 3, ACTION: 6}


def unexpected(reply: Reply, doing: str) -> ProtocolError:
    """Return the error for an answer of the wrong kind."""
    return ProtocolError(doing, f"{type(reply).__name__} is no answer to this request")


def follow_get(
    conversation: Conversation, answer: bytes, block: GetBlock, doing: str, most: int = MAX_OCTETS
) -> Talk[bytes | int]:
    """Request the remaining blocks; return the whole value, or the code that ended it.

    `block` is the first block, `answer` the APDU that contained it, `most` how many octets the
    value may have. Raises ExcessError beyond: the meter forgets the transfer with the next GET.
    """
    collected = Collected(doing, most)
    while True:
        if isinstance(block.result, int):
            return block.result
        collected.add(block.number, block.result)
        if block.last:
            return collected.whole()
        request = _next(GET, block.invoke_id, block.number)
        try:
            answer = yield from conversation.ask(request, doing, previous=answer)
        except LinkError as error:
            error.arrived = collected.whole()
            raise
        match parse(answer, doing):
            case GetBlock() as block:
                pass
            case GetNormal(_, int() as code):
                return code
            case other:
                raise unexpected(other, doing)


def follow_action(
    conversation: Conversation,
    answer: bytes,
    block: ActionBlock,
    doing: str,
    most: int = MAX_OCTETS,
) -> Talk[bytes]:
    """Request the remaining blocks of a method's return value. Raises ObjectError."""
    collected = Collected(doing, most)
    while True:
        collected.add(block.number, block.raw)
        if block.last:
            return collected.whole()
        request = _next(ACTION, block.invoke_id, block.number)
        answer = yield from conversation.ask(request, doing, previous=answer)
        match parse(answer, doing):
            case ActionBlock() as block:
                pass
            case ActionDone(_, ((code, _),)) if code:
                raise ObjectError(doing, code)
            case other:
                raise unexpected(other, doing)


def send_blocks(
    conversation: Conversation, head: bytes, octets: bytes, room: int, doing: str
) -> Talk[bytes]:
    """Send a long value in blocks; return the last answer.

    `head` begins the first request. No request is longer than `room` octets. Raises
    ServiceError if not even the head fits, ProtocolError if the meter reports success
    before the last block.
    """
    service, invoke_id = head[0], head[2]
    following = bytes((service, _FOLLOWING[service], invoke_id))
    first_size = room - len(head) - _BLOCK_HEADER
    if first_size < 1:
        raise ServiceError(doing, f"the request does not fit a PDU of {room} octets")
    blocks = cut(octets, first_size, room - len(following) - _BLOCK_HEADER)
    answer = yield from conversation.ask(head + next(blocks), doing)
    for taken, block in enumerate(blocks, 1):
        reply = parse(answer, doing)
        if _refuses(reply):
            break
        if not isinstance(reply, BlockTaken):
            raise unexpected(reply, doing)
        if reply.number != taken:
            raise ProtocolError(doing, f"block {reply.number} was taken instead of {taken}")
        answer = yield from conversation.ask(following + block, doing, previous=answer)
    return answer


def _refuses(reply: Reply) -> bool:
    """Return whether this reply refuses a transfer before its last block."""
    match reply:
        case SetDone(_, codes):
            return any(codes)
        case ActionDone(_, results):
            return any(code for code, _ in results)
    return False


def _next(service: int, invoke_id: int, number: int) -> bytes:
    return bytes((service, _NEXT, CONFIRMED_HIGH | invoke_id)) + number.to_bytes(4, "big")
