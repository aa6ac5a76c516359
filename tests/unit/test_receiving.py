from __future__ import annotations

import asyncio
import socket
import threading

from dlms_connector.receiving import SIZE, Receiver


class Kept(Receiver):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


async def test_connections_that_share_a_buffer_keep_their_own_octets() -> None:
    loop, theirs, kept = asyncio.get_running_loop(), [], []
    for _ in range(5):
        ours, other = socket.socketpair()
        _, one = await loop.create_connection(Kept, sock=ours)
        kept.append(one)
        theirs.append(other)
    for turn in range(20):
        for number, other in enumerate(theirs):
            other.sendall(bytes((number, turn)) * 100)
        await asyncio.sleep(0)
    for other in theirs:
        other.close()
    for one in kept:
        await one.ended
    for number, one in enumerate(kept):
        assert b"".join(one.parts) == b"".join(bytes((number, turn)) * 100 for turn in range(20))
        assert all(type(part) is bytes for part in one.parts)


async def test_more_than_the_buffer_holds_comes_in_parts() -> None:
    ours, other = socket.socketpair()
    _, one = await asyncio.get_running_loop().create_connection(Kept, sock=ours)
    sent = bytes(range(256)) * (3 * SIZE // 256)

    def send() -> None:
        with other:
            other.sendall(sent)

    threading.Thread(target=send).start()
    await one.ended
    assert b"".join(one.parts) == sent
    assert max(map(len, one.parts)) <= SIZE


async def test_each_thread_has_a_buffer_of_its_own() -> None:
    one = Kept()
    others: list[object] = []

    async def elsewhere() -> None:
        others.append(Kept().get_buffer(-1).obj)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    thread.join()
    assert one.get_buffer(-1).obj is Kept().get_buffer(-1).obj
    assert others[0] is not one.get_buffer(-1).obj
