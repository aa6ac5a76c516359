"""Errors for a refused association: the reason in words, and the configuration key to check."""

from __future__ import annotations

from contextlib import suppress

from dlms_connector.errors import DlmsError, ProtocolError, RefusedError, shown
from dlms_connector.protocol.acse import (
    CONFIRMED_SERVICE_ERROR,
    Aare,
    Diagnostic,
    describe_service_error,
)
from dlms_connector.protocol.security import EXCEPTION_RESPONSE
from dlms_connector.protocol.services import exception_words

OPENING = "opening the association"

_HINTS: dict[int, str] = {
    Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: (
        "check dlms.referencing (LN or SN) and dlms.security: the meter wants the other kind, "
        "or ciphering where there is none"
    ),
    Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: (
        "check dlms.clientAddress, which the meter does not know, and dlms.systemTitle where "
        "there is one"
    ),
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: (
        "check dlms.authentication: the meter knows this mechanism not, or not for this "
        "dlms.clientAddress"
    ),
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: (
        "set dlms.authentication: this dlms.clientAddress needs one"
    ),
    Diagnostic.AUTHENTICATION_FAILURE: (
        "check dlms.password (for HIGH_GMAC: dlms.authenticationKey and dlms.blockCipherKey; for "
        "HIGH_ECDSA: dlms.signingKey); do not guess, meters lock out guessers"
    ),
    Diagnostic.AUTHENTICATION_REQUIRED: (
        "set dlms.authentication: this dlms.clientAddress needs LOW or one of the HIGH mechanisms"
    ),
}

_HINT_OF_PROVIDER = (
    "check dlms.clientAddress, and dlms.interfaceType: the meter's ACSE knows no such association"
)

_HINT_WITHOUT_REASON = (
    "check dlms.clientAddress, dlms.authentication and dlms.password; an association that an "
    "earlier session left open goes away with the meter's inactivity timeout"
)

_HINT_WITHOUT_REASON_CIPHERED = (
    "check dlms.clientAddress, dlms.systemTitle, dlms.authenticationKey, dlms.blockCipherKey and "
    "dlms.invocationCounter: a counter lower than the meter's looks like this"
)

_HINT_OF_COUNTER = (
    "; check dlms.invocationCounter too: to some meters a counter lower than theirs is a failure "
    "of authentication"
)


def refusal(diagnostic: str, hint: str = "") -> RefusedError:
    """Return the error for a refused association; an empty hint keeps the default one."""
    error = RefusedError(OPENING, diagnostic)
    if hint:
        error.hint = hint
    return error


def refusal_of(aare: Aare, *, ciphered: bool, information: bytes | None) -> RefusedError:
    """Return the error for an AARE that refuses; its user-information may give details."""
    if aare.by_provider:
        hint = _HINT_OF_PROVIDER
    else:
        unknown = _HINT_WITHOUT_REASON_CIPHERED if ciphered else _HINT_WITHOUT_REASON
        hint = _HINTS.get(aare.diagnostic, unknown)
        if ciphered and aare.diagnostic == Diagnostic.AUTHENTICATION_FAILURE:
            hint += _HINT_OF_COUNTER
    more = ""
    with suppress(ProtocolError):  # report the refusal even if this cannot be read
        more = f" ({describe_service_error(information or b'')})"
    error = refusal(aare.words + more, hint)
    error.perhaps_held = aare.by_provider or aare.diagnostic == Diagnostic.NO_REASON_GIVEN
    return error


def unexpected(reply: bytes) -> DlmsError:
    """Return the error for an APDU that came instead of an AARE."""
    if reply[:1] == bytes([CONFIRMED_SERVICE_ERROR]):
        return _held(refusal(describe_service_error(reply)))
    if reply[:1] == bytes([EXCEPTION_RESPONSE]):
        return _held(refusal(describe_exception(reply)))
    return ProtocolError(OPENING, f"{shown(reply)} came instead of an AARE")


def _held(error: RefusedError) -> RefusedError:
    """Mark a refusal that names no reason: an association may be open from before."""
    error.perhaps_held = True
    return error


def describe_exception(apdu: bytes) -> str:
    """Put an exception-response into words."""
    state, service = (*apdu[1:3], 0, 0)[:2]
    return f"exception: {exception_words(state, service)}"
