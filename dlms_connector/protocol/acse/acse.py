"""APDUs that open and close an association: AARQ, AARE, RLRQ, RLRE (IEC 62056-5-3, ACSE).

Each can be encoded and parsed, because client and simulated meter share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.ber import decode_fields, decode_only, encode_field

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63

_OCTET_STRING, _INTEGER, _OBJECT_IDENTIFIER = 0x04, 0x02, 0x06
_USER_INFORMATION = 0xBE

#: joint-iso-ccitt(2) country(16) country-name(756) identified-organisation(5) DLMS-UA(8)
_DLMS_UA = bytes.fromhex("6085740508")
#: The authentication functional unit is in use: a bit string with its first bit set.
_AUTHENTICATION_USED = b"\x07\x80"


class Context(IntEnum):
    """COSEM application context names: how objects are named, and whether APDUs are ciphered."""

    LN = 1
    SN = 2
    LN_CIPHERED = 3
    SN_CIPHERED = 4


class Mechanism(IntEnum):
    """COSEM authentication mechanism names."""

    NONE = 0
    LOW = 1
    HIGH = 2
    HIGH_MD5 = 3
    HIGH_SHA1 = 4
    HIGH_GMAC = 5
    HIGH_SHA256 = 6
    HIGH_ECDSA = 7


class Result(IntEnum):
    """Association-result."""

    ACCEPTED = 0
    REJECTED_PERMANENT = 1
    REJECTED_TRANSIENT = 2


class Diagnostic(IntEnum):
    """Why an association is not accepted: diagnostics of the acse-service-user."""

    NULL = 0
    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AP_TITLE_NOT_RECOGNIZED = 3
    CALLING_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 4
    CALLING_AE_QUALIFIER_NOT_RECOGNIZED = 5
    CALLING_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 6
    CALLED_AP_TITLE_NOT_RECOGNIZED = 7
    CALLED_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 8
    CALLED_AE_QUALIFIER_NOT_RECOGNIZED = 9
    CALLED_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 10
    AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED = 11
    AUTHENTICATION_MECHANISM_NAME_REQUIRED = 12
    AUTHENTICATION_FAILURE = 13
    AUTHENTICATION_REQUIRED = 14


#: Why an association is not accepted: diagnostics of the acse-service-provider.
PROVIDER_DIAGNOSTICS = {0: "null", 1: "no-reason-given", 2: "no-common-acse-version"}


@dataclass(frozen=True, slots=True)
class Aarq:
    """A client's request; `authentication` is its password or its challenge."""

    context: int
    user_information: bytes = field(repr=False)
    mechanism: int | None = None
    authentication: bytes | None = field(default=None, repr=False)
    title: bytes | None = None

    def encode(self) -> bytes:
        """Write the BER form."""
        parts = [_context(self.context)]
        if self.title is not None:
            parts.append(encode_field(0xA6, encode_field(_OCTET_STRING, self.title)))
        if self.mechanism is not None:
            parts.append(encode_field(0x8A, _AUTHENTICATION_USED))
            parts.append(encode_field(0x8B, _DLMS_UA + bytes([2, self.mechanism])))
        if self.authentication is not None:
            parts.append(encode_field(0xAC, encode_field(0x80, self.authentication)))
        parts.append(_user_information(self.user_information))
        return encode_field(AARQ, b"".join(parts))

    @classmethod
    def parse(cls, apdu: bytes) -> Aarq:
        """Read the BER form. Raises ProtocolError."""
        doing = "reading an AARQ"
        fields = _fields(apdu, AARQ, doing)
        if 0xA1 not in fields or _USER_INFORMATION not in fields:
            raise ProtocolError(doing, "no application context name or no user-information")
        return cls(
            context=_context_id(fields[0xA1], doing),
            user_information=decode_only(fields[_USER_INFORMATION], _OCTET_STRING, doing),
            mechanism=_mechanism_id(fields.get(0x8B), doing),
            authentication=_inner(fields.get(0xAC), 0x80, doing),
            title=_inner(fields.get(0xA6), _OCTET_STRING, doing),
        )


