"""Errors for a refused association: the reason in words, and the configuration key to check."""

from __future__ import annotations

from contextlib import suppress

from dlms_connector.errors import DlmsError, ProtocolError, RefusedError
from dlms_connector.protocol.acse import (
    CONFIRMED_SERVICE_ERROR,
    Aare,
    Context,
    Diagnostic,
    describe_service_error,
)
from dlms_connector.protocol.octets import shown
from dlms_connector.protocol.security import EXCEPTION_RESPONSE
from dlms_connector.protocol.services import exception_words

OPENING = "opening the association"

_CIPHERED = (Context.LN_CIPHERED, Context.SN_CIPHERED)
_BY_SHORT_NAME = (Context.SN, Context.SN_CIPHERED)
_NAMES: dict[int, str] = {
    Context.LN: "logical names",
    Context.SN: "short names",
    Context.LN_CIPHERED: "logical names with ciphering",
    Context.SN_CIPHERED: "short names with ciphering",
}
#: Diagnostics that another application context explains.
_OF_CONTEXT = (
    Diagnostic.NULL,
    Diagnostic.NO_REASON_GIVEN,
    Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
)

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


def refusal_of(aare: Aare, asked: Context) -> RefusedError:
    """Return the error for an AARE that refuses; its user-information may give details."""
    ciphered = asked in _CIPHERED
    other = context_hint(asked, aare.context) if aare.diagnostic in _OF_CONTEXT else ""
    if other:
        hint = other
    elif aare.by_provider:
        hint = _HINT_OF_PROVIDER
    else:
        unknown = _HINT_WITHOUT_REASON_CIPHERED if ciphered else _HINT_WITHOUT_REASON
        hint = _HINTS.get(aare.diagnostic, unknown)
        if ciphered and aare.diagnostic == Diagnostic.AUTHENTICATION_FAILURE:
            hint += _HINT_OF_COUNTER
    more = ""
    with suppress(ProtocolError):  # report the refusal even if this cannot be read
        more = f" ({describe_service_error(aare.user_information or b'')})"
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


def context_words(context: int | None) -> str:
    """Put an application context into words."""
    if context is None:
        return "no application context"
    return f"application context {context:d} ({_NAMES.get(context, 'unknown')})"


def context_hint(asked: Context, told: int | None) -> str:
    """Return the keys to check if the meter names another application context; else ""."""
    if told == asked or told not in _NAMES:
        return ""
    if (told in _BY_SHORT_NAME) != (asked in _BY_SHORT_NAME):
        return (
            f"set dlms.referencing to {'SN' if told in _BY_SHORT_NAME else 'LN'}; if the meter has "
            "both kinds of names, check dlms.clientAddress and dlms.logicalAddress"
        )
    if asked in _CIPHERED:
        return (
            "check dlms.security: for this dlms.clientAddress the meter names an association "
            "without ciphering; if it should cipher, somebody may be on the line"
        )
    return "check dlms.security: the meter wants ciphering for this dlms.clientAddress"
