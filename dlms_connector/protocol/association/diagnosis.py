"""Errors for a refused association: the reason in words, and the configuration key to check."""

from __future__ import annotations

from contextlib import suppress

from dlms_connector.errors import DlmsError, ProtocolError, RefusedError
from dlms_connector.hints import Symptom
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

#: The service-error of an exception-response whose cause are keys or counters (IEC 62056-5-3).
_DECIPHERING_ERROR = 5

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

_SYMPTOMS: dict[int, Symptom] = {
    Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: Symptom.OTHER_CONTEXT,
    Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: Symptom.UNKNOWN_CLIENT,
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: Symptom.OTHER_MECHANISM,
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: Symptom.MECHANISM_REQUIRED,
    Diagnostic.AUTHENTICATION_FAILURE: Symptom.AUTHENTICATION_FAILED,
    Diagnostic.AUTHENTICATION_REQUIRED: Symptom.AUTHENTICATION_REQUIRED,
}
#: Where ciphering is agreed, our invocation counter may be the cause too.
_CIPHERED_SYMPTOMS = {
    Symptom.AUTHENTICATION_FAILED: Symptom.AUTHENTICATION_FAILED_CIPHERED,
    Symptom.NO_REASON: Symptom.NO_REASON_CIPHERED,
}


def refusal(diagnostic: str) -> RefusedError:
    """Return the error for a refused association."""
    return RefusedError(OPENING, diagnostic)


def refusal_of(aare: Aare, asked: Context) -> RefusedError:
    """Return the error for an AARE that refuses; its user-information may give details."""
    more = ""
    with suppress(ProtocolError):  # report the refusal even if this cannot be read
        more = f" ({describe_service_error(aare.user_information or b'')})"
    error = refusal(aare.words + more)
    symptom = context_symptom(asked, aare.context) if aare.diagnostic in _OF_CONTEXT else None
    symptom = symptom or _symptom_of(aare, ciphered=asked in _CIPHERED)
    error.showing(symptom, referencing=names_of(aare.context))
    error.perhaps_held = aare.by_provider or aare.diagnostic == Diagnostic.NO_REASON_GIVEN
    return error


def _symptom_of(aare: Aare, *, ciphered: bool) -> Symptom:
    if aare.by_provider:
        return Symptom.NO_ASSOCIATION
    symptom = _SYMPTOMS.get(aare.diagnostic, Symptom.NO_REASON)
    return _CIPHERED_SYMPTOMS.get(symptom, symptom) if ciphered else symptom


def unexpected(reply: bytes) -> DlmsError:
    """Return the error for an APDU that came instead of an AARE."""
    if reply[:1] == bytes([CONFIRMED_SERVICE_ERROR]):
        return _held(refusal(describe_service_error(reply)).showing(Symptom.NO_REASON))
    if reply[:1] == bytes([EXCEPTION_RESPONSE]):
        of_keys = reply[2:3] == bytes([_DECIPHERING_ERROR])
        symptom = Symptom.NO_REASON_CIPHERED if of_keys else Symptom.NO_REASON
        return _held(refusal(describe_exception(reply)).showing(symptom))
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


def context_symptom(asked: Context, told: int | None) -> Symptom | None:
    """Return what it means that the meter names this application context; None if it is ours."""
    if told == asked or told not in _NAMES:
        return None
    if (told in _BY_SHORT_NAME) != (asked in _BY_SHORT_NAME):
        return Symptom.OTHER_NAMES
    return Symptom.WANTS_CLEAR if asked in _CIPHERED else Symptom.WANTS_CIPHERING


def names_of(context: int | None) -> str:
    """Return the referencing of an application context, as in `dlms.referencing`."""
    return "SN" if context in _BY_SHORT_NAME else "LN"
