"""Links in memory, for whoever talks through one."""

from __future__ import annotations

import asyncio
from math import inf

from dlms_connector.errors import LinkClosedError
from dlms_connector.simulator import Meter
from dlms_connector.simulator.serving.connection import Connection
from tests.support.talks import Peer


class FakeLink:
    """Gives what a peer answers; silence comes at once instead of at the deadline.

    `hangs_up_after` sendings the peer closes the connection.
    """

    def __init__(self, peer: Peer, *, hangs_up_after: int | None = None) -> None:
        self.bytes_in = self.bytes_out = 0
        self.is_open = True
        self.sent: list[bytes] = []
        self.deadlines: list[float] = []
        self._peer = peer
        self._left = hangs_up_after
        self._waiting = b""

    async def open(self) -> None:
        self.is_open = True

    def send(self, data: bytes) -> None:
        if not self.is_open:
            raise LinkClosedError
        self.bytes_out += len(data)
        self.sent.append(bytes(data))
        self._waiting += self._peer(bytes(data))
        if self._left is not None:
            self._left -= 1
            self.is_open = self._left > 0

    async def receive(self, deadline: float) -> bytes:
        self.deadlines.append(deadline)
        if not self._waiting and not self.is_open:
            raise LinkClosedError
        return self.drain()

    def drain(self) -> bytes:
        data, self._waiting = self._waiting, b""
        self.bytes_in += len(data)
        return data

    async def close(self) -> None:
        self.is_open = False


class SimulatedLink:
    """A link to simulated meters in memory; time passes as that of the loop does."""

    def __init__(self, *meters: Meter) -> None:
        self.bytes_in = self.bytes_out = 0
        #: Frames sent: round trips.
        self.sent = 0
        self.opened = 0
        self._meters = meters
        self._connection: Connection | None = None
        self._waiting, self._ready_at = b"", 0.0

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def replace(self, *meters: Meter) -> None:
        """Put other meters there: the next connection is one to them."""
        self._meters, self._connection = meters, None

    async def open(self) -> None:
        self.opened += 1
        self._connection, self._waiting = Connection(self._meters), b""

    def send(self, data: bytes) -> None:
        if self._connection is None or self._connection.closing:
            raise LinkClosedError
        self.sent += 1
        self.bytes_out += len(data)
        self._waiting += self._connection.feed(data)
        self._ready_at = asyncio.get_running_loop().time() + self._connection.delay_s

    async def receive(self, deadline: float) -> bytes:
        if self._connection is None or (self._connection.closing and not self._waiting):
            raise LinkClosedError
        loop = asyncio.get_running_loop()
        ready_at = self._ready_at if self._waiting else inf
        await asyncio.sleep(max(0.0, min(ready_at, deadline) - loop.time()))
        return self.drain() if ready_at <= deadline else b""

    def drain(self) -> bytes:
        data, self._waiting = self._waiting, b""
        self.bytes_in += len(data)
        return data

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
