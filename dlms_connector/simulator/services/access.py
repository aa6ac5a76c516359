"""The ACCESS service: gets, sets and actions in one request (IEC 62056-5-3)."""

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
from dlms_connector.simulator.objects.cosem_object import OTHER_REASON, AccessError
from dlms_connector.simulator.services.grant import Grant
from dlms_connector.simulator.services.logical_names import LogicalNameServices

ACCESS, ACCESS_RESPONSE = 0xD9, 0xDA
_GET, _SET, _ACTION, _GET_SELECTED, _SET_SELECTED = 1, 2, 3, 4, 5


class AccessService:
    """The logical name services GET, SET and ACTION, and the ACCESS service."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._names = LogicalNameServices(grant)

    def prove(self, apdu: bytes, check: Callable[[bytes], bytes | None]) -> bytes | None:
        """Serve `reply_to_HLS_authentication`; return None for any other request."""
        return self._names.prove(apdu, check)

    def answer(self, apdu: bytes) -> bytes | None:
        """Answer a request; return None if its type is not known."""
        if apdu[0] != ACCESS:
            return self._names.answer(apdu)
        self._grant.meter.seen["access"] += 1
        reader = Reader(apdu[1:])
        invoke, _ = reader.take(4), reader.string()
        specifications = [self._specification(reader) for _ in range(reader.length())]
        if reader.length() != len(specifications):
            raise MalformedError("not as many data as specifications")
        served = [self._serve(*one, reader.data()) for one in specifications]
        return (
            bytes((ACCESS_RESPONSE,))
            + invoke
            + b"\x00\x00"  # no date-time, the specifications are not repeated
            + length(len(served))
            + b"".join(encode(value) for _, _, value in served)
            + length(len(served))
            + b"".join(bytes((kind, code)) for kind, code, _ in served)
        )

    def _specification(self, reader: Reader) -> tuple[int, bytes]:
        kind = reader.number()
        if not _GET <= kind <= _SET_SELECTED:
            raise MalformedError(f"access specification {kind}")
        reference = reader.take(9)
        if kind in (_GET_SELECTED, _SET_SELECTED):
            selector, parameters = reader.number(), reader.data()
            reference += bytes((1, selector)) + encode(parameters)
        else:
            reference += b"\x00"
        return kind, reference

    def _serve(self, kind: int, reference: bytes, data: Data) -> tuple[int, int, Data]:
        grant = self._grant
        if kind in (_GET, _GET_SELECTED):
            try:
                return _GET, 0, grant.read(Reader(reference))
            except AccessError as refusal:
                return _GET, refusal.code, NOTHING
        if kind == _SET:
            return _SET, grant.write(reference[:9], data), NOTHING
        if kind == _SET_SELECTED:
            return _SET, OTHER_REASON, NOTHING
        try:
            return _ACTION, 0, grant.invoke(reference[:9], data)
        except AccessError as refusal:
            return _ACTION, refusal.code, NOTHING
