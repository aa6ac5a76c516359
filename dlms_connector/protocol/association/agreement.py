"""What an accepting AARE must agree with: application context, mechanism, system title."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.errors import ProtocolError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.acse import (
    DLMS_VERSION,
    LEAST_PDU,
    Aare,
    Context,
    InitiateResponse,
    Mechanism,
)
from dlms_connector.protocol.association.diagnosis import (
    OPENING,
    context_symptom,
    context_words,
    names_of,
    refusal,
)
from dlms_connector.protocol.data.ber import decode_content

_CIPHERED = (Context.LN_CIPHERED, Context.SN_CIPHERED)
_GENERAL_GLO = b"\xdb"
#: The longest APDU in one HDLC frame: its information field without the LLC octets.
_LONGEST_IN_FRAME = 2030 - 3


@dataclass(frozen=True)
class Negotiated:
    """The negotiated values: names of services, and the meter's largest PDU in octets."""

    conformance: frozenset[str]
    max_pdu: int
    dlms_version: int
    server_system_title: bytes | None


def offered_pdu(dlms: Dlms, workarounds: Workarounds) -> int:
    """Return the longest APDU to offer to accept: a UI frame has to hold a whole one."""
    in_frame = workarounds.connectionless and dlms.interface_type != "WRAPPER"
    return min(workarounds.max_pdu, _LONGEST_IN_FRAME) if in_frame else workarounds.max_pdu


def negotiated_of(
    response: InitiateResponse, proposed: frozenset[str], title: bytes | None
) -> Negotiated:
    """Return the negotiated values. Raises RefusedError, ProtocolError."""
    if response.dlms_version < DLMS_VERSION:
        raise refusal(f"the meter speaks DLMS version {response.dlms_version}, not 6")
    if 0 < response.max_pdu < LEAST_PDU:
        raise ProtocolError(OPENING, f"no service fits in a PDU of {response.max_pdu} octets")
    services, size = _both(response.conformance, proposed), response.max_pdu or 0xFFFF
    return Negotiated(services, size, response.dlms_version, title)


@lru_cache(maxsize=64)
def _both(theirs: frozenset[str], ours: frozenset[str]) -> frozenset[str]:
    """Return what both sides support: one set for all meters that are alike."""
    return theirs & ours


def check_context(asked: Context, told: int | None) -> None:
    """Raise ProtocolError if the meter's application context is not acceptable.

    Some servers name a ciphered context although we asked for no ciphering. Their APDUs are in
    clear all the same, as asked; ciphered APDUs are not accepted then.
    """
    if told == asked or (asked not in _CIPHERED and told in _CIPHERED):
        return
    problem = f"asked for {context_words(asked)}, the meter names {context_words(told)}"
    error = (SecurityError if asked in _CIPHERED else ProtocolError)(OPENING, problem)
    if symptom := context_symptom(asked, told):
        error.showing(symptom, referencing=names_of(told))
    raise error


def check_mechanism(asked: Mechanism, aare: Aare) -> None:
    """Raise SecurityError if the meter accepts without its part of a HIGH authentication."""
    if aare.mechanism in (None, asked) and aare.challenge is not None:
        return
    problem = "the meter accepts without its part of the authentication"
    if aare.mechanism not in (None, asked):
        problem += f": it names {mechanism_name(aare.mechanism)} instead of {asked.name}"
    raise SecurityError(OPENING, problem).showing(Symptom.NO_PROOF)


def mechanism_quirk(asked: Mechanism, aare: Aare) -> str:
    """Return the quirk of a meter that names another mechanism than a password's; else ""."""
    if asked > Mechanism.LOW or aare.mechanism in (None, asked):
        return ""
    return (
        f"names the mechanism {mechanism_name(aare.mechanism)} where {asked.name} was asked for "
        "(check dlms.authentication if it refuses what is read)"
    )


def mechanism_name(number: int | None) -> str:
    """Return the name of a mechanism as in `dlms.authentication`, or its number."""
    return Mechanism(number).name if number in list(Mechanism) else f"mechanism {number}"


def title_of(aare: Aare, dlms: Dlms) -> bytes:
    """Return the meter's system title, which must match a configured one. Raises SecurityError.

    Some meters tell it with the ciphered user-information only.
    """
    told, known = aare.title or _title_within(aare.user_information), dlms.server_system_title
    if known and told and known != told:
        raise SecurityError(
            OPENING, f"the meter's system title is {told.hex()}, not dlms.serverSystemTitle"
        ).showing(Symptom.OTHER_TITLE)
    title = told or known
    if not title:
        raise SecurityError(OPENING, "the meter tells no system title").showing(Symptom.NO_TITLE)
    if len(title) != 8 or title == dlms.system_title:
        problem = f"{title[:16].hex()} cannot be the meter's system title"
        raise SecurityError(OPENING, problem).showing(Symptom.OTHER_TITLE)
    return title


def _title_within(information: bytes | None) -> bytes | None:
    """Return the system title in general-glo-ciphering; deciphering proves it."""
    if information is None or information[:2] != _GENERAL_GLO + b"\x08":
        return None
    return decode_content(information, 1, OPENING)[0]
