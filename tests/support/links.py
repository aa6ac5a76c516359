"""A link in memory, for whoever talks through one."""

from __future__ import annotations

from dlms_connector.errors import LinkClosedError
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
