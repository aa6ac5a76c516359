"""Links that carry bytes to one endpoint, and their choice by the configuration."""

from __future__ import annotations

from typing import Protocol

from dlms_connector.config import (
    Connection,
    ListenConnection,
    PushConnection,
    SerialConnection,
    TcpConnection,
    UdpConnection,
)
from dlms_connector.errors import ConfigError


class Link(Protocol):
    """A connection to one endpoint that may be opened and closed many times."""

    bytes_in: int
    bytes_out: int

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        ...

    async def open(self) -> None:
        """Connect to the endpoint; raises ConnectError."""
        ...

    def send(self, data: bytes) -> None:
        """Send at once or as soon as the line is free; raises LinkClosedError."""
        ...

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived, at least one byte; b"" once `loop.time()` is past the deadline.

        Raises LinkClosedError if the peer closed the link and all it sent is returned already.
        """
        ...

    def drain(self) -> bytes:
        """Return unsolicited octets that have arrived, without waiting."""
        ...

    async def close(self) -> None:
        """Close the link at once; allowed at any time and repeatedly; never raises."""
        ...


def make_link(connection: Connection) -> Link:
    """Return the closed link of a configured connection.

    Raises ConfigError if a serial port is wanted and its library is not installed, or if the meter
    only pushes.
    """
    match connection:
        case TcpConnection():
            from dlms_connector.link.tcp import TcpLink

            return TcpLink(
                connection.host,
                connection.port,
                connect_timeout_s=connection.connect_timeout_ms / 1000,
            )
        case UdpConnection():
            from dlms_connector.link.udp import UdpLink

            return UdpLink(
                connection.host,
                connection.port,
                connect_timeout_s=connection.connect_timeout_ms / 1000,
            )
        case SerialConnection():
            from dlms_connector.link.serial_port import SerialLink

            return SerialLink(connection)
        case ListenConnection():
            from dlms_connector.link.dial_in_link import DialInLink

            return DialInLink(connection.caller, door=connection.door)
        case PushConnection():
            raise ConfigError("connection.type: the meter only pushes (`push`): it cannot be asked")
