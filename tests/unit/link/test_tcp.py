from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from dlms_connector.config.model import TcpConnection, UdpConnection
from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.link import make_link
from dlms_connector.link.inbox import PAUSE_ABOVE
from dlms_connector.link.tcp import TcpLink
from dlms_connector.link.udp import UdpLink
from tests.support.peers import free_port, tcp_peer


def soon(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never held")


async def test_there_and_back() -> None:
    async with tcp_peer(bytes.upper) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.open()
        assert link.is_open
        link.send(b"hello")
        assert await link.receive(soon()) == b"HELLO"
        assert await link.receive(soon(-1)) == b""
        assert (link.bytes_out, link.bytes_in) == (5, 5)
        await link.close()
        assert not link.is_open


async def test_what_came_unasked_is_drained() -> None:
    async with tcp_peer(lambda data: data or b"welcome") as listener:
        link = TcpLink("127.0.0.1", listener.port)
        assert link.drain() == b""
        await link.open()
        link.send(b"x")
        await until(lambda: link.bytes_in == 8)
        assert link.drain() == b"welcomex"
        await link.close()


async def test_the_socket_is_set_for_small_questions_and_dead_peers() -> None:
    async with tcp_peer(bytes.upper) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.open()
        assert link._stream is not None
        assert link._stream._transport is not None
        sock = link._stream._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        await link.close()


async def test_closing_shuts_down_and_may_be_repeated() -> None:
    async with tcp_peer(bytes.upper) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.close()
        await link.open()
        await link.close()
        await listener.until_ended()
        await link.close()
        with pytest.raises(LinkClosedError):
            link.send(b"x")
        with pytest.raises(LinkClosedError):
            await link.receive(soon())


async def test_opening_again_gives_a_fresh_connection_and_keeps_counting() -> None:
    async with tcp_peer(bytes.upper) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        for _ in range(2):
            await link.open()
            link.send(b"abc")
            assert await link.receive(soon()) == b"ABC"
        assert len(listener.writers) == 2
        await listener.until_ended(1)
        assert link.bytes_in == 6
        await link.close()


async def test_the_peer_hangs_up() -> None:
    async with tcp_peer(lambda data: data) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.open()
        link.send(b"last words")
        assert await link.receive(soon()) == b"last words"
        listener.writers[0].close()
        with pytest.raises(LinkClosedError):
            await link.receive(soon())
        assert not link.is_open
        with pytest.raises(LinkClosedError):
            link.send(b"x")
        await link.close()


async def test_the_peer_resets() -> None:
    async with tcp_peer(lambda data: data) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.open()
        link.send(b"x")
        await link.receive(soon())
        listener.writers[0].transport.abort()
        with pytest.raises(LinkClosedError):
            await link.receive(soon())
        await link.close()


async def test_nobody_listens() -> None:
    port = free_port()
    link = TcpLink("127.0.0.1", port)
    with pytest.raises(
        ConnectError, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"
    ) as caught:
        await link.open()
    assert caught.value.endpoint == f"127.0.0.1:{port}"
    assert not link.is_open


async def test_nobody_answers() -> None:
    """A full queue of a listener that accepts nobody leaves a connection half made."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        link = TcpLink("127.0.0.1", port, connect_timeout_s=0.05)
        with pytest.raises(ConnectError, match=r"no answer within 0\.05 s"):
            await link.open()
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("host", ["no..host", "x" * 300])
async def test_an_impossible_name(host: str) -> None:
    with pytest.raises(ConnectError):
        await TcpLink(host, 4059).open()


async def test_opening_may_be_cancelled() -> None:
    async with tcp_peer(bytes.upper) as listener:
        link = TcpLink("127.0.0.1", listener.port)
        for turns in range(6):  # at whatever point of the opening
            task = asyncio.ensure_future(link.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await link.close()
        await link.open()
        await listener.until_ended(len(listener.writers) - 1)
        await link.close()


async def test_a_babbler_is_held_back() -> None:
    """Megabytes that nobody reads stay with the peer; none is lost when they are read."""
    size = 16 * PAUSE_ABOVE
    async with tcp_peer(lambda data: bytes(size) if data else b"") as listener:
        link = TcpLink("127.0.0.1", listener.port)
        await link.open()
        link.send(b"go")
        await until(lambda: link.bytes_in > PAUSE_ABOVE)
        for _ in range(100):
            await asyncio.sleep(0)
        assert link.bytes_in < 2 * PAUSE_ABOVE
        received = 0
        while received < size:
            received += len(await link.receive(soon()))
        assert received == size
        await link.close()


async def test_which_link_a_connection_has() -> None:
    link = make_link(TcpConnection(host="127.0.0.1", port=1))
    assert isinstance(link, TcpLink)
    assert repr(link) == "<TcpLink 127.0.0.1:1 closed>"
    assert isinstance(make_link(UdpConnection(type="udp", host="127.0.0.1")), UdpLink)
