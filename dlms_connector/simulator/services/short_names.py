"""The short name services Read and Write, with block transfer (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    OCTETS,
    Data,
    MalformedError,
    Reader,
    encode,
    length,
    octets,
)
from dlms_connector.simulator.objects.cosem_object import (
    BLOCK_NUMBER_INVALID,
    DENIED,
    OTHER_REASON,
    AccessError,
)
from dlms_connector.simulator.services import short_name_map as short
from dlms_connector.simulator.services.blocks import Incoming, Outgoing, WrongBlockError
from dlms_connector.simulator.services.grant import Grant, misbehaved
from dlms_connector.simulator.services.selection import read_rows, some_listed

READ, WRITE, READ_RESPONSE, WRITE_RESPONSE = 0x05, 0x06, 0x0C, 0x0D
#: Variable-Access-Specification
_NAME, _PARAMETERIZED, _BLOCK_NUMBER, _READ_BLOCK, _WRITE_BLOCK = 2, 4, 5, 6, 7


class ShortNameServices:
    """The services of one association; holds the state of its block transfers."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._meter, self._role = grant.meter, grant.role
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None

    def answer(self, apdu: bytes) -> bytes | None:
        """Answer a request; return None if its type is not known. Raises MalformedError."""
        if apdu[0] == READ:
            return self._read(Reader(apdu[1:]))
        if apdu[0] == WRITE:
            return self._write(Reader(apdu[1:]))
        return None

    def prove(self, apdu: bytes, check: Callable[[bytes], bytes | None]) -> bytes | None:
        """Serve `reply_to_HLS_authentication` as Read or Write; None for any other request."""
        reader = Reader(apdu)
        kind, count, specification, name = (
            reader.number(),
            reader.length(),
            reader.number(),
            reader.number(2),
        )
        if count != 1 or name != short.REPLY_TO_HLS or kind not in (READ, WRITE):
            return None
        if kind == READ and specification == _PARAMETERIZED:
            reader.number()
        elif kind == WRITE:
            reader.length()
        given = reader.data()
        proof = check(given.value) if given.tag == OCTETS else None
        response = READ_RESPONSE if kind == READ else WRITE_RESPONSE
        if proof is None:
            return bytes((response, 1, 1, DENIED))
        if kind == WRITE:  # a WriteResponse cannot carry the meter's proof
            return bytes((WRITE_RESPONSE, 1, 0))
        return bytes((READ_RESPONSE, 1, 0)) + encode(octets(proof))

    # -- Read

    def _read(self, reader: Reader) -> bytes:
        self._grant.need("read")
        self._meter.seen["read"] += 1
        count = reader.length()
        first = reader.peek(1)
        if count == 1 and first == bytes((_BLOCK_NUMBER,)):
            reader.number()
            return self._next_block(reader.number(2))
        if count == 1 and first == bytes((_READ_BLOCK,)):
            reader.number()
            return self._read_in_blocks(reader)
        self._outgoing = None
        self._meter.seen["read-with-list"] += count > 1
        if count > 1 and not self._grant.offers("multiple-references"):
            return bytes((READ_RESPONSE, 1, 1, OTHER_REASON))
        results = [self._result(reader) for _ in range(count)]
        body = length(len(results)) + b"".join(results)
        if "malformed-list" in self._meter.faults:
            body = body[:-1]
        if len(body) + 1 <= self._grant.max_pdu and "empty-blocks" not in self._meter.faults:
            return bytes((READ_RESPONSE,)) + body
        if not self._grant.offers("block-transfer-with-get-or-read"):
            return bytes((READ_RESPONSE, 1, 1, OTHER_REASON))
        self._outgoing = Outgoing(body, self._grant.block_size)
        return self._block()

    def _result(self, reader: Reader) -> bytes:
        kind = reader.number()
        if kind not in (_NAME, _PARAMETERIZED):
            raise MalformedError(f"variable access specification {kind}")
        name, selector, parameters = reader.number(2), 0, NOTHING
        if kind == _PARAMETERIZED:
            self._grant.need("parameterized-access")
            selector, parameters = reader.number(), reader.data()
        try:
            return b"\x00" + encode(self._value(name, selector, parameters))
        except AccessError as refusal:
            return bytes((1, refusal.code))

    def _value(self, name: int, selector: int, parameters: Data) -> Data:
        meter, role = self._meter, self._role
        if name == short.OBJECT_LIST:
            listed = short.object_list(meter, role)
            if selector:
                return some_listed(meter, listed, 1, selector, parameters)
            return meter.announced(listed)
        if name == short.ASSOCIATION:
            return octets(short.ASSOCIATION_NAME)
        target = short.resolve(meter, name)
        if target.method:
            return meter.invoke(target.class_id, target.name, target.method, parameters, role)
        found = meter.find(target.class_id, target.name, role)
        if found.table is not None and target.attribute == 2:
            return read_rows(meter, found.table, selector, parameters)
        value = meter.read(target.class_id, target.name, target.attribute, role)
        return misbehaved(meter, target.name, value)

    def _block(self) -> bytes:
        assert self._outgoing is not None
        if "empty-blocks" in self._meter.faults:
            self._outgoing.number += 1
            number, part, last = self._outgoing.number & 0xFFFF, b"", False
        else:
            number, part, last = self._outgoing.next()
        if last:
            self._outgoing = None
        head = bytes((READ_RESPONSE, 1, 2, last)) + number.to_bytes(2, "big")
        return head + length(len(part)) + part

    def _next_block(self, wanted: int) -> bytes:
        self._meter.seen["read-next"] += 1
        if self._outgoing is None or wanted != self._outgoing.number:
            self._outgoing = None
            return bytes((READ_RESPONSE, 1, 1, BLOCK_NUMBER_INVALID))
        return self._block()

    def _read_in_blocks(self, reader: Reader) -> bytes:
        self._grant.need("block-transfer-with-get-or-read")
        last, number = reader.number(), reader.number(2)
        whole = self._collect(last, number, reader.string())
        if whole is None:
            return bytes((READ_RESPONSE, 1, 1, BLOCK_NUMBER_INVALID))
        if not last:
            return bytes((READ_RESPONSE, 1, 3)) + number.to_bytes(2, "big")
        return self._read(Reader(whole))

    # -- Write

    def _write(self, reader: Reader) -> bytes:
        self._grant.need("write")
        self._meter.seen["write"] += 1
        count = reader.length()
        if count == 1 and reader.peek(1) == bytes((_WRITE_BLOCK,)):
            reader.number()
            return self._write_in_blocks(reader)
        self._meter.seen["write-with-list"] += count > 1
        if count > 1:
            self._grant.need("multiple-references")
        targets = [self._target(reader) for _ in range(count)]
        if reader.length() != count:
            raise MalformedError("not as many values as variables")
        results = b"".join(self._set(name, reader.data()) for name in targets)
        return bytes((WRITE_RESPONSE,)) + length(count) + results

    def _target(self, reader: Reader) -> int:
        kind, name = reader.number(), reader.number(2)
        if kind != _NAME:
            raise MalformedError(f"variable access specification {kind}")
        return name

    def _set(self, name: int, value: Data) -> bytes:
        meter, role = self._meter, self._role
        try:
            target = short.resolve(meter, name)
            if target.method:
                meter.invoke(target.class_id, target.name, target.method, value, role)
            else:
                meter.write(target.class_id, target.name, target.attribute, value, role)
        except AccessError as refusal:
            return bytes((1, refusal.code))
        return b"\x00"

    def _write_in_blocks(self, reader: Reader) -> bytes:
        self._grant.need("block-transfer-with-set-or-write")
        self._meter.seen["write-block"] += 1
        last, number = reader.number(), reader.number(2)
        if reader.length() != 1:
            raise MalformedError("one block at a time")
        given = reader.data()
        whole = self._collect(last, number, given.value) if given.tag == OCTETS else None
        if whole is None:
            return bytes((WRITE_RESPONSE, 1, 1, BLOCK_NUMBER_INVALID))
        if not last:
            return bytes((WRITE_RESPONSE, 1, 2)) + number.to_bytes(2, "big")
        return self._write(Reader(whole))

    def _collect(self, last: int, number: int, part: bytes) -> bytes | None:
        """Take a block of a request; return all octets so far, None if it is out of order."""
        incoming = Incoming() if number == 1 else self._incoming
        self._incoming = None
        if incoming is None:
            return None
        try:
            incoming.add(number, part)
        except WrongBlockError:
            return None
        self._incoming = None if last else incoming
        return bytes(incoming.octets)
