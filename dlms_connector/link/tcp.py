"""TCP to a meter or to a converter with meters behind it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Protocol, cast

from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.link.inbox import Inbox

#: A modem that lost its network says nothing: probes find that out, and keep the entries
#: of address translation on the way alive. Where a system has no such option, its default holds.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class TcpLink:
    """A connection that we open."""

    def __init__(self, host: str, port: int, *, connect_timeout_s: float = 10.0) -> None:
        self.bytes_in = self.bytes_out = 0
        self._host, self._port = host, port
        self._connect_timeout_s = connect_timeout_s
        self._stream: TcpStream | None = None

    def __repr__(self) -> str:
        return f"<TcpLink {self._endpoint} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._stream is not None and self._stream.is_open

    async def open(self) -> None:
        """Connect within the connect timeout; raises ConnectError."""
        await self.close()
        stream = TcpStream(self)
        try:
            await asyncio.wait_for(self._connect(stream), self._connect_timeout_s)
        except BaseException as error:
            # Also when cancelled: a connection that came about meanwhile is not left behind.
            await stream.close()
            if isinstance(error, asyncio.TimeoutError):
                reason = f"no answer within {self._connect_timeout_s:g} s"
                raise ConnectError(self._endpoint, reason) from error
            if isinstance(error, OSError | UnicodeError):
                raise ConnectError(self._endpoint, _reason(error)) from error
            raise
        self._stream = stream

    def send(self, data: bytes) -> None:
        """Send; raises LinkClosedError."""
        if self._stream is None:
            raise LinkClosedError
        self._stream.send(data)

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived; b"" at the deadline. Raises LinkClosedError."""
        if self._stream is None:
            raise LinkClosedError
        return await self._stream.inbox.get(deadline)

    def drain(self) -> bytes:
        """Return what has arrived, without waiting."""
        return self._stream.inbox.take() if self._stream else b""

    async def close(self) -> None:
        """Shut down and close."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    @property
    def _endpoint(self) -> str:
        return f"{self._host}:{self._port}"

    async def _connect(self, stream: TcpStream) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: stream, self._host, self._port)


class Counts(Protocol):
    """Who counts the bytes of a stream: a link's counters outlive its connections."""

    bytes_in: int
    bytes_out: int


class TcpStream(asyncio.Protocol):
    """One connection, from the moment it is made until it is lost."""

    def __init__(self, counts: Counts) -> None:
        self.inbox = Inbox(self._pause_reading, self._resume_reading)
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._lost: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def peer(self) -> str:
        """The address of the other end, as text."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if name else ""

    def send(self, data: bytes) -> None:
        """Send; raises LinkClosedError."""
        if self._transport is None or self._transport.is_closing():
            raise LinkClosedError
        self._counts.bytes_out += len(data)
        self._transport.write(data)

    async def close(self) -> None:
        """Shut down and close, also while the connection is being made."""
        self._closing = True
        transport, lost = self._transport, self._lost
        if transport is None or lost is None:
            return
        if not transport.is_closing():
            # Some modems keep a socket that was merely closed, and refuse the next caller.
            with suppress(OSError):  # no longer connected
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            transport.abort()
        await asyncio.shield(lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the socket's options."""
        self._transport = cast("asyncio.Transport", transport)
        self._lost = asyncio.get_running_loop().create_future()
        if self._closing:
            self._transport.abort()
            return
        # asyncio itself sets TCP_NODELAY.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if option := getattr(socket, name, None):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        """Queue what arrived."""
        self._counts.bytes_in += len(data)
        self.inbox.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader."""
        self.inbox.end()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def _pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def _reason(error: OSError | UnicodeError) -> str:
    """Say what the system says, without its numbers and addresses."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
