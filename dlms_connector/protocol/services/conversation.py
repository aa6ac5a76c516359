"""Questions and answers within an association: each answer is one to the question asked.

An answer that comes late, to a question given up, carries another invoke-id (or, with short
names, another tag); it is passed over, as is whatever the meter says unasked.
"""

from __future__ import annotations

from typing import Protocol

from dlms_connector.errors import LinkTimeoutError, ProtocolError, ServiceError
from dlms_connector.protocol.acse import describe_service_error
from dlms_connector.protocol.services.replies import (
    CONFIRMED_SERVICE_ERROR,
    EXCEPTION_RESPONSE,
    exception_diagnostic,
)
from dlms_connector.protocol.talk import DataLink, Talk

#: Late answers and notifications passed over for one question; more is a flood.
MAX_PASSED_OVER = 16

#: Services with an invoke-id, by the tag of their answer, and its octets that count.
_INVOKE_ID = {0xC4: (2, 0x0F), 0xC5: (2, 0x0F), 0xC7: (2, 0x0F), 0xDA: (4, 0x0F)}

#: What meters say unasked, some of them in clear whatever was agreed on; it is never used here.
_UNASKED = (b"\x0f", b"\xc2", b"\x18")

_ANSWERS = {0xC0: 0xC4, 0xC1: 0xC5, 0xC3: 0xC7, 0xD9: 0xDA, 0x05: 0x0C, 0x06: 0x0D}


class Protection(Protocol):
    """What an association does to APDUs on their way."""

    @property
    def ciphered(self) -> bool:
        """Whether the same octets sent twice would be a replay."""
        ...

    def protect(self, apdu: bytes) -> bytes:
        """Turn a plain request into what goes to the data link."""
        ...

    def unprotect(self, apdu: bytes) -> bytes:
        """Turn what came from the data link into a plain reply. Raises SecurityError."""
        ...


def exchange(datalink: DataLink, apdu: bytes, *, repeatable: bool) -> Talk[bytes]:
    """Send an APDU before an association is there; return the first that was not said unasked.

    Meters that push do so also while they are being asked. Raises LinkError.
    """
    answer = yield from datalink.exchange(apdu, repeatable=repeatable)
    for _ in range(MAX_PASSED_OVER):
        if answer[:1] not in _UNASKED:
            break
        answer = yield from datalink.receive()
    return answer


class InvokeIds:
    """Numbers questions 1 to 15 in turn, also from one association with a meter to the next.

    Else the first question of an association would have the number of one of the association
    before, whose answer may still be on its way: through a converter, or over a call that is kept.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Return the number of the next question."""
        self._last = self._last % 15 + 1
        return self._last


class Conversation:
    """Asks over a data link, under the protection of an association."""

    def __init__(
        self,
        datalink: DataLink,
        protection: Protection,
        fixed_invoke_id: int | None = None,
        invoke_ids: InvokeIds | None = None,
        *,
        afresh: int = 0,
    ) -> None:
        """`afresh` is how often a read is asked again here, not by the data link.

        After silence where it has to be ciphered anew, and after a late answer to another.
        """
        self._datalink = datalink
        self._afresh = afresh
        self._protection = protection
        self._fixed = fixed_invoke_id
        self._invoke_ids = invoke_ids or InvokeIds()
        #: Questions that were answered, if only with an error code, and not refused as a whole.
        self.answered = 0

    def next_invoke_id(self) -> int:
        """Return the invoke-id of the next question, in turn unless it is fixed."""
        return self._invoke_ids.next() if self._fixed is None else self._fixed

    def ask(
        self, request: bytes, doing: str, *, repeatable: bool = False, previous: bytes = b""
    ) -> Talk[bytes]:
        """Send a request and return the plain answer to it.

        A late answer to another costs time, so after it a `repeatable` request is sent again.
        `previous` is the answer with the block before: it may come twice where the first
        request was sent twice. Raises ServiceError where the meter refuses the request
        as a whole.
        """
        answer = yield from self._exchange(request, repeatable=repeatable)
        left = self._afresh if repeatable else 0
        for _ in range(MAX_PASSED_OVER):
            unasked = answer[:1] in _UNASKED
            plain = answer if unasked else self._protection.unprotect(answer)
            if _answers(request, plain) and plain != previous:
                self.answered += 1
                return plain
            _raise_refusal(plain, doing)
            try:
                answer = yield from self._datalink.receive()
            except LinkTimeoutError as error:
                if not left:
                    raise ProtocolError(doing, _only_others(request, plain)) from error
                left -= 1
                answer = yield from self._exchange(request, repeatable=True)
        raise ProtocolError(doing, f"{MAX_PASSED_OVER} answers came, none to this request")

    def _exchange(self, request: bytes, *, repeatable: bool) -> Talk[bytes]:
        """Send a request under protection; the same octets of a ciphered one are a replay."""
        if not self._protection.ciphered:
            apdu = self._protection.protect(request)
            return (yield from self._datalink.exchange(apdu, repeatable=repeatable))
        tries, received, stranger = 1 + (self._afresh if repeatable else 0), 0, ""
        for _ in range(tries):
            apdu = self._protection.protect(request)
            try:
                return (yield from self._datalink.exchange(apdu, repeatable=False))
            except LinkTimeoutError as error:
                received += error.received
                stranger = error.stranger
        raise LinkTimeoutError(tries, received, stranger)


def _answers(request: bytes, answer: bytes) -> bool:
    tag = _ANSWERS[request[0]]
    if not answer or answer[0] != tag:
        return False
    if tag not in _INVOKE_ID:
        return True
    at, mask = _INVOKE_ID[tag]
    return len(answer) > at and not (answer[at] ^ request[at]) & mask


def _only_others(request: bytes, answer: bytes) -> str:
    at, mask = _INVOKE_ID.get(_ANSWERS[request[0]], (0, 0))
    if not mask or len(answer) <= at or answer[0] != _ANSWERS[request[0]]:
        return "the only answer was to something else"
    return (
        f"the only answer has invoke-id {answer[at] & mask} instead of {request[at] & mask}; for a "
        "meter that knows but one, set workarounds.fixedInvokeId"
    )


def _raise_refusal(answer: bytes, doing: str) -> None:
    if answer[:1] == bytes((EXCEPTION_RESPONSE,)):
        raise ServiceError(doing, exception_diagnostic(answer, doing))
    if answer[:1] == bytes((CONFIRMED_SERVICE_ERROR,)):
        raise ServiceError(doing, describe_service_error(answer))
