from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator

import pytest

from dlms_connector.config.model import SerialConnection
from dlms_connector.errors import ConfigError, ConnectError, LinkClosedError
from dlms_connector.link import make_link
from dlms_connector.link.serial_port import SerialLink
from dlms_connector.meter.exchange import converse
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.mode_e import ModeE
from tests.support.hdlc_meter import CLIENT, SERVER, HdlcMeter
from tests.support.talks import Peer

pytest.importorskip("serialx")


class Terminal:
    """A pseudo-terminal: the link has one end, a peer the other."""

    def __init__(self) -> None:
        self.fd, self._line = os.openpty()
        tty.setraw(self.fd)
        self.name = os.ttyname(self._line)
        os.set_blocking(self.fd, False)

    @property
    def baudrate(self) -> int:
        speed = termios.tcgetattr(self._line)[5]
        return {getattr(termios, f"B{rate}"): rate for rate in (300, 4800, 9600, 19200)}[speed]

    def answer_by(self, peer: Peer) -> None:
        def ready() -> None:
            if answer := peer(os.read(self.fd, 4096)):
                os.write(self.fd, answer)

        asyncio.get_running_loop().add_reader(self.fd, ready)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._line)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def connection(terminal: Terminal, baudrate: int = 9600) -> SerialConnection:
    return SerialConnection(type="serial", port=terminal.name, baudrate=baudrate)


def soon(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_there_and_back(terminal: Terminal) -> None:
    link = make_link(connection(terminal, baudrate=19200))
    assert isinstance(link, SerialLink)
    with pytest.raises(LinkClosedError):
        link.send(b"x")
    with pytest.raises(LinkClosedError):
        await link.receive(soon())
    with pytest.raises(LinkClosedError):
        await link.configure(9600, 8, "N", 1)
    assert link.drain() == b""
    await link.open()
    terminal.answer_by(bytes.upper)
    assert link.is_open
    assert terminal.baudrate == 19200
    link.send(b"hello\n\x00\xff")
    received = b""
    while len(received) < 8:
        received += await link.receive(soon())
    assert received == b"HELLO\n\x00\xff"
    assert await link.receive(soon(0.001)) == b""
    assert (link.bytes_out, link.bytes_in) == (8, 8)
    await link.close()
    await link.close()
    assert repr(link) == f"<SerialLink {terminal.name} closed>"


async def test_settings_change(terminal: Terminal) -> None:
    link = SerialLink(connection(terminal))
    await link.open()
    assert terminal.baudrate == 9600
    await link.configure(300, 7, "E", 1)
    assert terminal.baudrate == 300
    # A pseudo-terminal has no parity and always eight bits, so only the library can tell.
    assert link._port is not None
    assert (link._port.transport.byte_size, link._port.transport.parity) == (7, "E")
    await link.close()


async def test_no_such_port() -> None:
    link = SerialLink(SerialConnection(type="serial", port="/dev/no-such-port"))
    with pytest.raises(ConnectError, match="cannot connect to /dev/no-such-port"):
        await link.open()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    with pytest.raises(ConfigError, match=r"pip install thingsboard-dlms-connector\[serial\]"):
        make_link(SerialConnection(type="serial", port="/dev/ttyS0"))


async def test_mode_e_over_a_terminal(terminal: Terminal) -> None:
    """The rates are those of the standard at each step; HDLC follows at the agreed one."""
    meter = HdlcMeter()
    rates: list[tuple[int, bytes]] = []

    def peer(sent: bytes) -> bytes:
        rates.append((terminal.baudrate, sent[:2]))
        if sent.startswith(b"/?"):
            return b"/ISk4\\2MT174\r\n"
        return sent if sent.startswith(b"\x06") else meter(sent)

    link = SerialLink(connection(terminal))
    datalink = ModeE(Hdlc(CLIENT, SERVER), settle_s=0.01)
    await link.open()
    terminal.answer_by(peer)
    await converse(datalink.connect(), link, timeout_s=5)
    assert await converse(datalink.exchange(b"x"), link, timeout_s=5) == b"<x>"
    assert rates == [(300, b"/?"), (300, b"\x062"), (4800, b"\x7e\xa0"), (4800, b"\x7e\xa0")]
    assert link._port is not None
    assert (link._port.transport.byte_size, link._port.transport.parity) == (8, "N")
    await link.close()
