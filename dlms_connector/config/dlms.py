"""Framing, addresses, authentication and keys of a meter, and workarounds for it."""

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

InterfaceType = Literal["HDLC", "WRAPPER", "HDLC_WITH_MODE_E", "IEC_62056_21"]
Authentication = Literal[
    "NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA"
]
Security = Literal["NONE", "AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION"]
Standard = Literal["DLMS", "INDIA", "ITALY", "SAUDI_ARABIA", "IDIS", "SPAIN"]
DateTimeField = Literal["deviation", "status", "dayOfWeek", "hundredths"]

#: Keys whose values are secret.
SECRET_KEYS = (
    *("password", "authenticationKey", "blockCipherKey", "broadcastKey", "dedicatedKey"),
    "signingKey",
)


class ModeE(Model):
    """The sign-on of HDLC_WITH_MODE_E and IEC_62056_21 (IEC 62056-21)."""

    address: SignOnAddress = Field(
        default="",
        description="the meter's device address in `/?address!`; empty addresses any meter",
    )
    start_baudrate: Baudrate = Field(default=300, description="bits per second of the sign-on, 7E1")
    max_baudrate: Baudrate | None = Field(
        default=None,
        description="highest baud rate to change to; if not set, the rate the meter proposes",
    )


Deviation = Literal["toUtc", "fromUtc"]
#: Standards in which the deviation is minutes *from* UTC: +330 is UTC+5:30. With the others
#: it is minutes *to* UTC: -60 is UTC+1.
_FROM_UTC: frozenset[Standard] = frozenset({"INDIA", "ITALY", "SAUDI_ARABIA"})


class Dlms(Model):
    """Framing, addresses, authentication and keys of a meter."""

    interface_type: InterfaceType = Field(
        default="HDLC",
        description="the framing; if not set, `WRAPPER` with udp and `HDLC` otherwise. "
        "`IEC_62056_21` is no DLMS: the meter is read out as text (modes A to E)",
    )
    mode_e: ModeE = Field(
        default=ModeE(),
        alias="modeE",
        description="the sign-on of HDLC_WITH_MODE_E and IEC_62056_21",
    )
    referencing: Literal["LN", "SN"] = Field(
        default="LN", description="logical names (LN), or the short names (SN) of older meters"
    )
    client_address: Whole = Field(
        default=16, ge=1, le=127, description="client address; 16 is the public client"
    )
    logical_address: Whole = Field(
        default=1,
        ge=0,
        le=65535,
        description="logical device address (0 to 16383 with HDLC); the server address of WRAPPER",
    )
    physical_address: Whole = Field(
        default=1,
        ge=0,
        le=16383,
        description="physical device address on an HDLC line; not used by WRAPPER",
    )
    address_size: AddressSize | None = Field(
        default=None,
        description="octets of the HDLC server address; if not set, as few as the addresses need",
    )
    serial_number: Whole | None = Field(
        default=None,
        ge=0,
        description="the meter's serial number, from which the physical address is computed",
    )
    serial_number_formula: Formula | None = Field(
        default=None,
        description="address formula, such as `SN % 10000 + 1000`; if not set, `SN % 10000`",
    )
    authentication: Authentication = Field(default="NONE", description="authentication mechanism")
    password: Password | None = Field(
        default=None,
        description="password of LOW, or secret of HIGH: text, `hex:…`, or a reference",
    )
    system_title: HexBytes | None = Field(
        default=None, description="the client's system title: 8 bytes in hex, needed for ciphering"
    )
    server_system_title: HexBytes | None = Field(
        default=None, description="the meter's system title in hex, if the meter does not send it"
    )
    authentication_key: KeyBytes | None = Field(
        default=None, description="authentication key in hex, or a reference"
    )
    block_cipher_key: KeyBytes | None = Field(
        default=None, description="global unicast encryption key in hex, or a reference"
    )
    broadcast_key: KeyBytes | None = Field(
        default=None,
        description="global broadcast encryption key in hex, or a reference: some meters push with "
        "it",
    )
    dedicated_key: KeyBytes | None = Field(
        default=None, description="dedicated key of the association in hex, or a reference"
    )
    general_ciphering: Truth = Field(
        default=False,
        description="propose general protection, and cipher with it if the meter agrees",
    )
    signing_key: KeyBytes | None = Field(
        default=None,
        description="the client's private signing key in hex, or a reference; for HIGH_ECDSA and "
        "`sign`",
    )
    server_signing_key: HexBytes | None = Field(
        default=None, description="the meter's public signing key in hex: its two coordinates"
    )
    security: Security = Field(default="NONE", description="how APDUs are protected")
    security_suite: SecuritySuite = Field(
        default=0, description="suites 0 and 1 take keys of 16 bytes, suite 2 of 32"
    )
    invocation_counter: ObisCode | None = Field(
        default=None,
        description="object of the invocation counter, which the public client reads before the "
        "first ciphered association",
    )
    standard: Standard = Field(
        default="DLMS", description="the national or industry profile that the meter follows"
    )
    deviation: Deviation | None = Field(
        default=None,
        description="whether the deviation of the meter's clock is in minutes `toUtc` (-60 is "
        "UTC+1) or `fromUtc` (60 is UTC+1); if not set, as `standard` defines it",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="time zone of the meter's clock, if its date-times have no deviation: "
        "`Europe/Berlin`, or a fixed offset such as `+01:00` if it keeps standard time all year",
    )

    @property
    def deviation_from_utc(self) -> bool:
        """Whether the deviation of a date-time is minutes from UTC instead of to UTC."""
        if self.deviation is not None:
            return self.deviation == "fromUtc"
        return self.standard in _FROM_UTC


