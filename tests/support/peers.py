"""Real peers on the loopback, on free ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.talks import Peer


class Listener:
    """What a listening TCP peer has seen."""

    def __init__(self) -> None:
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = 0
        self.changed = asyncio.Condition()

    async def until_ended(self, count: int = 1) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.ended >= count), 5)


@asynccontextmanager
async def tcp_peer(peer: Peer) -> AsyncIterator[Listener]:
    """Answer on TCP; what the peer answers to b"" is its greeting."""
    listener = Listener()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.writers.append(writer)
        writer.write(peer(b""))
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(peer(data))
                await writer.drain()
        async with listener.changed:
            listener.ended += 1
            listener.changed.notify_all()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for writer in listener.writers:
            writer.transport.abort()
        await listener.until_ended(len(listener.writers))
        await server.wait_closed()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
