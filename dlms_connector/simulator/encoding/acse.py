"""Opening and closing an association: AARQ, AARE, RLRQ, RLRE (IEC 62056-5-3, BER)."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.simulator.encoding.data import MalformedError, Reader, length

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
#: Joint-iso-ccitt DLMS-UA application context and mechanism names, without the last octet.
_CONTEXT = bytes.fromhex("608574050801")
_MECHANISM = bytes.fromhex("608574050802")
LN, SN, LN_CIPHERED, SN_CIPHERED = 1, 2, 3, 4

#: Result-source-diagnostic, acse-service-user.
NO_REASON, CONTEXT_UNKNOWN, TITLE_UNKNOWN = 1, 2, 3
MECHANISM_UNKNOWN, MECHANISM_REQUIRED, AUTHENTICATION_FAILURE = 11, 12, 13
AUTHENTICATION_REQUIRED = 14
ACCEPTED, REJECTED = 0, 1

MECHANISMS = {
    "NONE": 0,
    "LOW": 1,
    "HIGH": 2,
    "HIGH_MD5": 3,
    "HIGH_SHA1": 4,
    "HIGH_GMAC": 5,
    "HIGH_SHA256": 6,
    "HIGH_ECDSA": 7,
}


@dataclass
class Request:
    """The contents of an AARQ."""

    context: int = 0
    mechanism: int | None = None
    authentication_value: bytes = b""
    calling_title: bytes = b""
    user_information: bytes = b""


def context_name(context: int) -> bytes:
    """Return the octets of an application context name."""
    return _CONTEXT + bytes((context,))


def mechanism_name(mechanism: int) -> bytes:
    """Return the octets of an authentication mechanism name."""
    return _MECHANISM + bytes((mechanism,))


def parse_request(apdu: bytes) -> Request:
    """Read an AARQ; raises MalformedError."""
    reader = Reader(apdu)
    if reader.number() != AARQ:
        raise MalformedError("no AARQ")
    reader.length()  # ignored: the example of one manufacturer has a wrong length
    body = Reader(reader.rest())
    request = Request()
    while body.left:
        tag, value = body.number(), body.string()
        if tag == 0xA1:
            request.context = _last_of(value, b"\x06\x07" + _CONTEXT)
        elif tag == 0x8B:
            request.mechanism = _last_of(value, _MECHANISM)
        elif tag == 0xAC:
            request.authentication_value = _inner(value, (0x80, 0x81))
        elif tag == 0xA6:
            request.calling_title = _inner(value, (0x04,))
        elif tag == 0xBE:
            request.user_information = _inner(value, (0x04,))
    return request


def _last_of(value: bytes, start: bytes) -> int:
    return value[-1] if value[:-1] == start else 0


def _inner(value: bytes, tags: tuple[int, ...]) -> bytes:
    reader = Reader(value)
    if reader.number() not in tags:
        raise MalformedError("an unknown choice in the AARQ")
    return reader.string()


@dataclass
class Initiate:
    """An xDLMS InitiateRequest."""

    version: int
    conformance: int
    max_pdu: int
    dedicated_key: bytes = b""


def parse_initiate(apdu: bytes) -> Initiate:
    """Read an InitiateRequest; raises MalformedError."""
    reader = Reader(apdu)
    if reader.number() != 0x01:
        raise MalformedError("no InitiateRequest")
    key = reader.string() if reader.number() else b""
    if reader.number():
        reader.number()  # response-allowed is ignored: the meter always answers
    if reader.number():
        reader.number()  # the proposed quality of service is ignored
    version = reader.number()
    if reader.take(4) != b"\x5f\x1f\x04\x00":
        raise MalformedError("no conformance in the InitiateRequest")
    return Initiate(version, reader.number(3), reader.number(2), key)


def make_initiate_response(conformance: int, max_pdu: int, *, short_names: bool) -> bytes:
    """Write an InitiateResponse; the VAA name is fixed: 0x0007, or 0xFA00 for short names."""
    vaa = 0xFA00 if short_names else 0x0007
    return (
        b"\x08\x00\x06\x5f\x1f\x04\x00"
        + conformance.to_bytes(3, "big")
        + max_pdu.to_bytes(2, "big")
        + vaa.to_bytes(2, "big")
    )


def make_version_error() -> bytes:
    """Write the ConfirmedServiceError "initiate: dlms-version-too-low"."""
    return b"\x0e\x01\x06\x01"


def make_response(
    context: int,
    diagnostic: int,
    user_information: bytes,
    *,
    title: bytes = b"",
    mechanism: int = 0,
    challenge: bytes = b"",
    accepted: bool = True,
) -> bytes:
    """Write an AARE. A diagnostic of 14 with `accepted` announces HLS."""
    result = ACCEPTED if accepted else REJECTED
    body = _tlv(0xA1, _tlv(0x06, context_name(context)))
    body += bytes((0xA2, 3, 2, 1, result, 0xA3, 5, 0xA1, 3, 2, 1, diagnostic))
    if title:
        body += _tlv(0xA4, _tlv(0x04, title))
    if challenge:
        body += b"\x88\x02\x07\x80" + _tlv(0x89, mechanism_name(mechanism))
        body += _tlv(0xAA, _tlv(0x80, challenge))
    if user_information:
        body += _tlv(0xBE, _tlv(0x04, user_information))
    return _tlv(AARE, body)


def release_information(apdu: bytes) -> bytes:
    """Return the user information of an RLRQ; raises MalformedError."""
    reader = Reader(apdu[1:])
    body = Reader(reader.string())
    while body.left:
        tag, value = body.number(), body.string()
        if tag == 0xBE:
            return _inner(value, (0x04,))
    return b""


def make_release_response(user_information: bytes = b"") -> bytes:
    """Write an RLRE with reason normal."""
    body = b"\x80\x01\x00"
    if user_information:
        body += _tlv(0xBE, _tlv(0x04, user_information))
    return _tlv(RLRE, body)


def _tlv(tag: int, value: bytes) -> bytes:
    return bytes((tag,)) + length(len(value)) + value
