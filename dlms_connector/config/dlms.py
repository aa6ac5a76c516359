"""How to talk to a meter: framing, addresses, authentication, keys, and its quirks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dlms_connector.config.base import Model
from dlms_connector.config.secret import KeyBytes, Password
from dlms_connector.config.types import (
    AddressSize,
    Baudrate,
    Formula,
    HexBytes,
    ObisCode,
    SecuritySuite,
    SignOnAddress,
    TimeZone,
    Truth,
    Whole,
)

InterfaceType = Literal["HDLC", "WRAPPER", "HDLC_WITH_MODE_E"]
Authentication = Literal[
    "NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA"
]
Security = Literal["NONE", "AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION"]
Standard = Literal["DLMS", "INDIA", "ITALY", "SAUDI_ARABIA", "IDIS", "SPAIN"]
DateTimeField = Literal["deviation", "status", "dayOfWeek", "hundredths"]

#: Keys whose values nobody else may see.
SECRET_KEYS = ("password", "authenticationKey", "blockCipherKey", "dedicatedKey", "signingKey")


class ModeE(Model):
    """The sign-on of HDLC_WITH_MODE_E (IEC 62056-21 mode E)."""

    address: SignOnAddress = Field(
        default="",
        description="the meter's device address in `/?address!`; empty asks whoever is there",
    )
    start_baudrate: Baudrate = Field(default=300, description="bits per second of the sign-on, 7E1")
    max_baudrate: Baudrate | None = Field(
        default=None,
        description="highest rate to change to; what the meter proposes where left out",
    )


Deviation = Literal["toUtc", "fromUtc"]
#: Standards in which the deviation is minutes *from* UTC: +330 is UTC+5:30. With the others
#: it is minutes *to* UTC: -60 is UTC+1.
_FROM_UTC: frozenset[Standard] = frozenset({"INDIA", "ITALY", "SAUDI_ARABIA"})


class Dlms(Model):
    """How to talk to a meter: framing, addresses, authentication and keys."""

    interface_type: InterfaceType = Field(
        default="HDLC",
        description="the framing; where left out, `WRAPPER` on udp and `HDLC` elsewhere",
    )
    mode_e: ModeE = Field(
        default=ModeE(), alias="modeE", description="the sign-on of HDLC_WITH_MODE_E"
    )
    referencing: Literal["LN", "SN"] = Field(
        default="LN", description="logical names, or the short names of older meters"
    )
    client_address: Whole = Field(
        default=16, ge=1, le=127, description="who we are to the meter: 16 is the public client"
    )
    logical_address: Whole = Field(
        default=1,
        ge=0,
        le=65535,
        description="logical device (0 to 16383 with HDLC); WRAPPER's only one",
    )
    physical_address: Whole = Field(
        default=1, ge=0, le=16383, description="physical device on an HDLC line; WRAPPER has none"
    )
    address_size: AddressSize | None = Field(
        default=None,
        description="octets of the HDLC server address; chosen by value where left out",
    )
    serial_number: Whole | None = Field(
        default=None,
        ge=0,
        description="computes the physical address from the meter's serial number",
    )
    serial_number_formula: Formula | None = Field(
        default=None, description="how, such as `SN % 10000 + 1000`; `SN % 10000` where left out"
    )
    authentication: Authentication = Field(default="NONE", description="how we prove who we are")
    password: Password | None = Field(
        default=None, description="the secret of LOW and HIGH: text, `hex:…`, or a reference"
    )
    system_title: HexBytes | None = Field(
        default=None, description="our system title: 8 bytes in hex, needed for ciphering"
    )
    server_system_title: HexBytes | None = Field(
        default=None, description="the meter's system title, where it does not say it itself"
    )
    authentication_key: KeyBytes | None = Field(
        default=None, description="authentication key in hex, or a reference"
    )
    block_cipher_key: KeyBytes | None = Field(
        default=None, description="global unicast encryption key in hex, or a reference"
    )
    dedicated_key: KeyBytes | None = Field(
        default=None, description="dedicated key of the association in hex, or a reference"
    )
    general_ciphering: Truth = Field(
        default=False, description="propose general protection, and cipher with it where agreed"
    )
    signing_key: KeyBytes | None = Field(
        default=None,
        description="our private signing key in hex, or a reference: HIGH_ECDSA, `sign`",
    )
    server_signing_key: HexBytes | None = Field(
        default=None, description="the meter's public signing key in hex: its two coordinates"
    )
    security: Security = Field(default="NONE", description="how messages are protected")
    security_suite: SecuritySuite = Field(
        default=0, description="suites 0 and 1 take keys of 16 bytes, suite 2 of 32"
    )
    invocation_counter: ObisCode | None = Field(
        default=None,
        description="the counter's object, read through the public client before the first "
        "ciphered association",
    )
    standard: Standard = Field(
        default="DLMS", description="the national or industry profile followed"
    )
    deviation: Deviation | None = Field(
        default=None,
        description="whether its clock tells the minutes `toUtc` (-60 is UTC+1) or `fromUtc`; "
        "as the standard has it where left out",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="where its clock ticks if it does not tell: `Europe/Berlin`, `+01:00`",
    )

    @property
    def deviation_from_utc(self) -> bool:
        """Whether the deviation of a date-time is minutes from UTC instead of to UTC."""
        if self.deviation is not None:
            return self.deviation == "fromUtc"
        return self.standard in _FROM_UTC


class Workarounds(Model):
    """Quirks of a meter, as data."""

    pause_after_connect_ms: Whole = Field(
        default=0, ge=0, le=60_000, description="wait after the connection is made"
    )
    pause_before_disconnect_ms: Whole = Field(
        default=0, ge=0, le=60_000, description="wait before the session is ended"
    )
    pause_between_frames_ms: Whole = Field(
        default=0, ge=0, le=10_000, description="wait between a reply and the next request"
    )
    quiet_after_failure_ms: Whole = Field(
        default=0, ge=0, le=600_000, description="quiet the meter wants after an unclean end"
    )
    inactivity_timeout_ms: Whole | None = Field(
        default=None,
        ge=0,
        le=86_400_000,
        description="after so much silence the meter drops an association, 0 is never; 120 s with "
        "HDLC and 180 s with WRAPPER where left out. Earlier losses are learned by the way",
    )
    release: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether an RLRQ is sent: `auto` where the association needs one",
    )
    pre_established: Truth = Field(
        default=False, description="the association exists already: neither AARQ nor RLRQ is sent"
    )
    skip_snrm: Truth = Field(default=False, description="the meter expects no SNRM")
    max_info_transmit: Whole | None = Field(
        default=None, ge=32, le=2030, description="longest HDLC information field we send"
    )
    max_info_receive: Whole | None = Field(
        default=None, ge=32, le=2030, description="longest HDLC information field we accept"
    )
    window_transmit: Whole | None = Field(
        default=None,
        ge=1,
        le=7,
        description="HDLC frames we propose to send before an acknowledgement",
    )
    window_receive: Whole | None = Field(
        default=None,
        ge=1,
        le=7,
        description="HDLC frames we propose to receive before we acknowledge",
    )
    max_pdu: Whole = Field(
        default=0xFFFF, ge=12, le=0xFFFF, description="longest APDU we offer to accept"
    )
    challenge_size: Whole = Field(default=16, ge=8, le=64, description="bytes of our challenge")
    counter_from_one: Truth = Field(
        default=False,
        description="count invocations from 1 in each association, as some servers demand; "
        "ciphers more than once with the same numbers, which protects nothing from a listener",
    )
    server_counter_restarts: Truth = Field(
        default=False,
        description="believe a meter whose own invocation counter begins anew in each association "
        "without HIGH authentication; somebody could play its old answers to us",
    )
    sign: Literal["never", "handshake", "always"] = Field(
        default="never",
        description="wrap in general-signing: nothing, only what proves who we are, every request",
    )
    sign_outside: Truth = Field(
        default=False, description="put the signature around the ciphering, not inside it"
    )
    fixed_invoke_id: Whole | None = Field(
        default=None,
        ge=0,
        le=15,
        description="use this invoke-id in every request; none is then sent twice with WRAPPER, "
        "where nothing else tells answers apart",
    )
    use_access: Truth = Field(
        default=False,
        description="propose the ACCESS service, and read lists by it where it is agreed on",
    )
    single_reads: Truth = Field(
        default=False, description="never read several attributes in one request"
    )
    skip_date_time_fields: tuple[DateTimeField, ...] = Field(
        default=(), description="fields left unspecified in the dates of a request"
    )
