"""The xDLMS context in AARQ and AARE: InitiateRequest, InitiateResponse, ConfirmedServiceError."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.acse.conformance import decode_conformance, encode_conformance
from dlms_connector.protocol.data.ber import decode_content, encode_field, encode_length

INITIATE_REQUEST, INITIATE_RESPONSE, CONFIRMED_SERVICE_ERROR = 0x01, 0x08, 0x0E

DLMS_VERSION = 6

#: The VAA name: logical name or short name referencing.
LN_NAME, SN_NAME = 0x0007, 0xFA00

#: The smallest PDU that any service fits in.
LEAST_PDU = 12

_READING_REQUEST = "reading the InitiateRequest"
_READING_RESPONSE = "reading the InitiateResponse"

#: ServiceError and its values, IEC 62056-5-3 clause 8.
_SERVICE_ERRORS: dict[int, tuple[str, tuple[str, ...]]] = {
    0: (
        "application-reference",
        (
            "other",
            "time-elapsed",
            "application-unreachable",
            "application-reference-invalid",
            "application-context-unsupported",
            "provider-communication-error",
            "deciphering-error",
        ),
    ),
    1: (
        "hardware-resource",
        (
            "other",
            "memory-unavailable",
            "processor-resource-unavailable",
            "mass-storage-unavailable",
            "other-resource-unavailable",
        ),
    ),
    2: ("vde-state-error", ("other", "no-dlms-context", "loading-data-set", "status-nochange",
                            "status-inoperable")),
    3: ("service", ("other", "pdu-size", "service-unsupported")),
    4: ("definition", ("other", "object-undefined", "object-class-inconsistent",
                       "object-attribute-inconsistent")),
    5: ("access", ("other", "scope-of-access-violated", "object-access-violated",
                   "hardware-fault", "object-unavailable")),
    6: ("initiate", ("other", "dlms-version-too-low", "incompatible-conformance",
                     "pdu-size-too-short", "refused-by-the-vde-handler")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What a client proposes; `dedicated_key` for this association is sent only ciphered."""

    conformance: frozenset[str]
    max_pdu: int
    dedicated_key: bytes | None = field(default=None, repr=False)
    dlms_version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """Write the A-XDR form; response-allowed and quality of service keep their defaults."""
        key = self.dedicated_key
        return (
            bytes([INITIATE_REQUEST])
            + (b"\x00" if key is None else b"\x01" + encode_length(len(key)) + key)
            + bytes([0, 0, self.dlms_version])
            + _encode_conformance(self.conformance)
            + self.max_pdu.to_bytes(2, "big")
        )

    @classmethod
    def parse(cls, apdu: bytes) -> InitiateRequest:
        """Read the A-XDR form. Raises ProtocolError."""
        reader = _Reader(apdu, _READING_REQUEST)
        reader.expect(INITIATE_REQUEST)
        key = reader.content() if reader.optional() else None
        if reader.optional():
            reader.octet()  # response-allowed
        if reader.optional():
            reader.octet()  # quality of service
        version, services, size = reader.octet(), reader.conformance(), reader.unsigned16()
        reader.end()
        return cls(services, size, key, version)


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What a meter agrees to; `max_pdu` is the largest PDU it receives, in octets (0: no limit)."""

    conformance: frozenset[str]
    max_pdu: int
    vaa_name: int = LN_NAME
    dlms_version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """Write the A-XDR form."""
        return (
            bytes([INITIATE_RESPONSE, 0, self.dlms_version])
            + _encode_conformance(self.conformance)
            + self.max_pdu.to_bytes(2, "big")
            + self.vaa_name.to_bytes(2, "big")
        )

    @classmethod
    def parse(cls, apdu: bytes) -> InitiateResponse:
        """Read the A-XDR form. Raises ProtocolError."""
        reader = _Reader(apdu, _READING_RESPONSE)
        reader.expect(INITIATE_RESPONSE)
        if reader.optional():
            reader.octet()  # quality of service
        version, services = reader.octet(), reader.conformance()
        size, name = reader.unsigned16(), reader.unsigned16()
        reader.end()
        return cls(services, size, name, version)


def describe_service_error(apdu: bytes) -> str:
    """Put a ConfirmedServiceError into words. Raises ProtocolError for any other APDU."""
    if len(apdu) != 4 or apdu[0] != CONFIRMED_SERVICE_ERROR:
        raise ProtocolError("reading a ConfirmedServiceError", f"{apdu[:16].hex(' ')} is none")
    group, names = _SERVICE_ERRORS.get(apdu[2], (f"service error {apdu[2]}", ()))
    value = apdu[3]
    return f"{group}: {names[value] if value < len(names) else value}"


def _encode_conformance(services: frozenset[str]) -> bytes:
    # [APPLICATION 31] has a tag of two octets; the bit string has no unused bits.
    return b"\x5f" + encode_field(0x1F, b"\x00" + encode_conformance(services))


class _Reader:
    """Sequential reader of an APDU; every step raises ProtocolError if it ends too early."""

    def __init__(self, apdu: bytes, doing: str) -> None:
        self._apdu, self._doing, self._at = apdu, doing, 0

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._apdu):
            raise ProtocolError(self._doing, f"cut short after {len(self._apdu)} octets")
        self._at += count
        return self._apdu[self._at - count : self._at]

    def octet(self) -> int:
        return self._take(1)[0]

    def unsigned16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def expect(self, octet: int) -> None:
        found = self.octet()
        if found != octet:
            raise ProtocolError(self._doing, f"begins with {found:02X} instead of {octet:02X}")

    def optional(self) -> bool:
        flag = self.octet()
        if flag > 1:
            raise ProtocolError(self._doing, f"{flag:02X} is no usage flag")
        return flag == 1

    def content(self) -> bytes:
        data, self._at = decode_content(self._apdu, self._at, self._doing)
        return data

    def conformance(self) -> frozenset[str]:
        self.expect(0x5F)
        # Some meters write the tag in one octet, as early editions of the standard did.
        if self._apdu[self._at : self._at + 1] == b"\x1f":
            self.octet()
        octets = self.content()
        if len(octets) != 4 or octets[0]:
            raise ProtocolError(self._doing, "the conformance block does not have 24 bits")
        return decode_conformance(octets[1:])

    def end(self) -> None:
        if self._at != len(self._apdu):
            raise ProtocolError(self._doing, f"{len(self._apdu) - self._at} octets too many")
