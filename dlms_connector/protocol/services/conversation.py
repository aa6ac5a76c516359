"""Requests and their answers within an association.

A late answer to an abandoned request has another invoke-id (with short names, another tag).
It is ignored, and so is what the meter says unasked (`listening`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dlms_connector.errors import LinkTimeoutError, ProtocolError, RepeatedError, ServiceError
from dlms_connector.protocol.acse import describe_service_error
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.services.listening import Listening
from dlms_connector.protocol.services.replies import (
    CONFIRMED_SERVICE_ERROR,
    EXCEPTION_RESPONSE,
    exception_diagnostic,
)
from dlms_connector.protocol.talk import DataLink, Talk

#: Limit of late answers that are ignored during one request.
MAX_PASSED_OVER = 16

#: Answers with an invoke-id, by tag: the index of its octet, and the mask of its bits.
_INVOKE_ID = {0xC4: (2, 0x0F), 0xC5: (2, 0x0F), 0xC7: (2, 0x0F), 0xDA: (4, 0x0F)}

_ANSWERS = {0xC0: 0xC4, 0xC1: 0xC5, 0xC3: 0xC7, 0xD9: 0xDA, 0x05: 0x0C, 0x06: 0x0D}


#: Answers to requests, in clear or with the global or dedicated key: never sent unasked.
_PLAINLY = frozenset(
    bytes((tag + offset,))
    for tags, offsets in (((0xC4, 0xC5, 0xC7), (0, 8, 16)), ((0x0C, 0x0D), (0, 0x20, 0x40)))
    for tag in tags
    for offset in offsets
)


class Protection(Protocol):
    """The protection that an association applies to APDUs."""

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are ciphered, so that sending one twice is a replay."""
        ...

    def protect(self, apdu: bytes) -> bytes:
        """Turn a plain request into the APDU for the data link."""
        ...

    def unprotect(self, apdu: bytes) -> bytes:
        """Turn an APDU from the data link into a plain reply. Raises SecurityError."""
        ...


class Fitting(Protocol):
    """Decides whether an answer can be that to a request which nothing marks as such."""

    def accepts(self, answer: bytes) -> bool:
        """Whether it can be."""
        ...

    def doubted(self, doing: str) -> ProtocolError | None:
        """Return the error for an answer that was not accepted; None if there was none."""
        ...


def exchange(
    datalink: DataLink,
    apdu: bytes,
    *,
    repeatable: bool,
    remarks: Remarks | None = None,
    ignoring: Callable[[bytes], bool] = lambda _: False,
) -> Talk[bytes]:
    """Send an APDU that opens or closes an association; return its answer.

    What the meter says unasked is passed over, and so is what is to be ignored. If nothing else
    came, a `repeatable` APDU is sent once more. Raises LinkError.
    """
    listening = Listening(datalink, remarks or Remarks(), sealed=False)
    answer = yield from datalink.exchange(apdu, repeatable=repeatable)
    for _ in range(MAX_PASSED_OVER):
        try:
            plain = yield from listening.next(answer)
            if not ignoring(plain):
                break
            answer = yield from datalink.receive()
        except LinkTimeoutError:
            if not repeatable:
                raise
            repeatable = False
            answer = yield from datalink.exchange(apdu, repeatable=False)
    return plain


class InvokeIds:
    """Gives out invoke-ids 1 to 15 in turn, across the associations with one meter.

    Otherwise the first request of an association could have the invoke-id of a request in the
    association before. The answer to that may still arrive, through a converter or on a
    connection that is kept open.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Return the invoke-id of the next request."""
        self._last = self._last % 15 + 1
        return self._last


class Conversation:
    """Sends requests over a data link, with the protection of an association."""

    def __init__(
        self,
        datalink: DataLink,
        protection: Protection,
        fixed_invoke_id: int | None = None,
        invoke_ids: InvokeIds | None = None,
        *,
        afresh: int = 0,
        remarks: Remarks | None = None,
    ) -> None:
        """`afresh` is how often a read is repeated here, not by the data link.

        It is repeated after a timeout if it must be ciphered again, and after a late answer
        to another request.
        """
        self._datalink = datalink
        self._afresh = afresh
        self._protection = protection
        self._fixed = fixed_invoke_id
        self._invoke_ids = invoke_ids or InvokeIds()
        self._remarks = remarks or Remarks()
        #: Number of requests that were answered (also with an error code), not refused as a whole.
        self.answered = 0
        #: Whether an answer was passed over, as one to another request.
        self.passed_over = False

    def next_invoke_id(self) -> int:
        """Return the invoke-id of the next request: the next in turn, or the fixed one."""
        return self._invoke_ids.next() if self._fixed is None else self._fixed

    def ask(
        self,
        request: bytes,
        doing: str,
        *,
        repeatable: bool = False,
        previous: bytes = b"",
        fit: Fitting | None = None,
    ) -> Talk[bytes]:
        """Send a request and return the plain answer to it.

        If only late answers to other requests arrive, a `repeatable` request is sent again.
        `previous` is the answer with the block before: it may come twice if its request was
        sent twice. `fit` may refuse an answer of the right kind: then another is waited for.
        Raises ServiceError if the meter refuses the request as a whole.
        """
        answer = yield from self._exchange(request, repeatable=repeatable)
        opened, plain = None, b""
        if fit is None and answer[:1] in _PLAINLY:
            opened = self._opened(answer)
            if opened is not None and _answers(request, opened) and opened != previous:
                self.answered += 1
                return opened
        listening = Listening(self._datalink, self._remarks, self._protection.unprotect)
        left = self._afresh if repeatable else 0
        for _ in range(MAX_PASSED_OVER):
            try:
                plain = (yield from listening.next(answer)) if opened is None else opened
                opened = None
                answers = _answers(request, plain) and plain != previous
                if answers and (fit is None or fit.accepts(plain)):
                    self.answered += 1
                    return plain
                _raise_refusal(plain, doing)
                self.passed_over = True
                answer = yield from self._datalink.receive()
            except LinkTimeoutError as error:
                if error.begun:
                    raise
                if not left:
                    odd = listening.doubt or (fit and fit.doubted(doing))
                    raise odd or ProtocolError(doing, _only_others(request, plain)) from error
                left -= 1
                answer = yield from self._exchange(request, repeatable=True)
        raise ProtocolError(doing, f"{MAX_PASSED_OVER} answers came, none to this request")

    def _opened(self, answer: bytes) -> bytes | None:
        try:
            return self._protection.unprotect(answer)
        except RepeatedError:
            return None  # `Listening` refuses it, and waits for the true one

    def _exchange(self, request: bytes, *, repeatable: bool) -> Talk[bytes]:
        """Send a protected request; a ciphered one is ciphered again for each repetition."""
        if not self._protection.ciphered:
            apdu = self._protection.protect(request)
            return self._datalink.exchange(apdu, repeatable=repeatable)
        return self._exchange_ciphered(request, repeatable=repeatable)

    def _exchange_ciphered(self, request: bytes, *, repeatable: bool) -> Talk[bytes]:
        tries, received, stranger = 1 + (self._afresh if repeatable else 0), 0, ""
        for _ in range(tries):
            apdu = self._protection.protect(request)
            try:
                return (yield from self._datalink.exchange(apdu, repeatable=False))
            except LinkTimeoutError as error:
                if error.begun:
                    raise
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
