"""Sockets of meters leave the low numbers to the gateway's clients."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator

import pytest

from dlms_connector.link.high_sockets import connected, raised


@pytest.fixture
def plenty() -> Iterator[None]:
    """A process that may have more descriptors than select() knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("the system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def few() -> Iterator[None]:
    """A process with the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def reached() -> int:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        made = await connected("127.0.0.1", server.getsockname()[1])
        other, _ = await loop.sock_accept(server)
        with made, other:
            await loop.sock_sendall(made, b"there")
            assert await loop.sock_recv(other, 10) == b"there"
            assert not made.get_inheritable()
            return made.fileno()


@pytest.mark.usefixtures("plenty")
async def test_a_connection_has_a_high_number() -> None:
    assert await reached() >= 1024


@pytest.mark.usefixtures("few")
async def test_where_there_are_no_high_numbers_a_low_one_does() -> None:
    assert await reached() < 1024


@pytest.mark.usefixtures("plenty")
def test_the_low_number_is_free_again() -> None:
    made = socket.socket()
    low = made.fileno()
    with raised(made) as high, socket.socket() as next_one:
        assert high.fileno() >= 1024
        assert next_one.fileno() <= low or next_one.fileno() < 1024


async def test_a_refused_connection_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await connected("127.0.0.1", port)