@dataclass(frozen=True, slots=True)
class Aare:
    """A meter's answer; `by_provider`: `diagnostic` is of the service provider, not the user."""

    context: int | None
    result: int
    diagnostic: int = 0
    by_provider: bool = False
    title: bytes | None = None
    mechanism: int | None = None
    challenge: bytes | None = field(default=None, repr=False)
    user_information: bytes | None = field(default=None, repr=False)

    def encode(self) -> bytes:
        """Write the BER form."""
        source = 0xA2 if self.by_provider else 0xA1
        parts = [
            b"" if self.context is None else _context(self.context),
            encode_field(0xA2, _integer(self.result)),
            encode_field(0xA3, encode_field(source, _integer(self.diagnostic))),
        ]
        if self.title is not None:
            parts.append(encode_field(0xA4, encode_field(_OCTET_STRING, self.title)))
        if self.mechanism is not None:
            parts.append(encode_field(0x88, _AUTHENTICATION_USED))
            parts.append(encode_field(0x89, _DLMS_UA + bytes([2, self.mechanism])))
        if self.challenge is not None:
            parts.append(encode_field(0xAA, encode_field(0x80, self.challenge)))
        if self.user_information is not None:
            parts.append(_user_information(self.user_information))
        return encode_field(AARE, b"".join(parts))

    @classmethod
    def parse(cls, apdu: bytes) -> Aare:
        """Read the BER form. Raises ProtocolError."""
        doing = "reading an AARE"
        fields = _fields(apdu, AARE, doing)
        if 0xA2 not in fields:
            raise ProtocolError(doing, "no result")
        source, diagnostic = _diagnostic(fields.get(0xA3), doing)
        return cls(
            context=_context_id(fields[0xA1], doing) if 0xA1 in fields else None,
            result=_small(fields[0xA2], doing),
            diagnostic=diagnostic,
            by_provider=source == 0xA2,
            title=_inner(fields.get(0xA4), _OCTET_STRING, doing),
            mechanism=_mechanism_id(fields.get(0x89), doing),
            challenge=_inner(fields.get(0xAA), 0x80, doing),
            user_information=_inner(fields.get(_USER_INFORMATION), _OCTET_STRING, doing),
        )

    @property
    def words(self) -> str:
        """Result and diagnostic in the words of the standard."""
        table = PROVIDER_DIAGNOSTICS if self.by_provider else _USER_DIAGNOSTICS
        reason = table.get(self.diagnostic, f"diagnostic {self.diagnostic}")
        return f"{_RESULTS.get(self.result, f'result {self.result}')}, {reason}"


def encode_release(tag: int, reason: int = 0, user_information: bytes | None = None) -> bytes:
    """Write an RLRQ or RLRE; reason 0 is `normal`."""
    content = encode_field(0x80, bytes([reason]))
    if user_information is not None:
        content += _user_information(user_information)
    return encode_field(tag, content)


def parse_release(apdu: bytes, tag: int) -> bytes | None:
    """Read an RLRQ or RLRE; return its user-information. Raises ProtocolError."""
    doing = "reading a release"
    return _inner(_fields(apdu, tag, doing).get(_USER_INFORMATION), _OCTET_STRING, doing)


_RESULTS: dict[int, str] = {result: result.name.lower().replace("_", "-") for result in Result}
_USER_DIAGNOSTICS: dict[int, str] = {
    value: value.name.lower().replace("_", "-").replace("-ap-", "-AP-").replace("-ae-", "-AE-")
    for value in Diagnostic
}


def _context(number: int) -> bytes:
    return encode_field(0xA1, encode_field(_OBJECT_IDENTIFIER, _DLMS_UA + bytes([1, number])))


def _user_information(content: bytes) -> bytes:
    return encode_field(_USER_INFORMATION, encode_field(_OCTET_STRING, content))


def _integer(value: int) -> bytes:
    return encode_field(_INTEGER, bytes([value]))


def _fields(apdu: bytes, tag: int, doing: str) -> dict[int, bytes]:
    """Return an APDU's fields by tag. Raises ProtocolError if a tag comes twice."""
    fields: dict[int, bytes] = {}
    for inner, content in decode_fields(decode_only(apdu, tag, doing), doing):
        if inner in fields:
            raise ProtocolError(doing, f"tag {inner:02X} comes twice")
        fields[inner] = content
    return fields


def _inner(content: bytes | None, tag: int, doing: str) -> bytes | None:
    return None if content is None else decode_only(content, tag, doing)


def _small(content: bytes, doing: str) -> int:
    value = decode_only(content, _INTEGER, doing)
    if len(value) != 1:
        raise ProtocolError(doing, f"an integer of {len(value)} octets where one is expected")
    return value[0]


def _diagnostic(content: bytes | None, doing: str) -> tuple[int, int]:
    if content is None:
        return 0xA1, 0
    fields = list(decode_fields(content, doing))
    if len(fields) != 1 or fields[0][0] not in (0xA1, 0xA2):
        raise ProtocolError(doing, "the diagnostic is of neither service user nor provider")
    return fields[0][0], _small(fields[0][1], doing)


def _context_id(content: bytes, doing: str) -> int:
    return _name(decode_only(content, _OBJECT_IDENTIFIER, doing), 1, "application context", doing)


def _mechanism_id(content: bytes | None, doing: str) -> int | None:
    return None if content is None else _name(content, 2, "authentication mechanism", doing)


def _name(oid: bytes, arc: int, what: str, doing: str) -> int:
    if len(oid) != 7 or oid[:6] != _DLMS_UA + bytes([arc]):
        raise ProtocolError(doing, f"{oid[:16].hex(' ')} is no COSEM {what}")
    return oid[6]
