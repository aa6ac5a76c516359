"""Where a list of hosts is given, nothing else is connected to: what counts is the address."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from dlms_connector.config import SerialConnection
from dlms_connector.errors import ConnectError
from dlms_connector.hints import Symptom
from dlms_connector.link import Listener, make_link
from dlms_connector.link.tcp import TcpLink
from dlms_connector.link.udp import UdpLink
from tests.support.peers import tcp_peer

VARIABLE = "DLMS_ALLOW_HOSTS"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.0.0.1", "localhost"])
async def test_a_host_that_is_not_on_the_list(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its address is written, and whatever name stands for it."""
    monkeypatch.setenv(VARIABLE, "10.0.0.0/8 meters.example.com")
    async with tcp_peer(bytes.upper) as peer:
        for link in (TcpLink(host, peer.port), UdpLink(host, peer.port)):
            with pytest.raises(ConnectError, match="is not in DLMS_ALLOW_HOSTS") as caught:
                await link.open()
            assert caught.value.endpoint == f"{host}:{peer.port}"
            assert Symptom.NOT_ALLOWED in caught.value.symptoms
            assert not link.is_open
        monkeypatch.setenv(VARIABLE, "127.0.0.0/8 ::1")
        link = TcpLink(host, peer.port)
        await link.open()
        await link.close()


async def test_a_name_that_stands_for_another_address_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is connected to is the address that was checked: there is no second look-up."""
    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    async with tcp_peer(bytes.upper) as peer:
        answers = [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.2"]]
        connected: list[str] = []

        async def look_up(*_: Any, **__: Any) -> list[Any]:
            found = answers.pop(0)
            kind = socket.SOCK_STREAM
            return [(socket.AF_INET, kind, 6, "", (each, peer.port)) for each in found]

        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def sock_connect(made: socket.socket, address: Any) -> None:
            connected.append(address[0])
            await connect(made, address)

        monkeypatch.setattr(loop, "getaddrinfo", look_up)
        monkeypatch.setattr(loop, "sock_connect", sock_connect)
        link = TcpLink("rebinding.example", peer.port)
        for _ in range(2):
            await link.open()
            await link.close()
        with pytest.raises(ConnectError, match=r"rebinding.example, its address 127.0.0.2, is not"):
            await link.open()
        assert connected == ["127.0.0.1", "127.0.0.1"]


async def test_a_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("serialx")
    link = make_link(SerialConnection(type="serial", port="/dev/null"))
    monkeypatch.setenv(VARIABLE, "127.0.0.0/8 /dev/ttyUSB*")
    with pytest.raises(ConnectError, match="/dev/null: it is not in DLMS_ALLOW_HOSTS"):
        await link.open()


async def test_who_calls_from_elsewhere_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a configuration that allows all callers would show a password to any of them."""
    monkeypatch.setenv(VARIABLE, "10.0.0.0/8")
    refused: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def never(call: Any) -> str | None:
        raise AssertionError("it was not to be talked to")

    door = Listener({}, never, host="127.0.0.1", port=0,
                    hung_up=lambda *said: refused.put_nowait(said))  # fmt: skip
    await door.open()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        address, reason = await refused.get()
        assert (address, reason) == (
            "127.0.0.1",
            "its address is in no network of DLMS_ALLOW_HOSTS",
        )
        writer.close()
    finally:
        await door.close()
