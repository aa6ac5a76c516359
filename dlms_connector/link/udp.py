"""UDP to a meter: each datagram holds whole frames, so only the wrapper goes over it."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from dlms_connector.errors import LinkClosedError
from dlms_connector.link.high_sockets import connected
from dlms_connector.link.inbox import Inbox
from dlms_connector.link.unreachable import unreachable
from dlms_connector.within import within


class UdpLink:
    """A socket connected to one peer: it receives no datagrams of others."""

    def __init__(self, host: str, port: int, *, connect_timeout_s: float = 10.0) -> None:
        self.bytes_in = self.bytes_out = 0
        self._host, self._port = host, port
        self._connect_timeout_s = connect_timeout_s
        self._socket: _Socket | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<UdpLink {self._host}:{self._port} {state}>"

    @property
    def is_open(self) -> bool:
        """Whether datagrams can be sent; whether the peer receives them is not known."""
        return self._socket is not None and not self._socket.transport.is_closing()

    async def open(self) -> None:
        """Resolve the address and bind; raises ConnectError."""
        await self.close()
        endpoint = f"{self._host}:{self._port}"
        try:
            await within(self._connect_timeout_s, self._bind())
        except asyncio.TimeoutError as error:
            reason = f"no address within {self._connect_timeout_s:g} s"
            raise unreachable(endpoint, reason, error) from error
        except (OSError, UnicodeError) as error:
            raise unreachable(endpoint, str(error), error) from error

    async def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        made = await connected(self._host, self._port, socket.SOCK_DGRAM)
        try:
            _, self._socket = await loop.create_datagram_endpoint(lambda: _Socket(self), sock=made)
        except BaseException:
            made.close()
            raise

    def send(self, data: bytes) -> None:
        """Send one datagram; raises LinkClosedError.

        Datagrams that arrived before are dropped: they do not belong to this request (a reply
        came twice, or late). They are whole datagrams, so nothing of the next reply is lost.
        """
        if self._socket is None or self._socket.transport.is_closing():
            raise LinkClosedError
        self._socket.inbox.take()
        self.bytes_out += len(data)
        self._socket.transport.sendto(data)

    async def receive(self, deadline: float) -> bytes:
        """Return one datagram; b"" at the deadline. Raises LinkClosedError."""
        if self._socket is None:
            raise LinkClosedError
        return await self._socket.inbox.get(deadline, single=True)

    def drain(self) -> bytes:
        """Return what has arrived, without waiting."""
        return self._socket.inbox.take() if self._socket else b""

    async def close(self) -> None:
        """Close."""
        bound, self._socket = self._socket, None
        if bound is not None:
            bound.transport.abort()
            await asyncio.shield(bound.lost)


class _Socket(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def __init__(self, counts: UdpLink) -> None:
        self.inbox = Inbox(self._start_dropping, self._stop_dropping)
        self.lost = asyncio.get_running_loop().create_future()
        self._counts = counts
        self._dropping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._counts.bytes_in += len(data)
        if data and not self._dropping:
            self.inbox.put(data)

    def error_received(self, exc: Exception) -> None:
        # The peer's system reported that the port is not open.
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.inbox.end()
        if not self.lost.done():
            self.lost.set_result(None)

    def _start_dropping(self) -> None:
        # UDP has no flow control: datagrams above the limit of the inbox are dropped.
        self._dropping = True

    def _stop_dropping(self) -> None:
        self._dropping = False
