"""Where a meter is reached."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dlms_connector.config.base import Model
from dlms_connector.config.types import KeepOpen, Whole

_HOST = "name or address of the meter or of the converter in front of it"
_TIMEOUT = "time for one reply, in ms; slow meters behind converters need more"
_CONNECT_TIMEOUT = "time to establish the connection, in ms"
_RETRIES = "how often a request is repeated when no reply comes"
_KEEP_OPEN = (
    "`auto` keeps the association when the next poll comes before the meter's inactivity "
    "timeout and releases it otherwise; `true` always keeps it, `false` never"
)


class TcpConnection(Model):
    """A meter, or a converter with meters behind it, that listens on TCP."""

    type: Literal["tcp"] = Field("tcp", description="the kind of connection")
    host: str = Field(min_length=1, description=_HOST)
    port: Whole = Field(4059, ge=1, le=65535, description="TCP port")
    timeout_ms: Whole = Field(5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT)
    retries: Whole = Field(2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field("auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"tcp://{self.host}:{self.port}"


class UdpConnection(Model):
    """A meter that answers datagrams (WRAPPER only)."""

    type: Literal["udp"] = Field(description="the kind of connection")
    host: str = Field(min_length=1, description=_HOST)
    port: Whole = Field(4059, ge=1, le=65535, description="UDP port")
    timeout_ms: Whole = Field(5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT)
    retries: Whole = Field(2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field("auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"udp://{self.host}:{self.port}"


class SerialConnection(Model):
    """Meters on a serial port of the gateway's host."""

    type: Literal["serial"] = Field(description="the kind of connection")
    port: str = Field(min_length=1, description="the serial port, such as `/dev/ttyUSB0`")
    baudrate: Whole = Field(9600, ge=110, le=4_000_000, description="bits per second")
    bytesize: Literal[7, 8] = Field(8, description="data bits")
    parity: Literal["N", "E", "O"] = Field("N", description="none, even or odd parity")
    stopbits: Literal[1, 2] = Field(1, description="stop bits")
    timeout_ms: Whole = Field(5000, ge=50, le=300_000, description=_TIMEOUT)
    connect_timeout_ms: Whole = Field(10_000, ge=50, le=300_000, description=_CONNECT_TIMEOUT)
    retries: Whole = Field(2, ge=0, le=10, description=_RETRIES)
    keep_open: KeepOpen = Field("auto", description=_KEEP_OPEN)

    @property
    def endpoint(self) -> str:
        """What devices on one line have in common."""
        return f"serial:{self.port}"


def _kind(value: Any) -> Any:
    """Tell which kind of connection a value is: tcp unless it says otherwise."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "tcp" if kind is None else kind


Connection = Annotated[
    Annotated[TcpConnection, Tag("tcp")]
    | Annotated[UdpConnection, Tag("udp")]
    | Annotated[SerialConnection, Tag("serial")],
    Discriminator(_kind),
]
