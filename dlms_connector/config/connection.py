"""The kinds of connection to a meter: tcp, udp, serial, listen and push."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dlms_connector.config.base import Model
from dlms_connector.config.types import (
    Address,
    DataBits,
    HexBytes,
    Host,
    KeepOpen,
    LineText,
    Network,
    ObisCode,
    StopBits,
    Whole,
)
from dlms_connector.obis import Obis

#: Values of `type`. In pydantic's locations they are steps that do not name a key.
CONNECTION_KINDS = ("tcp", "udp", "serial", "listen", "push")

_HOST = "host name or IP address of the meter, or of the converter in front of it"

TimeoutMs = Annotated[
    Whole,
    Field(
        ge=50,
        le=300_000,
        description="timeout for one reply, in ms; slow meters behind converters need more",
    ),
]
ConnectTimeoutMs = Annotated[
    Whole,
    Field(ge=50, le=300_000, description="timeout for establishing the connection, in ms"),
]
Retries = Annotated[
    Whole,
    Field(ge=0, le=10, description="how often a request is repeated when no reply comes"),
]
Keeping = Annotated[
    KeepOpen,
    Field(
        description="`auto` keeps the association open if the next poll comes before the meter's "
        "inactivity timeout, and releases it otherwise; `true` keeps it open, unless the meter is "
        "known to drop it; `false` never keeps it open"
    ),
]
GroupName = Annotated[
    str | None,
    Field(
        description="an entry of the top level `groups`: connections that share something, such as "
        "a pool of modems; meters of one endpoint have the same"
    ),
]
#: Device ID 1 (IEC 62056-6-1): the serial number that the manufacturer gave to the meter.
_SERIAL_NUMBER = Obis.parse("0-0:96.1.0")


class ConnectionGroup(Model):
    """Connections that share something of which there is not enough for all at once."""

    max_concurrent: Whole = Field(
        ge=1,
        le=10_000,
        description="how many connections of the group may be open at once; the others wait for "
        "their turn, and one that is only kept open gives way",
    )


class _IpConnection(Model):
    """A meter, or a converter with meters behind it, that waits at an IP address."""

    type: str
    host: Host = Field(min_length=1, description=_HOST)
    port: Whole = Field(default=4059, ge=1, le=65535, description="TCP or UDP port")
    timeout_ms: TimeoutMs = 5000
    connect_timeout_ms: ConnectTimeoutMs = 10_000
    retries: Retries = 2
    keep_open: Keeping = "auto"
    group: GroupName = None

    @property
    def endpoint(self) -> str:
        """The name of the line, equal for all devices on it."""
        return f"{self.type}://{self.host.lower()}:{self.port}"


class TcpConnection(_IpConnection):
    """A meter, or a converter with meters behind it, that listens on TCP."""

    type: Literal["tcp"] = Field(default="tcp", description="the kind of connection")


class UdpConnection(_IpConnection):
    """A meter that answers datagrams (WRAPPER only)."""

    type: Literal["udp"] = Field(description="the kind of connection")


class SerialConnection(Model):
    """Meters on a serial port of the gateway's host."""

    type: Literal["serial"] = Field(description="the kind of connection")
    port: str = Field(min_length=1, description="the serial port, such as `/dev/ttyUSB0`")
    baudrate: Whole = Field(default=9600, ge=110, le=4_000_000, description="bits per second")
    bytesize: DataBits = Field(default=8, description="data bits")
    parity: Literal["N", "E", "O"] = Field(default="N", description="none, even or odd parity")
    stopbits: StopBits = Field(default=1, description="stop bits")
    timeout_ms: TimeoutMs = 5000
    connect_timeout_ms: ConnectTimeoutMs = 10_000
    retries: Retries = 2
    keep_open: Keeping = "auto"
    group: GroupName = None

    @property
    def endpoint(self) -> str:
        """The name of the line, equal for all devices on it."""
        return f"serial:{self.port}"


class ListenConnection(Model):
    """A meter that dials in: the connector listens, and identifies the caller by one key."""

    type: Literal["listen"] = Field(description="the kind of connection")
    host: str = Field(
        default="0.0.0.0",  # noqa: S104
        min_length=1,
        description="local address to listen on; `::` for IPv6",
    )
    port: Whole = Field(default=4059, ge=1, le=65535, description="local TCP port to listen on")
    peer: Address | None = Field(
        default=None,
        description="identifies the meter by the IP address it calls from; exactly one of `peer`, "
        "`serialNumber` and `systemTitle` is required",
    )
    serial_number: LineText | None = Field(
        default=None,
        description="identifies the meter by its serial number, which is read at each call",
    )
    system_title: HexBytes | None = Field(
        default=None, description="identifies the meter by the system title in its AARE, in hex"
    )
    serial_number_obis: ObisCode | None = Field(
        default=None,
        description="data object that holds the serial number; if not set, `0-0:96.1.0`",
    )
    identify_as: Literal["device", "public"] = Field(
        default="device",
        description="association that reads a caller's serial number or system title: `device` "
        "with the client, password and keys of `dlms`, `public` with client 16 and no secrets",
    )
    allow: tuple[Network, ...] = Field(
        default=(),
        description="networks that may call, such as `10.0.0.0/8`; empty allows all, or only "
        "`peer` if that is set. A port accepts a call if one of its devices allows it",
    )
    timeout_ms: TimeoutMs = 5000
    connect_timeout_ms: Whole = Field(
        default=30_000,
        ge=50,
        le=300_000,
        description="time to identify a caller, in ms; the command `read` waits as long for a call",
    )
    retries: Retries = 2
    keep_open: Keeping = "auto"
    group: GroupName = None

    @property
    def number_object(self) -> Obis:
        """The object that holds the serial number."""
        return self.serial_number_obis or _SERIAL_NUMBER

    @property
    def door(self) -> str:
        """The local address and port, which several devices may share."""
        return f"{self.host}:{self.port}"

    @property
    def caller(self) -> str:
        """The key that identifies the meter, as text."""
        if self.peer is not None:
            return self.peer
        if self.serial_number is not None:
            return f"serial number {self.serial_number}"
        return f"system title {(self.system_title or b'').hex()}"

    @property
    def endpoint(self) -> str:
        """The name of the line, equal for all devices behind one caller."""
        return f"listen://{self.door} {self.caller}"


class PushConnection(Model):
    """A meter that is never asked: it only pushes, to a listener of `push`."""

    type: Literal["push"] = Field(description="the kind of connection")

    @property
    def endpoint(self) -> str:
        """The name of the line, which no meter of this kind has."""
        return "push"

    @property
    def timeout_ms(self) -> int:
        """No reply is waited for."""
        return 0

    @property
    def connect_timeout_ms(self) -> int:
        """No connection is opened."""
        return 0

    @property
    def retries(self) -> int:
        """Nothing is asked."""
        return 0

    @property
    def keep_open(self) -> bool:
        """There is no association."""
        return False

    @property
    def group(self) -> None:
        """There is no connection to share."""
        return


def _kind(value: Any) -> Any:
    """Return the `type` of a connection; tcp if it is not set."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "tcp" if kind is None else kind


Connection = Annotated[
    Annotated[TcpConnection, Tag("tcp")]
    | Annotated[UdpConnection, Tag("udp")]
    | Annotated[SerialConnection, Tag("serial")]
    | Annotated[ListenConnection, Tag("listen")]
    | Annotated[PushConnection, Tag("push")],
    Discriminator(_kind),
]
