"""The services Read and Write on variables, with block transfer (IEC 62056-5-3).

A variable is an attribute, or a method, by its short name. Read and Write have no invoke-id: a late
answer cannot be told from the right one. So requests are not repeated here; only HDLC may repeat
them, as its frames have sequence numbers. Gurux fails on blocks of Read and Write; these requests
are built by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlms_connector.errors import LinkError, ObjectError, ProtocolError, ServiceError
from dlms_connector.protocol.data import Budget, Data, DataType, encode, encode_length
from dlms_connector.protocol.services.blocks import Collected
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.long_values import LONG, sensible, sensibly, unhurried
from dlms_connector.protocol.services.replies import Result
from dlms_connector.protocol.services.shapes import Fit, Shapes
from dlms_connector.protocol.services.short_name_replies import (
    BlockTaken,
    ReadBlock,
    ReadResults,
    WriteResults,
    long_value,
    parse_read,
    parse_read_blocks,
    parse_write,
)
from dlms_connector.protocol.talk import Talk

_READ, _WRITE = 0x05, 0x06
_NAME, _PARAMETERIZED, _BLOCK_NUMBER, _WRITE_BLOCK = 2, 4, 5, 7

#: Count and choice of an answer with one result.
_ONE_VALUE, _ONE_ERROR, _ONE_BLOCK = b"\x01\x00", b"\x01\x01", b"\x01\x02"

#: Octets before a block's data: tag of the Write, one variable, its kind, last-block, block
#: number; then the count, tag and length of one octet string.
_BLOCK_HEADER = 1 + 1 + 1 + 1 + 2 + 1 + 1 + 3

#: Block numbers have two octets.
_MOST_BLOCKS = 0xFFFF


def variable(name: int, selection: bytes = b"") -> bytes:
    """Return the access specification of a variable, with the selection of what is wanted of it."""
    if not selection:
        return bytes((_NAME,)) + name.to_bytes(2, "big")
    return bytes((_PARAMETERIZED,)) + name.to_bytes(2, "big") + selection


class Variables:
    """Read and Write within one association, one request at a time.

    `room` returns the largest size of a request before ciphering, in octets; `shapes` is what the
    meter's variables gave before.
    """

    def __init__(
        self, conversation: Conversation, room: Callable[[], int], shapes: Callable[[], Shapes]
    ) -> None:
        self._conversation, self._room, self._shapes = conversation, room, shapes

    def read(
        self, variables: Sequence[bytes], doing: str, budget: Budget
    ) -> Talk[tuple[Result, ...]]:
        """Read variables, with one result for each. Raises ServiceError, LinkError, ExcessError."""
        request = bytes((_READ,)) + encode_length(len(variables)) + b"".join(variables)
        fit = Fit(self._shapes(), variables, budget)
        answer = yield from self._conversation.ask(request, doing, fit=fit)
        several = len(variables) > 1
        if not several and len(answer) > LONG and (octets := long_value(answer)) is not None:
            return fit.learn(((yield from unhurried(octets, doing, budget)),))
        reply = sensible(lambda: parse_read(answer, doing, budget), several=several)
        if isinstance(reply, ReadBlock):
            follow = self._follow(answer, reply, doing, budget.octets)
            whole = yield from (sensibly(follow) if several else follow)
            if not several and len(whole) > LONG:
                value = yield from unhurried(_data_alone(whole), doing, budget)
                return fit.learn((value,))
            reply = sensible(
                lambda: parse_read_blocks(whole, doing, budget, several=several), several=several
            )
        if not isinstance(reply, ReadResults):
            raise ProtocolError(doing, f"{type(reply).__name__} is no answer to this request")
        return fit.learn(reply.results)

    def read_raw(self, specification: bytes, doing: str, budget: Budget) -> Talk[bytes | int]:
        """Read one variable; return its data as octets, or the meter's refusal."""
        answer = yield from self._conversation.ask(bytes((_READ, 1)) + specification, doing)
        whole = answer[1:]
        if whole[:2] == _ONE_BLOCK:
            match parse_read(answer, doing):
                case ReadBlock() as block:
                    whole = yield from self._follow(answer, block, doing, budget.octets)
        if len(whole) == 3 and whole[:2] == _ONE_ERROR:
            return whole[2]
        return _data_alone(whole)

    def write(
        self, variables: Sequence[bytes], values: Sequence[Data], doing: str
    ) -> Talk[tuple[int, ...]]:
        """Write variables, in blocks if needed; return the meter's code for each, 0 for success."""
        count = encode_length(len(variables))
        body = count + b"".join(variables) + count + b"".join(map(encode, values))
        if len(body) < self._room():
            answer = yield from self._conversation.ask(bytes((_WRITE,)) + body, doing)
        else:
            answer = yield from self._send_blocks(body, doing)
        reply = parse_write(answer, doing)
        if isinstance(reply, WriteResults):
            if len(reply.codes) == len(variables):
                return reply.codes
            if len(reply.codes) == 1 and reply.codes[0]:
                return reply.codes * len(variables)  # aborted: nothing of it was written
        raise ProtocolError(doing, "not as many results came back as were asked for")

    def _follow(self, answer: bytes, block: ReadBlock, doing: str, most: int) -> Talk[bytes]:
        collected = Collected(doing, most)
        while True:
            collected.add(block.number, block.raw)
            if block.last:
                return collected.whole()
            request = bytes((_READ, 1, _BLOCK_NUMBER)) + block.number.to_bytes(2, "big")
            try:
                answer = yield from self._conversation.ask(request, doing)
            except LinkError as error:
                error.arrived = collected.whole()
                raise
            match parse_read(answer, doing):
                case ReadBlock() as block:
                    pass
                case ReadResults((int() as code,)):
                    raise ServiceError(doing, str(ObjectError("block transfer", code)))
                case other:
                    raise ProtocolError(doing, f"{type(other).__name__} came instead of a block")

    def _send_blocks(self, body: bytes, doing: str) -> Talk[bytes]:
        size = self._room() - _BLOCK_HEADER
        if size < 1 or len(body) > size * _MOST_BLOCKS:
            problem = f"{len(body)} octets do not go in PDUs of {self._room()}"
            raise ServiceError(doing, problem)
        answer = b""
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        for number, part in enumerate(parts, 1):
            if answer:
                reply = parse_write(answer, doing)
                if isinstance(reply, WriteResults) and any(reply.codes):
                    return answer  # an error that ends the transfer
                if not isinstance(reply, BlockTaken):
                    raise ProtocolError(doing, "success is claimed before all is written")
                if reply.number != number - 1:
                    raise ProtocolError(doing, f"block {reply.number} was taken: {number - 1}")
            head = bytes((_WRITE, 1, _WRITE_BLOCK, number == len(parts)))
            request = head + number.to_bytes(2, "big") + b"\x01"
            request += encode(Data(DataType.OCTET_STRING, part))
            answer = yield from self._conversation.ask(request, doing)
        return answer


def _data_alone(whole: bytes) -> bytes:
    """Return the data of one variable in joined blocks; some meters leave out count and choice."""
    return whole[2:] if whole[:2] == _ONE_VALUE else whole
