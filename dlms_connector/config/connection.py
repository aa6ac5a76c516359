"""Where a meter is reached."""

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

#: What `type` may say; at these steps pydantic's locations do not name a key.
CONNECTION_KINDS = ("tcp", "udp", "serial", "listen")

_HOST = "name or address of the meter or of the converter in front of it"
_TIMEOUT = "time for one reply, in ms; slow meters behind converters need more"
_CONNECT_TIMEOUT = "time to establish the connection, in ms"
_RETRIES = "how often a request is repeated when no reply comes"
_KEEP_OPEN = (
    "`auto` keeps the association when the next poll comes before the meter's inactivity "
    "timeout and releases it otherwise; `true` keeps it however long, unless the meter is known "
    "to drop it, `false` never"
)
#: Device ID 1, IEC 62056-6-1: the number that its maker gave to the meter.
_SERIAL_NUMBER = Obis.parse("0-0:96.1.0")


class TcpConnection(Model):
    """A meter, or a converter with meters behind it, that listens on TCP."""

    type: Literal["tcp"] = Field(default="tcp", description="the kind of connection")
    host: Host = Field(min_length=1, description=_HOST)
    port: Whole = Field(default=4059, ge=1, le=65535, description="TCP port")
    timeout_ms: Whole = Field(default=5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(
        default=10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT
    )
    retries: Whole = Field(default=2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field(default="auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"tcp://{self.host.lower()}:{self.port}"


class UdpConnection(Model):
    """A meter that answers datagrams (WRAPPER only)."""

    type: Literal["udp"] = Field(description="the kind of connection")
    host: Host = Field(min_length=1, description=_HOST)
    port: Whole = Field(default=4059, ge=1, le=65535, description="UDP port")
    timeout_ms: Whole = Field(default=5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(
        default=10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT
    )
    retries: Whole = Field(default=2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field(default="auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"udp://{self.host.lower()}:{self.port}"


class SerialConnection(Model):
    """Meters on a serial port of the gateway's host."""

    type: Literal["serial"] = Field(description="the kind of connection")
    port: str = Field(min_length=1, description="the serial port, such as `/dev/ttyUSB0`")
    baudrate: Whole = Field(default=9600, ge=110, le=4_000_000, description="bits per second")
    bytesize: DataBits = Field(default=8, description="data bits")
    parity: Literal["N", "E", "O"] = Field(default="N", description="none, even or odd parity")
    stopbits: StopBits = Field(default=1, description="stop bits")
    timeout_ms: Whole = Field(default=5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(
        default=10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT
    )
    retries: Whole = Field(default=2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field(default="auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"serial:{self.port}"


class ListenConnection(Model):
    """A meter that dials in: we listen, it calls, and is known by one of three marks."""

    type: Literal["listen"] = Field(description="the kind of connection")
    host: str = Field(
        default="0.0.0.0",  # noqa: S104
        min_length=1,
        description="the local address listened on; `::` for calls by IPv6",
    )
    port: Whole = Field(default=4059, ge=1, le=65535, description="the local TCP port listened on")
    peer: Address | None = Field(
        default=None,
        description="the meter calls from this address: a sign of three, one is needed",
    )
    serial_number: LineText | None = Field(
        default=None,
        description="the meter that calls has this serial number, asked for at each call",
    )
    system_title: HexBytes | None = Field(
        default=None, description="the meter that calls tells this system title in its AARE, in hex"
    )
    serial_number_obis: ObisCode | None = Field(
        default=None,
        description="object of class data that holds the number; `0-0:96.1.0` where left out",
    )
    identify_as: Literal["device", "public"] = Field(
        default="device",
        description="who asks a caller for its number or title: `device` with the client, "
        "password and keys of `dlms`, `public` the client 16 without any",
    )
    allow: tuple[Network, ...] = Field(
        default=(),
        description="networks that may call, such as `10.0.0.0/8`; empty allows all. "
        "The port takes the calls that one of its devices allows",
    )
    timeout_ms: Whole = Field(default=5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(
        default=30_000,
        ge=50,
        le=300_000,
        description="time to find out who calls, in ms; `read` waits so long for the call",
    )
    retries: Whole = Field(default=2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field(default="auto", description=_KEEP_OPEN)

    @property
    def number_object(self) -> Obis:
        """The object that holds the serial number."""
        return self.serial_number_obis or _SERIAL_NUMBER

    @property
    def door(self) -> str:
        """What devices that call the same port have in common."""
        return f"{self.host}:{self.port}"

    @property
    def caller(self) -> str:
        """The mark that the meter is known by, in words."""
        if self.peer is not None:
            return self.peer
        if self.serial_number is not None:
            return f"serial number {self.serial_number}"
        return f"system title {(self.system_title or b'').hex()}"

    @property
    def endpoint(self) -> str:
        """What devices behind one caller have in common."""
        return f"listen://{self.door} {self.caller}"


def _kind(value: Any) -> Any:
    """Tell which kind of connection a value is: tcp unless it says otherwise."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "tcp" if kind is None else kind


Connection = Annotated[
    Annotated[TcpConnection, Tag("tcp")]
    | Annotated[UdpConnection, Tag("udp")]
    | Annotated[SerialConnection, Tag("serial")]
    | Annotated[ListenConnection, Tag("listen")],
    Discriminator(_kind),
]
