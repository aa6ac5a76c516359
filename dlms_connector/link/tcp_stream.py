"""One TCP connection, opened by either side, and the base class of links over it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, cast

from dlms_connector.errors import LinkClosedError
from dlms_connector.link.inbox import Inbox
from dlms_connector.receiving import Receiver

#: A modem that lost its network sends nothing: keepalive probes detect that, and keep NAT
#: entries on the way alive. If a system has no such option, its default is used.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class StreamLink:
    """A link over one connection after the other; subclasses open the connections."""

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = 0
        self._stream: TcpStream | None = None

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._stream is not None and self._stream.is_open

    def send(self, data: bytes) -> None:
        """Send; raises LinkClosedError."""
        if self._stream is None:
            raise LinkClosedError
        self._stream.send(data)

    def receive(self, deadline: float) -> Coroutine[Any, Any, bytes]:
        """Return what has arrived; b"" at the deadline. Raises LinkClosedError."""
        if self._stream is None:
            raise LinkClosedError
        return self._stream.inbox.get(deadline)

    def drain(self) -> bytes:
        """Return what has arrived, without waiting."""
        return self._stream.inbox.take() if self._stream else b""

    async def close(self) -> None:
        """Shut down and close."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()


class Counts(Protocol):
    """The byte counters of a stream: those of a link outlive its connections."""

    bytes_in: int
    bytes_out: int


class TcpStream(Receiver):
    """One connection, from the moment it is made until it is lost."""

    def __init__(self, counts: Counts, made: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.inbox = Inbox(self._pause_reading, self._resume_reading)
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._lost: asyncio.Future[None] | None = None
        self._made = made
        self._closing = False
        self.peer = ""  # the address of the other end, once there is one

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def count_for(self, counts: Counts) -> None:
        """Count bytes in other counters from now on."""
        self._counts = counts

    async def until_lost(self) -> None:
        """Wait for the end of the connection."""
        if self._lost is not None:
            await asyncio.shield(self._lost)

    def send(self, data: bytes) -> None:
        """Send; raises LinkClosedError."""
        if self._transport is None or self._transport.is_closing():
            raise LinkClosedError
        self._counts.bytes_out += len(data)
        self._transport.write(data)

    async def close(self) -> None:
        """Shut down and close, also while the connection is being made."""
        self._closing = True
        transport = self._transport
        if transport is not None and not transport.is_closing():
            # Without a shutdown some modems keep the socket, and refuse the next caller.
            with suppress(OSError):  # no longer connected
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            transport.abort()
        await self.until_lost()

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
        for option_name, value in _KEEPALIVE:
            if option := getattr(socket, option_name, None):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
        if name := transport.get_extra_info("peername"):
            self.peer = str(name[0])
        if self._made is not None:
            self._made()

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
