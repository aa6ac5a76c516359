"""The services by logical name: GET, SET, ACTION (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlms_connector.simulator.blocks import Incoming, Outgoing, WrongBlockError
from dlms_connector.simulator.cosem_object import (
    BLOCK_NUMBER_INVALID,
    DENIED,
    NO_LONG_GET,
    NO_LONG_SET,
    OTHER_REASON,
    AccessError,
)
from dlms_connector.simulator.data import (
    NOTHING,
    OCTETS,
    Data,
    MalformedError,
    Reader,
    encode,
    length,
    octets,
)
from dlms_connector.simulator.selection import read_rows

if TYPE_CHECKING:
    from dlms_connector.simulator.meter import Meter, Role

GET, SET, ACTION = 0xC0, 0xC1, 0xC3
GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE = 0xC4, 0xC5, 0xC7
#: What a block's header needs beside its octets, with some room for ciphering.
_OVERHEAD = 12
_CLOCK = 8
#: Class 15, 0-0:40.0.0, method 1.
_REPLY_TO_HLS = bytes.fromhex("000F0000280000FF01")


class NotOfferedError(Exception):
    """The service was not negotiated."""


class LogicalNameServices:
    """Serves one association; block transfers in progress are its state."""

    def __init__(
        self, meter: Meter, role: Role, max_pdu: int, offers: Callable[[str], bool]
    ) -> None:
        self._meter, self._role, self._offers = meter, role, offers
        self.meter = meter
        self._max_pdu = max_pdu
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None
        self._returning: Outgoing | None = None
        self._serve = {
            (GET, 1): self._get,
            (GET, 2): self._get_next,
            (GET, 3): self._get_list,
            (SET, 1): self._set,
            (SET, 2): self._set_first_block,
            (SET, 3): self._set_block,
            (SET, 4): self._set_list,
            (SET, 5): self._set_list_first_block,
            (ACTION, 1): self._action,
            (ACTION, 2): self._action_next,
            (ACTION, 3): self._action_list,
            (ACTION, 4): self._action_first_block,
            (ACTION, 6): self._action_block,
        }

    def answer(self, apdu: bytes) -> bytes | None:
        """Answer a request; None if it is of no kind known here.

        Raises MalformedError, and NotOfferedError for what was not negotiated.
        """
        serve = self._serve.get((apdu[0], apdu[1] if len(apdu) > 1 else 0))
        if serve is None:
            return None
        invoke = apdu[2:3]
        if not invoke:
            raise MalformedError("no invoke-id")
        if "wrong-invoke-id" in self._meter.faults:
            invoke = bytes((invoke[0] ^ 0x05,))
        return serve(invoke, Reader(apdu[3:]))

    def prove(self, apdu: bytes, check: Callable[[bytes], bytes | None]) -> bytes | None:
        """Serve `reply_to_HLS_authentication` of the association, None for all else."""
        reader = Reader(apdu)
        if reader.take(2) != bytes((ACTION, 1)):
            return None
        head = bytes((ACTION_RESPONSE, 1)) + reader.take(1)
        if reader.take(9) != _REPLY_TO_HLS or not reader.number():
            return None
        given = reader.data()
        proof = check(given.value) if given.tag == OCTETS else None
        if proof is None:
            return head + bytes((DENIED, 0))
        return head + b"\x00\x01\x00" + encode(octets(proof))

    def _need(self, name: str) -> None:
        if not self._offers(name):
            raise NotOfferedError(name)

    # -- single accesses, shared with ACCESS

    def read(self, reader: Reader, *, selectable: bool = True) -> Data:
        """Read the attribute that a descriptor names; raises AccessError."""
        class_id, name, attribute = reader.number(2), reader.take(6), reader.number()
        selector, parameters = 0, NOTHING
        if selectable and reader.number():
            selector, parameters = reader.number(), reader.data()
        found = self._meter.find(class_id, name, self._role)
        if found.table is not None and attribute == 2 and 2 not in found.attributes:
            return read_rows(self._meter, found.table, selector, parameters)
        if selector:
            raise AccessError(OTHER_REASON)
        return self._meter.read(class_id, name, attribute, self._role)

    def write(self, reference: bytes, value: Data) -> int:
        """Set the attribute that a descriptor names; return the Data-Access-Result."""
        try:
            self._meter.write(*_reference(reference), value, self._role)
        except AccessError as refusal:
            return refusal.code
        return 0

    def invoke(self, reference: bytes, argument: Data) -> Data:
        """Run the method that a descriptor names; raises AccessError."""
        return self._meter.invoke(*_reference(reference), argument, self._role)

    def _invoke(self, reference: bytes, argument: Data) -> bytes:
        """Return action-result and optional return parameters."""
        try:
            result = self.invoke(reference, argument)
        except AccessError as refusal:
            return bytes((refusal.code, 0))
        return b"\x00\x00" if result is NOTHING else b"\x00\x01\x00" + encode(result)

    # -- GET

    def _get(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("get")
        self._meter.seen["get"] += 1
        self._outgoing = None
        try:
            value = encode(self.read(reader))
        except AccessError as refusal:
            return bytes((GET_RESPONSE, 1)) + invoke + bytes((1, refusal.code))
        if len(value) + 4 <= self._max_pdu and "empty-blocks" not in self._meter.faults:
            return bytes((GET_RESPONSE, 1)) + invoke + b"\x00" + value
        return self._first_get_block(invoke, value)

    def _get_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("multiple-references")
        faults = self._meter.faults
        self._meter.seen["get-with-list"] += 1
        if "refuse-list" in faults:
            raise NotOfferedError("multiple-references")
        self._outgoing = None
        count = reader.length()
        results = [self._result(reader) for _ in range(count)]
        results = results[: max(0, count - int(faults["short-list"]))]
        body = length(len(results)) + b"".join(results)
        if "malformed-list" in faults:
            body = length(count) + b"".join(results)[:-1]
        if len(body) + 3 <= self._max_pdu:
            return bytes((GET_RESPONSE, 3)) + invoke + body
        return self._first_get_block(invoke, body)

    def _result(self, reader: Reader) -> bytes:
        is_clock = int.from_bytes(reader.peek(2), "big") == _CLOCK
        try:
            value = self.read(reader)
        except AccessError as refusal:
            return bytes((1, refusal.code))
        if is_clock and value.tag == OCTETS and "double-wrapped-clock" in self._meter.faults:
            value = octets(encode(value))
        return b"\x00" + encode(value)

    def _first_get_block(self, invoke: bytes, value: bytes) -> bytes:
        if not self._offers("block-transfer-with-get-or-read"):
            return bytes((GET_RESPONSE, 1)) + invoke + bytes((1, OTHER_REASON))
        self._outgoing = Outgoing(value, self._block_size())
        return self._get_block(invoke)

    def _get_block(self, invoke: bytes) -> bytes:
        assert self._outgoing is not None
        if "empty-blocks" in self._meter.faults:
            self._outgoing.number += 1
            number, part, last = self._outgoing.number, b"", False
        else:
            number, part, last = self._outgoing.next()
        if last:
            self._outgoing = None
        return (
            bytes((GET_RESPONSE, 2))
            + invoke
            + bytes((last,))
            + number.to_bytes(4, "big")
            + b"\x00"
            + length(len(part))
            + part
        )

    def _get_next(self, invoke: bytes, reader: Reader) -> bytes:
        self._meter.seen["get-next"] += 1
        wanted = reader.number(4)
        if self._outgoing is not None and wanted == self._outgoing.number:
            return self._get_block(invoke)
        code = BLOCK_NUMBER_INVALID if self._outgoing else NO_LONG_GET
        self._outgoing = None
        head = bytes((GET_RESPONSE, 2)) + invoke + b"\x01" + wanted.to_bytes(4, "big")
        return head + bytes((1, code))

    def _block_size(self) -> int:
        return max(1, self._max_pdu - _OVERHEAD)

    # -- SET

    def _set(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("set")
        self._meter.seen["set"] += 1
        reference = _take_reference(reader)
        return bytes((SET_RESPONSE, 1)) + invoke + bytes((self.write(reference, reader.data()),))

    def _set_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("multiple-references")
        self._meter.seen["set-with-list"] += 1
        references = [_take_reference(reader) for _ in range(reader.length())]
        codes = self._write_all(references, reader)
        return bytes((SET_RESPONSE, 5)) + invoke + length(len(codes)) + codes

    def _write_all(self, references: list[bytes], reader: Reader) -> bytes:
        if reader.length() != len(references):
            raise MalformedError("not as many values as attributes")
        return bytes(self.write(reference, reader.data()) for reference in references)

    def _set_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("block-transfer-with-set-or-write")
        self._meter.seen["set-block"] += 1
        self._incoming = Incoming(_take_reference(reader))
        return self._take_set_block(invoke, reader)

    def _set_list_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("block-transfer-with-set-or-write")
        self._meter.seen["set-block"] += 1
        count = reader.length()
        references = [_take_reference(reader) for _ in range(count)]
        self._incoming = Incoming(b"".join(references))
        return self._take_set_block(invoke, reader)

    def _set_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._meter.seen["set-block"] += 1
        return self._take_set_block(invoke, reader)

    def _take_set_block(self, invoke: bytes, reader: Reader) -> bytes:
        last, number, part = reader.number(), reader.number(4), reader.string()
        incoming, self._incoming = self._incoming, None
        numbered = number.to_bytes(4, "big")
        if incoming is None:
            return bytes((SET_RESPONSE, 3)) + invoke + bytes((NO_LONG_SET,)) + numbered
        try:
            incoming.add(number, part)
        except WrongBlockError:
            return bytes((SET_RESPONSE, 3)) + invoke + bytes((BLOCK_NUMBER_INVALID,)) + numbered
        if not last:
            self._incoming = incoming
            return bytes((SET_RESPONSE, 2)) + invoke + numbered
        body = Reader(bytes(incoming.octets))
        references = [incoming.head[at : at + 9] for at in range(0, len(incoming.head), 9)]
        if len(references) == 1:
            code = self.write(references[0], body.data())
            return bytes((SET_RESPONSE, 3)) + invoke + bytes((code,)) + numbered
        codes = self._write_all(references, body)
        return bytes((SET_RESPONSE, 4)) + invoke + length(len(codes)) + codes + numbered

    # -- ACTION

    def _action(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("action")
        self._meter.seen["action"] += 1
        reference = reader.take(9)
        argument = reader.data() if reader.number() else NOTHING
        return self._action_reply(invoke, self._invoke(reference, argument))

    def _action_reply(self, invoke: bytes, result: bytes) -> bytes:
        if len(result) + 3 <= self._max_pdu:
            return bytes((ACTION_RESPONSE, 1)) + invoke + result
        self._returning = Outgoing(result, self._block_size())
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
        if self._returning is None or wanted != self._returning.number:
            self._returning = None
            return bytes((ACTION_RESPONSE, 1)) + invoke + bytes((BLOCK_NUMBER_INVALID, 0))
        return self._action_return_block(invoke)

    def _action_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("multiple-references")
        references = [reader.take(9) for _ in range(reader.length())]
        if reader.length() != len(references):
            raise MalformedError("not as many arguments as methods")
        results = [self._invoke(reference, reader.data()) for reference in references]
        return bytes((ACTION_RESPONSE, 3)) + invoke + length(len(results)) + b"".join(results)

    def _action_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._need("block-transfer-with-action")
        self._incoming = Incoming(reader.take(9))
        return self._action_block(invoke, reader)

    def _action_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._meter.seen["action-block"] += 1
        last, number, part = reader.number(), reader.number(4), reader.string()
        incoming, self._incoming = self._incoming, None
        try:
            if incoming is None:
                raise WrongBlockError
            incoming.add(number, part)
        except WrongBlockError:
            return bytes((ACTION_RESPONSE, 1)) + invoke + bytes((BLOCK_NUMBER_INVALID, 0))
        if not last:
            self._incoming = incoming
            return bytes((ACTION_RESPONSE, 4)) + invoke + number.to_bytes(4, "big")
        argument = Reader(bytes(incoming.octets)).data()
        return self._action_reply(invoke, self._invoke(incoming.head, argument))


def _take_reference(reader: Reader) -> bytes:
    reference = reader.take(9)
    if reader.number():  # a SET with selective access: the value's place is named, none is kept
        reader.number()
        reader.data()
    return reference


def _reference(octets_: bytes) -> tuple[int, bytes, int]:
    return int.from_bytes(octets_[:2], "big"), octets_[2:8], octets_[8]
