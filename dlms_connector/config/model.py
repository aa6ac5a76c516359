"""The configuration as frozen values: the defaults here are the documentation.

Names in JSON are camelCase, in the gateway's vocabulary. An unknown key is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dlms_connector.config.secret import SecretBytes
from dlms_connector.config.types import AttributeIndex, ClassId, HexBytes, ObisCode


class Model(BaseModel):
    """What all sections share: frozen, strict about keys, camelCase outside."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


InterfaceType = Literal["HDLC", "WRAPPER", "HDLC_WITH_MODE_E"]
KeepOpen = Literal["auto"] | bool


class TcpConnection(Model):
    """A meter, or a converter with meters behind it, that listens on TCP."""

    type: Literal["tcp"] = "tcp"
    host: str = Field(min_length=1)
    port: int = Field(4059, ge=1, le=65535)
    timeout_ms: int = Field(5000, ge=50, le=300_000, description="time for one reply, in ms")
    connect_timeout_ms: int = Field(10_000, ge=50, le=300_000)
    retries: int = Field(2, ge=0, le=10, description="how often a request is repeated")
    keep_open: KeepOpen = "auto"

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"tcp://{self.host}:{self.port}"


class UdpConnection(Model):
    """A meter that answers datagrams (WRAPPER only)."""

    type: Literal["udp"]
    host: str = Field(min_length=1)
    port: int = Field(4059, ge=1, le=65535)
    timeout_ms: int = Field(5000, ge=50, le=300_000)
    connect_timeout_ms: int = Field(10_000, ge=50, le=300_000)
    retries: int = Field(2, ge=0, le=10)
    keep_open: KeepOpen = "auto"

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"udp://{self.host}:{self.port}"


class SerialConnection(Model):
    """Meters on a serial port of the gateway's host."""

    type: Literal["serial"]
    port: str = Field(min_length=1)
    baudrate: int = Field(9600, ge=110, le=4_000_000)
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_ms: int = Field(5000, ge=50, le=300_000)
    connect_timeout_ms: int = Field(10_000, ge=50, le=300_000)
    retries: int = Field(2, ge=0, le=10)
    keep_open: KeepOpen = "auto"

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"serial:{self.port}"


Connection = Annotated[
    TcpConnection | UdpConnection | SerialConnection, Field(discriminator="type")
]

Authentication = Literal[
    "NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA"
]
Security = Literal["NONE", "AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION"]
Standard = Literal["DLMS", "INDIA", "ITALY", "SAUDI_ARABIA", "IDIS", "SPAIN"]


class Dlms(Model):
    """How to talk to a meter: framing, addresses, authentication and keys."""

    interface_type: InterfaceType = "HDLC"
    referencing: Literal["LN", "SN"] = "LN"
    client_address: int = Field(16, ge=1, le=127)
    logical_address: int = Field(1, ge=0, le=16383)
    physical_address: int = Field(1, ge=0, le=16383)
    address_size: Literal[1, 2, 4] | None = None
    serial_number: int | None = Field(None, ge=0)
    serial_number_formula: str | None = None
    authentication: Authentication = "NONE"
    password: SecretBytes | None = None
    system_title: HexBytes | None = None
    server_system_title: HexBytes | None = None
    authentication_key: SecretBytes | None = None
    block_cipher_key: SecretBytes | None = None
    dedicated_key: SecretBytes | None = None
    security: Security = "NONE"
    security_suite: Literal[0, 1, 2] = 0
    invocation_counter: ObisCode | None = None
    standard: Standard = "DLMS"


class Item(Model):
    """One attribute of a COSEM object, and the key it is sent under."""

    key: str = Field(min_length=1)
    obis: ObisCode
    class_id: ClassId = Field(3, alias="class")
    attribute: AttributeIndex = 2
    scaler: int | None = Field(None, ge=-128, le=127)
    unit: str | None = None
    multiplier: Any = None
    decimals: int | None = Field(None, ge=0, le=15)
    poll_period_ms: int | None = Field(None, ge=100, alias="pollPeriod")
    report_strategy: dict[str, Any] | None = None


class Profile(Model):
    """A load profile, billing profile or event log to follow."""

    obis: ObisCode
    key: str | None = None
    backfill: str | None = Field(None, description="ISO 8601 duration, such as P7D")
    poll_period_ms: int | None = Field(None, ge=1000, alias="pollPeriod")


class AttributeUpdate(Model):
    """A shared attribute of the platform that is written to the meter."""

    key: str = Field(min_length=1)
    obis: ObisCode
    class_id: ClassId = Field(3, alias="class")
    attribute: AttributeIndex = 2
    type: str | None = None
    scaler: int | None = Field(None, ge=-128, le=127)


class RpcMethod(Model):
    """A method that the platform may call on the device."""

    method: str = Field(min_length=1)
    request_type: Literal["get", "set", "action", "profile"] = "get"
    obis: ObisCode
    class_id: ClassId = Field(3, alias="class")
    attribute: AttributeIndex = 2
    method_index: int | None = Field(None, ge=1, le=127)
    type: str | None = None
    value: Any = None
    scaler: int | None = Field(None, ge=-128, le=127)
    request_timeout_ms: int | None = Field(None, ge=100, alias="requestTimeout")


DateTimeField = Literal["deviation", "status", "dayOfWeek", "hundredths"]


class Workarounds(Model):
    """Quirks of a meter, as data."""

    pause_after_connect_ms: int = Field(0, ge=0, le=60_000)
    pause_before_disconnect_ms: int = Field(0, ge=0, le=60_000)
    pause_between_frames_ms: int = Field(0, ge=0, le=10_000)
    quiet_after_failure_ms: int = Field(
        0, ge=0, le=600_000, description="quiet the meter wants after an unclean end"
    )
    release: Literal["auto", "always", "never"] = "auto"
    pre_established: bool = False
    skip_snrm: bool = False
    max_info_transmit: int | None = Field(None, ge=32, le=2030)
    max_info_receive: int | None = Field(None, ge=32, le=2030)
    max_pdu: int = Field(0xFFFF, ge=12, le=0xFFFF)
    challenge_size: int = Field(16, ge=8, le=64)
    fixed_invoke_id: int | None = Field(None, ge=0, le=15)
    single_reads: bool = Field(False, description="never GET-with-list")
    skip_date_time_fields: tuple[DateTimeField, ...] = ()


class Device(Model):
    """A meter: where it is, how to talk to it, and what to read from it."""

    device_name: str = Field(min_length=1)
    device_type: str = "DLMS Energy Meter"
    template: str | None = None
    connection: Connection
    dlms: Dlms = Dlms()
    poll_period_ms: int = Field(60_000, ge=100, alias="pollPeriod")
    report_strategy: dict[str, Any] | None = None
    attributes: tuple[Item, ...] = ()
    timeseries: tuple[Item, ...] = ()
    profiles: tuple[Profile, ...] = ()
    attribute_updates: tuple[AttributeUpdate, ...] = ()
    server_side_rpc: tuple[RpcMethod, ...] = ()
    uplink_converter: str | None = None
    downlink_converter: str | None = None
    allow_write: bool | tuple[ObisCode, ...] = False
    workarounds: Workarounds = Workarounds()


class Configuration(Model):
    """A whole `dlms.json` whose good devices are in force."""

    devices: tuple[Device, ...] = ()
    report_strategy: dict[str, Any] | None = None
    state_directory: str | None = None
    diagnostics_period_ms: int = Field(60_000, ge=0, alias="diagnosticsPeriod")
