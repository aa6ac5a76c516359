"""Simulated meters on TCP and UDP: sockets around the sans-IO connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from dlms_connector.receiving import Receiver
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.options import MeterOptions
from dlms_connector.simulator.serving.accepting import Port
from dlms_connector.simulator.serving.connection import Connection

#: Number of UDP peers to remember: UDP does not show the end of a connection.
_MOST_PEERS = 1000


class Endpoint:
    """The host and port of one meter, or of several meters on one line.

    `stop()` ends listening. `start()` listens again at the same port, with the meters
    unchanged.
    """

    def __init__(self, meters: Sequence[Meter], host: str, port: int, *, udp: bool = False) -> None:
        self.meters = tuple(meters)
        self.host, self.port = host, port
        self._udp = udp
        self._server: Port | asyncio.DatagramTransport | None = None
        self._protocols: set[_Protocol] = set()

    @property
    def meter(self) -> Meter:
        """The first meter, usually the only one."""
        return self.meters[0]

    async def start(self) -> None:
        """Start to listen; `port` is known afterwards."""
        loop = asyncio.get_running_loop()
        if self._udp:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self.meters), local_addr=(self.host, self.port)
            )
            self._server = transport
            self.port = transport.get_extra_info("sockname")[1]
            return
        port = Port(lambda: _Protocol(self.meters, self._protocols))
        await port.open(self.host, self.port)
        self._server, self.port = port, port.number

    async def stop(self) -> None:
        """Stop listening and drop the connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.drop_connections()
        await asyncio.sleep(0)

    def say(self, octets: bytes) -> None:
        """Send octets over all TCP connections, unasked: such as a push (`frame_notification`)."""
        for protocol in list(self._protocols):
            protocol.say(octets)

    def drop_connections(self) -> None:
        """Abort all connections."""
        for protocol in list(self._protocols):
            protocol.abort()


class _Protocol(Receiver):
    """A TCP connection."""

    def __init__(self, meters: Sequence[Meter], alive: set[_Protocol]) -> None:
        super().__init__()
        self._meters, self._alive = meters, alive
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self._busy_until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._alive.add(self)
        self._connection = Connection(self._meters)
        if self._connection.closing:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._connection is not None
        out = self._connection.feed(data)
        if not out and not self._connection.closing:
            return
        loop = asyncio.get_running_loop()
        self._busy_until = max(self._busy_until, loop.time()) + self._connection.delay_s
        parts = (
            [out[at : at + 1] for at in range(len(out))] if self._connection.fragments else [out]
        )
        if self._connection.delay_s:
            loop.call_at(self._busy_until, self._send, parts)
        else:
            self._send(parts)

    def _send(self, parts: list[bytes]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._connection is None:
            return
        if parts:
            transport.write(parts[0])
        if len(parts) > 1:
            asyncio.get_running_loop().call_soon(self._send, parts[1:])
        elif self._connection.closing:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)
        self._transport = None
        if self._connection is not None:
            self._connection.close()

    def say(self, octets: bytes) -> None:
        """Send octets that answer nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def abort(self) -> None:
        """Close without sending the remaining bytes."""
        if self._transport is not None:
            self._transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: every client address is a connection of its own."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = meters
        self._connections: dict[tuple[str, int], Connection] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        connection = self._connections.get(addr)
        if connection is None:
            if len(self._connections) >= _MOST_PEERS:
                self._connections.pop(next(iter(self._connections))).close()
            connection = self._connections[addr] = Connection(self._meters)
        out = connection.feed(data)
        if connection.closing:
            self._connections.pop(addr).close()
        if out:
            loop = asyncio.get_running_loop()
            loop.call_later(connection.delay_s, self._send, out, addr)

    def _send(self, out: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(out, addr)


@asynccontextmanager
async def dial_in(
    options: MeterOptions | Meter, host: str, port: int, *, greeting: bytes = b""
) -> AsyncIterator[Meter]:
    """Connect a meter to a listener, as meters in a mobile network do, and serve it there.

    `greeting` is sent first: a registration of the modem, a notification, or nothing.
    """
    meter = options if isinstance(options, Meter) else Meter(options)
    alive: set[_Protocol] = set()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: _Protocol([meter], alive), host, port
    )
    try:
        if greeting:
            transport.write(greeting)
        yield meter
    finally:
        protocol.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def simulate(
    meters: Sequence[MeterOptions | Sequence[MeterOptions]],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    udp: bool = False,
) -> AsyncIterator[list[Endpoint]]:
    """Serve each meter on its own endpoint; an inner sequence of meters shares one endpoint.

    Ports count up from `port`; 0 means any free ports. One event loop serves all meters.
    """
    endpoints: list[Endpoint] = []
    try:
        for index, entry in enumerate(meters):
            options = [entry] if isinstance(entry, MeterOptions) else entry
            made = [Meter(one) for one in options]
            endpoint = Endpoint(made, host, port + index if port else 0, udp=udp)
            await endpoint.start()
            endpoints.append(endpoint)
        yield endpoints
    finally:
        for endpoint in endpoints:
            await endpoint.stop()
