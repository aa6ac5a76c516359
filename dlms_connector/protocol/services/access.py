"""ACCESS: several gets or sets in one request, in place of lists (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError, ServiceError
from dlms_connector.protocol.data import Budget, Data, DataType, encode, encode_length
from dlms_connector.protocol.services.logical_names import LogicalNames
from dlms_connector.protocol.services.long_values import sensible
from dlms_connector.protocol.services.replies import AccessDone, parse
from dlms_connector.protocol.talk import Talk

ACCESS = 0xD9
_GET, _SET = 1, 2
#: The choice of an access specification with selective access, by the choice without it.
_SELECTED = {_GET: 4, _SET: 5}

#: Confirmed service at high priority; all accesses are tried even if one fails.
_FLAGS = 0xC0000000
_NO_DATE = b"\x00"
_NOTHING = Data(DataType.NULL)


class Access(LogicalNames):
    """The services by logical name, with ACCESS for several attributes in one request."""

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read several attributes in one request.

        Raises ServiceError where the meter does not answer with one result for each.
        """
        doing = f"reading {len(refs)} attributes at once"
        request = self._request(_GET, [(ref, _NOTHING) for ref in refs])
        budget = self._allow(refs)
        results = yield from self._access(request, budget, doing, repeatable=True)
        return [
            ObjectError(f"reading {ref}", code) if code else data
            for ref, (code, data) in zip(refs, results, strict=True)
        ]

    def set_list(
        self, writes: Sequence[tuple[AttributeRef, Data]]
    ) -> Talk[list[ObjectError | None]]:
        """Write several attributes in one request; if it is too long, use a SET with list."""
        request = self._request(_SET, writes)
        if len(request) > self._room():
            return (yield from super().set_list(writes))
        doing = f"writing {len(writes)} attributes at once"
        budget = Budget(2 * len(writes), items=len(writes))
        results = yield from self._access(request, budget, doing, repeatable=False)
        return [
            ObjectError(f"writing {ref}", code) if code else None
            for (ref, _), (code, _) in zip(writes, results, strict=True)
        ]

    def _access(
        self, request: bytes, budget: Budget, doing: str, *, repeatable: bool
    ) -> Talk[tuple[tuple[int, Data], ...]]:
        answer = yield from self._conversation.ask(request, doing, repeatable=repeatable)
        reply = sensible(lambda: parse(answer, doing, budget))
        if not isinstance(reply, AccessDone):
            raise ServiceError(doing, f"{type(reply).__name__} came back")
        return reply.results

    def _request(self, kind: int, accesses: Sequence[tuple[AttributeRef, Data]]) -> bytes:
        long_invoke_id = _FLAGS | self._conversation.next_invoke_id()
        count = encode_length(len(accesses))
        specifications = b"".join(self._specification(kind, ref) for ref, _ in accesses)
        data = b"".join(encode(value) for _, value in accesses)
        head = bytes((ACCESS,)) + long_invoke_id.to_bytes(4, "big") + _NO_DATE
        return head + count + specifications + count + data

    def _specification(self, kind: int, ref: AttributeRef) -> bytes:
        name = ref.class_id.to_bytes(2, "big") + ref.obis.octets + bytes((ref.attribute,))
        if ref.selection is None:
            return bytes((kind,)) + name
        return bytes((_SELECTED[kind],)) + name + self._select(ref.selection)
