"""SET: normal, with list, and both with block transfer (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.encoding.data import MalformedError, Reader, length
from dlms_connector.simulator.objects.cosem_object import BLOCK_NUMBER_INVALID, NO_LONG_SET
from dlms_connector.simulator.services.blocks import Incoming, WrongBlockError
from dlms_connector.simulator.services.grant import Grant, take_reference

SET, SET_RESPONSE = 0xC1, 0xC5


class SetService:
    """The SET service of one association; holds the state of its block transfer."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._incoming: Incoming | None = None
        self.kinds: dict[int, Callable[[bytes, Reader], bytes]] = {
            1: self._set,
            2: self._set_first_block,
            3: self._set_block,
            4: self._set_list,
            5: self._set_list_first_block,
        }

    def _set(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("set")
        self._grant.meter.seen["set"] += 1
        reference = take_reference(reader)
        return (
            bytes((SET_RESPONSE, 1))
            + invoke
            + bytes((self._grant.write(reference, reader.data()),))
        )

    def _set_list(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("set")
        self._grant.need("multiple-references")
        self._grant.meter.seen["set-with-list"] += 1
        references = [take_reference(reader) for _ in range(reader.length())]
        codes = self._write_all(references, reader)
        return bytes((SET_RESPONSE, 5)) + invoke + length(len(codes)) + codes

    def _write_all(self, references: list[bytes], reader: Reader) -> bytes:
        if reader.length() != len(references):
            raise MalformedError("not as many values as attributes")
        return bytes(self._grant.write(reference, reader.data()) for reference in references)

    def _set_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("set")
        self._grant.need("block-transfer-with-set-or-write")
        self._grant.meter.seen["set-block"] += 1
        self._incoming = Incoming(take_reference(reader))
        return self._take_set_block(invoke, reader)

    def _set_list_first_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.need("set")
        self._grant.need("multiple-references")
        self._grant.need("block-transfer-with-set-or-write")
        self._grant.meter.seen["set-block"] += 1
        references = [take_reference(reader) for _ in range(reader.length())]
        self._incoming = Incoming(b"".join(references), is_list=True)
        return self._take_set_block(invoke, reader)

    def _set_block(self, invoke: bytes, reader: Reader) -> bytes:
        self._grant.meter.seen["set-block"] += 1
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
        if not incoming.is_list:
            code = self._grant.write(references[0], body.data())
            return bytes((SET_RESPONSE, 3)) + invoke + bytes((code,)) + numbered
        codes = self._write_all(references, body)
        return bytes((SET_RESPONSE, 4)) + invoke + length(len(codes)) + codes + numbered
