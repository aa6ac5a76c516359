"""The logical name services GET, SET and ACTION together (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.encoding.data import OCTETS, MalformedError, Reader, encode, octets
from dlms_connector.simulator.objects.cosem_object import DENIED
from dlms_connector.simulator.services.action_service import ACTION, ACTION_RESPONSE, ActionService
from dlms_connector.simulator.services.get_service import GET, GetService
from dlms_connector.simulator.services.grant import Grant
from dlms_connector.simulator.services.set_service import SET, SetService

#: Class 15, 0-0:40.0.0, method 1.
_REPLY_TO_HLS = bytes.fromhex("000F0000280000FF01")


class LogicalNameServices:
    """GET, SET and ACTION of one association."""

    def __init__(self, grant: Grant) -> None:
        self._faults = grant.meter.faults
        self._kinds = {
            GET: GetService(grant).kinds,
            SET: SetService(grant).kinds,
            ACTION: ActionService(grant).kinds,
        }

    def answer(self, apdu: bytes) -> bytes | None:
        """Answer a request; return None if its type is not known.

        Raises MalformedError, and NotOfferedError for a service that was not negotiated.
        """
        kinds = self._kinds.get(apdu[0], {})
        serve = kinds.get(apdu[1]) if len(apdu) > 1 else None
        if serve is None:
            return None
        invoke = apdu[2:3]
        if not invoke:
            raise MalformedError("no invoke-id")
        if "wrong-invoke-id" in self._faults:
            invoke = bytes((invoke[0] ^ 0x05,))
        if "one-invoke-id" in self._faults:
            invoke = bytes((invoke[0] & 0xF0 | int(self._faults["one-invoke-id"]),))
        return serve(invoke, Reader(apdu[3:]))

    def prove(self, apdu: bytes, check: Callable[[bytes], bytes | None]) -> bytes | None:
        """Serve `reply_to_HLS_authentication`; return None for any other request."""
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
