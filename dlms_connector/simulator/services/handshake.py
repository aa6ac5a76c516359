"""Association establishment in a meter: the checks of an AARQ, and the start of HLS."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from dlms_connector.simulator.encoding import acse
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import Role
from dlms_connector.simulator.security import Challenges

_CHALLENGE = 16
_TITLE = 8
_TITLED = ("HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA")


@dataclass(frozen=True, slots=True)
class Pending:
    """An association that waits for the client's proof (HLS pass 3)."""

    mechanism: str
    challenges: Challenges


def expected_context(meter: Meter, role: Role) -> int:
    """Return the application context that a client of this role must name."""
    ciphered = role.everything and meter.options.security != "NONE"
    if meter.options.referencing == "SN":
        return acse.SN_CIPHERED if ciphered else acse.SN
    return acse.LN_CIPHERED if ciphered else acse.LN


def objection(meter: Meter, request: acse.Request, role: Role | None) -> int:
    """Return the diagnostic of the rejection; 0 if the AARQ is acceptable."""
    if "refuse-association" in meter.faults:
        return int(meter.faults["refuse-association"])
    if "keeps-association" in meter.faults and meter.association_held:
        return acse.NO_REASON
    if "wants-release" in meter.faults and meter.unreleased:
        return acse.NO_REASON
    if role is None:
        return acse.TITLE_UNKNOWN
    if request.context != expected_context(meter, role) and "own-context" not in meter.faults:
        return acse.CONTEXT_UNKNOWN
    ciphered = request.context in (acse.LN_CIPHERED, acse.SN_CIPHERED)
    if ciphered and len(request.calling_title) != _TITLE:
        return acse.TITLE_UNKNOWN
    wanted = acse.MECHANISMS[role.authentication]
    if wanted and request.mechanism is None:
        return acse.AUTHENTICATION_REQUIRED
    if (request.mechanism or 0) != wanted:
        return acse.MECHANISM_UNKNOWN
    return 0 if _is_presentable(meter, request, role) else acse.AUTHENTICATION_FAILURE


def _is_presentable(meter: Meter, request: acse.Request, role: Role) -> bool:
    value = request.authentication_value
    if role.authentication == "LOW":
        return secrets.compare_digest(value, meter.options.password)
    if role.authentication in _TITLED and len(request.calling_title) != _TITLE:
        return False
    if "challenge-size" in meter.faults and role.authentication != "NONE":
        return len(value) == meter.faults["challenge-size"]
    return role.authentication == "NONE" or 8 <= len(value) <= 64


def begin_proof(meter: Meter, request: acse.Request, role: Role) -> Pending | None:
    """Make the challenges of HLS; return None if the client does not use HLS."""
    if acse.MECHANISMS[role.authentication] < acse.MECHANISMS["HIGH"]:
        return None
    return Pending(
        role.authentication,
        Challenges(
            request.authentication_value,
            secrets.token_bytes(_CHALLENGE),
            request.calling_title,
            meter.options.title(),
        ),
    )


def crooked(meter: Meter, aare: bytes) -> bytes:
    """Return an AARE with the faults that the meter has."""
    faults = meter.faults
    if "aare-length" in faults:
        aare = aare[:1] + bytes((aare[1] + int(faults["aare-length"]),)) + aare[2:]
    return aare + b"\xa5" * int(faults["aare-surplus"])
