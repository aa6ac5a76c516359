"""GET: normal, next, with list (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.encoding.data import OCTETS, Data, Reader, encode, length, octets
from dlms_connector.simulator.objects.cosem_object import (
    BLOCK_NUMBER_INVALID,
    NO_LONG_GET,
    OTHER_REASON,
    AccessError,
)
from dlms_connector.simulator.services.blocks import Outgoing
from dlms_connector.simulator.services.grant import Grant, NotOfferedError, WithheldError

GET, GET_RESPONSE = 0xC0, 0xC4
_CLOCK = 8
#: A result of a list: null-data.
_NOTHING = b"\x00\x00"
#: A compact array of structures: 59 times null-data, and one unsigned.
_SWOLLEN = b"\x13\x02\x3c" + bytes(59) + b"\x11"


class GetService:
    """The GET service of one association; holds the state of its block transfer."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._outgoing: Outgoing | None = None
        self.kinds: dict[int, Callable[[bytes, Reader], bytes]] = {
            1: self._get,
            2: self._get_next,
            3: self._get_list,
        }

    def _get(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("get")
        self._grant.meter.seen["get"] += 1
        self._outgoing = None
        try:
            value = self._written(self._grant.read(reader))
        except AccessError as refusal:
            return bytes((GET_RESPONSE, 1)) + invoke + bytes((1, refusal.code))
        if len(value) + 4 <= self._grant.max_pdu and "empty-blocks" not in self._grant.meter.faults:
            return bytes((GET_RESPONSE, 1)) + invoke + b"\x00" + value
        return self._first_get_block(invoke, value)

    def _get_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("multiple-references")
        faults = self._grant.meter.faults
        self._grant.meter.seen["get-with-list"] += 1
        if "refuse-list" in faults:
            raise NotOfferedError("multiple-references")
        if "silent-to-list" in faults:
            raise WithheldError(closes=False)
        self._outgoing = None
        count = reader.length()
        results = [self._result(reader) for _ in range(count)]
        results = results[: max(0, count - int(faults["short-list"]))]
        results += [_NOTHING] * int(faults["crowded-list"])
        body = length(len(results)) + b"".join(results)
        if "malformed-list" in faults:
            body = length(count) + b"".join(results)[:-1]
        if len(body) + 3 <= self._grant.max_pdu:
            return bytes((GET_RESPONSE, 3)) + invoke + body
        return self._first_get_block(invoke, body)

    def _result(self, reader: Reader) -> bytes:
        is_clock = int.from_bytes(reader.peek(2), "big") == _CLOCK
        try:
            value = self._grant.read(reader)
        except AccessError as refusal:
            return bytes((1, refusal.code))
        if is_clock and value.tag == OCTETS and "double-wrapped-clock" in self._grant.meter.faults:
            value = octets(encode(value))
        return b"\x00" + self._written(value)

    def _written(self, value: Data) -> bytes:
        octets_ = int(self._grant.meter.faults["swollen"])
        return _SWOLLEN + length(octets_) + bytes(octets_) if octets_ else encode(value)

    def _first_get_block(self, invoke: bytes, value: bytes) -> bytes:
        if not self._grant.offers("block-transfer-with-get-or-read"):
            return bytes((GET_RESPONSE, 1)) + invoke + bytes((1, OTHER_REASON))
        self._outgoing = Outgoing(value, self._grant.block_size)
        return self._get_block(invoke)

    def _get_block(self, invoke: bytes) -> bytes:
        assert self._outgoing is not None
        if "empty-blocks" in self._grant.meter.faults:
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
        self._grant.meter.seen["get-next"] += 1
        wanted = reader.number(4)
        if self._outgoing is not None and wanted == self._outgoing.number:
            return self._get_block(invoke)
        code = BLOCK_NUMBER_INVALID if self._outgoing else NO_LONG_GET
        self._outgoing = None
        head = bytes((GET_RESPONSE, 2)) + invoke + b"\x01" + wanted.to_bytes(4, "big")
        return head + bytes((1, code))
