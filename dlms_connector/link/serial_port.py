"""A serial port of this host, through the library serialx (extra `serial`)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from dlms_connector.config import SerialConnection
from dlms_connector.errors import ConfigError, LinkClosedError, LinkError
from dlms_connector.link.inbox import Inbox
from dlms_connector.link.unreachable import permit_port, unopened
from dlms_connector.within import within

_CLOSE_AT_MOST_S = 1.0


class SerialLink:
    """A line whose settings may change while it is open (mode E)."""

    def __init__(self, connection: SerialConnection) -> None:
        self.bytes_in = self.bytes_out = 0
        self._connection = connection
        self._serialx = _serialx()
        self._port: _Port | None = None

    def __repr__(self) -> str:
        return f"<SerialLink {self._connection.port} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._port is not None and not self._port.transport.is_closing()

    async def open(self) -> None:
        """Open the port for exclusive use; raises ConnectError."""
        await self.close()
        connection = self._connection
        permit_port(connection.port)
        try:
            await within(connection.connect_timeout_ms / 1000, self._connect())
        except asyncio.TimeoutError as error:
            raise unopened(connection.port, "the port does not open", error) from error
        except (OSError, ValueError, self._serialx.SerialException) as error:
            raise unopened(connection.port, str(error), error) from error

    async def _connect(self) -> None:
        connection = self._connection
        _, self._port = await self._serialx.create_serial_connection(
            asyncio.get_running_loop(),
            lambda: _Port(self),
            connection.port,
            connection.baudrate,
            byte_size=connection.bytesize,
            parity=self._serialx.Parity(connection.parity),
            stopbits=self._serialx.StopBits(connection.stopbits),
            close_timeout=0,
        )

    def send(self, data: bytes) -> None:
        """Send; raises LinkClosedError."""
        if self._port is None or self._port.transport.is_closing():
            raise LinkClosedError
        self.bytes_out += len(data)
        self._port.transport.write(data)

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived; b"" at the deadline. Raises LinkClosedError."""
        if self._port is None:
            raise LinkClosedError
        return await self._port.inbox.get(deadline)

    def drain(self) -> bytes:
        """Return what has arrived, without waiting."""
        return self._port.inbox.take() if self._port else b""

    async def configure(self, baudrate: int, bytesize: int, parity: str, stopbits: int) -> None:
        """Wait until the output is sent, then change the line's settings.

        Raises LinkClosedError, or LinkError if the port does not support these settings.
        """
        if self._port is None:
            raise LinkClosedError
        await self._carry_out(self._port.transport.flush())
        await self._carry_out(
            self._port.transport.reconfigure_port(
                baudrate=baudrate, byte_size=bytesize, parity=parity, stopbits=stopbits
            )
        )

    async def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            port.transport.abort()
            # The system may keep the port for up to half a minute if output cannot be sent.
            await asyncio.wait({port.lost}, timeout=_CLOSE_AT_MOST_S)

    async def _carry_out(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            await change
        except asyncio.TimeoutError as error:
            raise LinkError(f"{self._connection.port} does not send") from error
        except (OSError, ValueError, self._serialx.SerialException) as error:
            raise LinkError(f"changing the settings of {self._connection.port}: {error}") from error


class _Port(asyncio.Protocol):
    transport: Any

    def __init__(self, counts: SerialLink) -> None:
        self.inbox = Inbox(
            lambda: self.transport.pause_reading(), lambda: self.transport.resume_reading()
        )
        self.lost = asyncio.get_running_loop().create_future()
        self._counts = counts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._counts.bytes_in += len(data)
        self.inbox.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.inbox.end()
        if not self.lost.done():
            self.lost.set_result(None)


def _serialx() -> Any:
    """Import the library only where a serial port is configured."""
    try:
        import serialx
    except ImportError as error:
        raise ConfigError(
            "connection.type: serial ports need the library serialx: "
            "pip install thingsboard-dlms-connector[serial]"
        ) from error
    return serialx
