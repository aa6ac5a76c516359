from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.link.inbox import PAUSE_ABOVE
from dlms_connector.link.udp import UdpLink
from tests.support.peers import free_port


def soon(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


class Upper(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data != b"quiet":
            self.transport.sendto(data.upper(), addr)


@asynccontextmanager
async def udp_peer() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Upper, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")[1]
    transport.close()


async def test_there_and_back() -> None:
    async with udp_peer() as port:
        link = UdpLink("127.0.0.1", port)
        await link.open()
        assert link.is_open
        link.send(b"hello")
        assert await link.receive(soon()) == b"HELLO"
        link.send(b"quiet")
        assert await link.receive(soon(0.01)) == b""
        assert link.drain() == b""
        assert (link.bytes_out, link.bytes_in) == (10, 5)
        await link.close()
        await link.close()
        assert repr(link) == f"<UdpLink 127.0.0.1:{port} closed>"


async def test_an_answer_that_came_twice_is_not_the_answer_to_the_next_question() -> None:
    """By short name, answers tell by nothing but their order what they answer."""
    async with udp_peer() as port:
        link = UdpLink("127.0.0.1", port)
        await link.open()
        for question in (b"one", b"two", b"three"):
            link.send(question)
            assert await link.receive(soon()) == question.upper()
            assert link._socket is not None
            link._socket.datagram_received(question.upper(), None)
        await link.close()


async def test_closed() -> None:
    link = UdpLink("127.0.0.1", free_port())
    assert link.drain() == b""
    with pytest.raises(LinkClosedError):
        link.send(b"x")
    with pytest.raises(LinkClosedError):
        await link.receive(soon())


async def test_the_peers_system_says_that_nobody_listens() -> None:
    link = UdpLink("127.0.0.1", free_port())
    await link.open()
    link.send(b"x")
    with pytest.raises(LinkClosedError):
        await link.receive(soon())
    assert not link.is_open
    await link.close()


async def test_an_impossible_name() -> None:
    with pytest.raises(ConnectError, match=r"cannot connect to no\.\.host:1"):
        await UdpLink("no..host", 1).open()


async def test_what_nobody_reads_is_dropped() -> None:
    link = UdpLink("127.0.0.1", free_port())
    await link.open()
    assert link._socket is not None
    for _ in range(20):
        link._socket.datagram_received(bytes(PAUSE_ABOVE // 4), None)
    assert len(link.drain()) <= PAUSE_ABOVE * 5 // 4
    link._socket.datagram_received(b"again", None)
    assert link.drain() == b"again"
    await link.close()