class Workarounds(Model):
    """Settings for a meter that deviates from the standard."""

    pause_after_connect_ms: Whole = Field(
        default=0, ge=0, le=60_000, description="ms to wait after the connection is established"
    )
    pause_before_disconnect_ms: Whole = Field(
        default=0, ge=0, le=60_000, description="ms to wait before the session is ended"
    )
    pause_between_frames_ms: Whole = Field(
        default=0, ge=0, le=10_000, description="ms to wait between a reply and the next request"
    )
    quiet_after_failure_ms: Whole = Field(
        default=0,
        ge=0,
        le=600_000,
        description="ms to wait before the next session if the last one was not ended properly",
    )
    clear_first: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether a session that may be open is ended before the meter is connected, by "
        "DISC (WRAPPER: RLRQ); with `auto`, after a session broke or a connect failed, as the "
        "meter has shown to need",
    )
    inactivity_timeout_ms: Whole | None = Field(
        default=None,
        ge=0,
        le=86_400_000,
        description="ms of silence after which the meter drops an association; 0 is never; if not "
        "set, 120 s with HDLC and 180 s with WRAPPER. Shorter timeouts are learned in operation",
    )
    release: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether an RLRQ is sent; with `auto`, if the association needs one",
    )
    pre_established: Truth = Field(
        default=False, description="the association exists already: neither AARQ nor RLRQ is sent"
    )
    skip_snrm: Truth = Field(default=False, description="the meter expects no SNRM")
    connectionless: Truth = Field(
        default=False,
        description="send APDUs in HDLC UI frames, for a meter that rejects I frames (FRMR); "
        "together with `skipSnrm` without SNRM",
    )
    uncounted_frames: Truth = Field(
        default=False,
        description="take HDLC frames in the order in which they come, for a meter whose frames "
        "have wrong numbers; no request is then repeated",
    )
    wrapper_byte_order: Literal["big", "little", "littleReplies"] = Field(
        default="big",
        description="order of the octets in the fields of the WRAPPER header; `big` is the "
        "standard's; with `littleReplies` only the meter's frames have the other one",
    )
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
    challenge_size: Whole = Field(
        default=16, ge=8, le=64, description="length of the client's challenge, in bytes"
    )
    counter_from_one: Truth = Field(
        default=False,
        description="start the invocation counter at 1 in each association, as some servers "
        "demand; the counter values repeat, so ciphering gives no protection against a listener",
    )
    server_counter_restarts: Truth = Field(
        default=False,
        description="accept a meter that restarts its own invocation counter in each association "
        "without HIGH authentication; an attacker could replay its old answers",
    )
    authenticated_replies: Literal["never", "handshake", "always"] = Field(
        default="never",
        description="which replies may be authenticated without being encrypted, although both "
        "were agreed: none, the meter's own proof in HIGH authentication (pass 4), or all; whoever "
        "listens can read these replies, but cannot forge them",
    )
    sign: Literal["never", "handshake", "always"] = Field(
        default="never",
        description="what to wrap in general-signing: nothing, only the request that authenticates "
        "the client, or every request",
    )
    sign_outside: Truth = Field(
        default=False, description="sign the ciphered APDU, instead of ciphering the signed APDU"
    )
    fixed_invoke_id: Whole | None = Field(
        default=None,
        ge=0,
        le=15,
        description="use this invoke-id in every request; with WRAPPER no request is then "
        "repeated, because only the invoke-id tells answers apart",
    )
    use_access: Truth = Field(
        default=False,
        description="propose the ACCESS service, and read lists with it if the meter agrees",
    )
    single_reads: Truth = Field(
        default=False, description="never read several attributes in one request"
    )
    skip_date_time_fields: tuple[DateTimeField, ...] = Field(
        default=(), description="fields to leave unspecified in the date-times of a request"
    )
