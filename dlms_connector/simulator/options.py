"""The options of a simulated meter: its addresses, its secrets, its capabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Framing = Literal["HDLC", "WRAPPER", "HDLC_WITH_MODE_E", "IEC_62056_21"]
Authentication = Literal[
    "NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA"
]
Security = Literal["NONE", "AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION"]

#: Conformance bits by name (IEC 62056-5-3, Conformance); bit 0 is the most significant of 24. The
#: table in `protocol` is not used here on purpose: an error in it would go unnoticed.
CONFORMANCE_BITS = {
    "general-protection": 1,
    "general-block-transfer": 2,
    "read": 3,
    "write": 4,
    "unconfirmed-write": 5,
    "attribute0-supported-with-set": 8,
    "priority-mgmt-supported": 9,
    "attribute0-supported-with-get": 10,
    "block-transfer-with-get-or-read": 11,
    "block-transfer-with-set-or-write": 12,
    "block-transfer-with-action": 13,
    "multiple-references": 14,
    "information-report": 15,
    "data-notification": 16,
    "access": 17,
    "parameterized-access": 18,
    "get": 19,
    "set": 20,
    "selective-access": 21,
    "event-notification": 22,
    "action": 23,
}
_BLOCKS = (
    "block-transfer-with-get-or-read",
    "block-transfer-with-set-or-write",
    "multiple-references",
)
LN_SERVICES = frozenset(
    {*_BLOCKS, "block-transfer-with-action", "get", "set", "action", "selective-access"}
    | {"access", "general-protection"}
)
SN_SERVICES = frozenset((*_BLOCKS, "read", "write", "parameterized-access"))

#: The default keys are the public examples of the Green Book: only for tests, not for meters.
EXAMPLE_AUTHENTICATION_KEY = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
EXAMPLE_BLOCK_CIPHER_KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
EXAMPLE_KEY_256 = bytes(range(32))


@dataclass(kw_only=True)
class MeterOptions:
    """The options of a simulated meter, with their defaults.

    `signed_requests` requires a general-signing APDU for every service request.
    `skip_snrm` is for a meter that needs no SNRM, `pre_established` for one that needs no AARQ.
    Without keys of their own, meter and client sign with the keys of `example_keys`.
    `hold_at` holds measured values at an instant (seconds since 1970); the clock still runs.
    `now` is the source of the time: a test passes its own. `recording` are APDUs and their answers
    to serve instead of objects.
    """

    profile: Literal["household", "microstar"] = "household"
    framing: Framing = "HDLC"
    referencing: Literal["LN", "SN"] = "LN"
    serial: int = 1
    client_address: int = 16
    logical_address: int = 1
    physical_address: int = 1
    authentication: Authentication = "NONE"
    password: bytes = field(default=b"12345678", repr=False)
    security: Security = "NONE"
    security_suite: Literal[0, 1, 2] = 0
    system_title: bytes = b""
    client_title: bytes = b""
    authentication_key: bytes = field(default=EXAMPLE_AUTHENTICATION_KEY, repr=False)
    block_cipher_key: bytes = field(default=EXAMPLE_BLOCK_CIPHER_KEY, repr=False)
    invocation_counter: int = -1
    signing_key: Any = field(default=None, repr=False)
    client_verifying_key: Any = field(default=None, repr=False)
    services: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    max_pdu: int = 0xFFFF
    max_info: int = 128
    window: int = 1
    pre_established: bool = False
    skip_snrm: bool = False
    signed_requests: bool = False
    utc_offset_minutes: int = 0
    time_zone_sign: Literal[-1, 1] = -1
    profile_days: int = 60
    hold_at: float | None = None
    now: Callable[[], float] | None = None
    monotonic: Callable[[], float] | None = None
    overrides: Mapping[str, Any] | None = None
    recording: Sequence[tuple[bytes, bytes | None]] | None = None
    faults: Mapping[str, float] | Iterable[str] = ()

    def offered_services(self) -> int:
        """Return the conformance bits that the meter offers."""
        default = SN_SERVICES if self.referencing == "SN" else LN_SERVICES
        if self.profile == "microstar":
            default -= {"multiple-references"}
        names = (default if self.services is None else self.services) - self.without
        return conformance(names)

    def title(self) -> bytes:
        """Return the system title: three letters of the manufacturer and the serial number."""
        return self.system_title or b"SIM" + self.serial.to_bytes(5, "big")


def conformance(names: Iterable[str]) -> int:
    """Return the 24 conformance bits as a number."""
    bits = 0
    for name in names:
        bits |= 1 << (23 - CONFORMANCE_BITS[name])
    return bits


#: The Microstar meter ends an idle association after three minutes.
MICROSTAR_FAULTS: Mapping[str, float] = {"inactivity": 180}


def microstar(serial: int = 1, **changes: Any) -> MeterOptions:
    """Return the options of a meter like that of a Microstar installation.

    HDLC, client address 1, logical address 0, physical address 1, a password of ten times "2",
    values held at those read from that meter, no GET-with-list. The association ends after
    180 s without a request.
    """
    defaults: dict[str, Any] = {
        "profile": "microstar",
        "client_address": 1,
        "logical_address": 0,
        "physical_address": 1,
        "authentication": "LOW",
        "password": b"2222222222",
        "hold_at": 0.0,
        "faults": MICROSTAR_FAULTS,
    }
    return MeterOptions(serial=serial, **(defaults | changes))
