"""ACTION: normal, with list, and block transfer in both directions (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    Data,
    MalformedError,
    Reader,
    encode,
    length,
)
from dlms_connector.simulator.objects.cosem_object import (
    LONG_ACTION_ABORTED,
    NO_LONG_ACTION,
    OTHER_REASON,
    AccessError,
)
from dlms_connector.simulator.services.blocks import Incoming, Outgoing, WrongBlockError
from dlms_connector.simulator.services.grant import Grant

ACTION, ACTION_RESPONSE = 0xC3, 0xC7


class ActionService:
    """The ACTION service of one association; holds the state of its block transfers."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._incoming: Incoming | None = None
        self._returning: Outgoing | None = None
        self.kinds: dict[int, Callable[[bytes, Reader], bytes]] = {
            1: self._action,
            2: self._action_next,
            3: self._action_list,
            4: self._action_first_block,
            6: self._action_block,
        }

    def _invoke(self, reference: bytes, argument: Data) -> bytes:
        """Return action-result and optional return parameters."""
        try:
            result = self._grant.invoke(reference, argument)
        except AccessError as refusal:
            return bytes((refusal.code, 0))
        return b"\x00\x00" if result is NOTHING else b"\x00\x01\x00" + encode(result)

    def _action(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("action")
        self._grant.meter.seen["action"] += 1
        reference = reader.take(9)
        argument = reader.data() if reader.number() else NOTHING
        return self._action_reply(invoke, self._invoke(reference, argument))

    def _action_reply(self, invoke: bytes, result: bytes) -> bytes:
        if len(result) + 3 <= self._grant.max_pdu:
            return bytes((ACTION_RESPONSE, 1)) + invoke + result
        if not self._grant.offers("block-transfer-with-action"):
            return _failed(invoke, OTHER_REASON)
        self._returning = Outgoing(result, self._grant.block_size)
        return self._action_return_block(invoke)

    def _action_return_block(self, invoke: bytes) -> bytes:
        assert self._returning is not None
        number, part, last = self._returning.next()
        if last:
            self._returning = None
        head = bytes((ACTION_RESPONSE, 2)) + invoke + bytes((last,))
        return head + number.to_bytes(4, "big") + length(len(part)) + part

    def _action_next(self, invoke: bytes, reader: Reader) -> bytes:
        wanted = reader.number(4)
        if self._returning is None:
            return _failed(invoke, NO_LONG_ACTION)
        if wanted != self._returning.number:
            self._returning = None
            return _failed(invoke, LONG_ACTION_ABORTED)
        return self._action_return_block(invoke)

    def _action_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("action")
        self._grant.need("multiple-references")
        references = [reader.take(9) for _ in range(reader.length())]
        if reader.length() != len(references):
            raise MalformedError("not as many arguments as methods")
        results = [self._invoke(reference, reader.data()) for reference in references]
        return bytes((ACTION_RESPONSE, 3)) + invoke + length(len(results)) + b"".join(results)

    def _action_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("action")
        self._grant.need("block-transfer-with-action")
        self._incoming = Incoming(reader.take(9))
        return self._action_block(invoke, reader)

    def _action_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.meter.seen["action-block"] += 1
        last, number, part = reader.number(), reader.number(4), reader.string()
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            return _failed(invoke, NO_LONG_ACTION)
        try:
            incoming.add(number, part)
        except WrongBlockError:
            return _failed(invoke, LONG_ACTION_ABORTED)
        if not last:
            self._incoming = incoming
            return bytes((ACTION_RESPONSE, 4)) + invoke + number.to_bytes(4, "big")
        argument = Reader(bytes(incoming.octets)).data()
        return self._action_reply(invoke, self._invoke(incoming.head, argument))


def _failed(invoke: bytes, code: int) -> bytes:
    """Return a response with an Action-Result and no data."""
    return bytes((ACTION_RESPONSE, 1)) + invoke + bytes((code, 0))
