"""Ports where meters push: who may, how much, how long."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from dlms_connector.config import PushListener
from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.protocol.data import structure
from dlms_connector.protocol.datalink import Frame
from dlms_connector.push import door as limits
from dlms_connector.push import serial_door, tcp_door, udp_door
from dlms_connector.push.doors import make_door
from dlms_connector.push.pace import Pace
from dlms_connector.push.tcp_door import TcpDoor
from dlms_connector.push.udp_door import UdpDoor
from tests.support.pushes import (
    data_notification,
    device_of,
    hdlc,
    mbus,
    obis,
    scale,
    u32,
    wrapped,
)
from tests.support.pushing import Collected, receiver_of

pytestmark = pytest.mark.asyncio

BODY = structure(obis("1-0:1.8.0"), u32(7123), scale(1, 30))
APDU = data_notification(BODY)
CONFIRMED = data_notification(BODY, invoke=b"\x40\0\0\7")
_SECONDS = 30.0


class Desk:
    """A receiver, and what was told."""

    def __init__(self) -> None:
        self.sink = Collected()
        self.receiver = receiver_of(device_of({"push": {"peer": "127.0.0.1"}}), sink=self.sink)
        self.told: list[tuple[str, str, str]] = []

    def tell(self, *what: str) -> None:
        self.told.append((what[0], what[1], what[2]))

    def door(self, kind: str, **keys: Any) -> Any:
        """Return a closed door on a free port of the loopback interface."""
        made: dict[str, Any] = {"type": kind, "host": "127.0.0.1", "allow": ["127.0.0.0/8"], **keys}
        listener = PushListener.model_validate(made).model_copy(update={"port": 0})
        return make_door(listener, self.receiver.take, self.tell)

    async def until(self, count: int) -> None:
        await until(lambda: len(self.sink.readings) >= count)


async def until(condition: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + _SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.005)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest_asyncio.fixture
async def tcp(desk: Desk) -> AsyncIterator[TcpDoor]:
    door: TcpDoor = desk.door("tcp")
    await door.open()
    yield door
    await door.close()


@pytest_asyncio.fixture
async def udp(desk: Desk) -> AsyncIterator[UdpDoor]:
    door: UdpDoor = desk.door("udp")
    await door.open()
    yield door
    await door.close()


async def call(door: TcpDoor) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", door.port)


async def hangs_up(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), _SECONDS) == b""
    except ConnectionError:
        return True


async def test_tcp_pushes_over_one_connection(desk: Desk, tcp: TcpDoor) -> None:
    _, writer = await call(tcp)
    for octet in wrapped(APDU) + wrapped(APDU):
        writer.write(bytes((octet,)))
        await writer.drain()
    await desk.until(2)
    assert desk.sink.values == {"1-0:1.8.0": (71230, "Wh")}
    writer.close()


async def test_a_confirmation_goes_back(desk: Desk, tcp: TcpDoor) -> None:
    reader, writer = await call(tcp)
    writer.write(wrapped(CONFIRMED, source=1, destination=103))
    answer = await asyncio.wait_for(reader.readexactly(14), _SECONDS)
    assert answer == bytes.fromhex("0001 0067 0001 0006 104000000700")
    writer.close()


async def test_hdlc_is_not_answered(desk: Desk) -> None:
    door = desk.door("tcp", interfaceType="HDLC")
    await door.open()
    reader, writer = await call(door)
    writer.write(hdlc(CONFIRMED, size=20))
    await desk.until(1)
    await door.close()
    assert await hangs_up(reader)
    writer.close()


async def test_who_is_not_allowed_is_gone_at_once(desk: Desk) -> None:
    door = desk.door("tcp", allow=["10.0.0.0/8"])
    await door.open()
    reader, writer = await call(door)
    assert await hangs_up(reader)
    assert desk.told[0][1:] == ("allow", "not allowed")
    writer.close()
    await door.close()


async def test_strangers_have_little_time(desk: Desk, tcp: TcpDoor) -> None:
    loop = asyncio.get_running_loop()
    silent, one = await call(tcp)
    known, two = await call(tcp)
    two.write(wrapped(APDU))
    await desk.until(1)
    tcp.sweep(loop.time() + tcp_door.STRANGER_S + 1)
    assert await hangs_up(silent)
    two.write(wrapped(APDU))
    await desk.until(2)
    tcp.sweep(loop.time() + tcp_door.IDLE_S + 1)
    assert await hangs_up(known)
    one.close()
    two.close()


async def test_a_push_that_never_ends_is_ended(desk: Desk, tcp: TcpDoor) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await call(tcp)
    writer.write(wrapped(APDU) + wrapped(APDU)[:-1])
    await desk.until(1)
    tcp.sweep(loop.time() + limits.UNFINISHED_S + 1)
    assert await hangs_up(reader)
    writer.close()


async def test_a_line_of_hdlc_goes_on_after_a_push_that_never_ended(desk: Desk) -> None:
    door = desk.door("tcp", interfaceType="HDLC")
    await door.open()
    loop = asyncio.get_running_loop()
    _, writer = await call(door)
    writer.write(hdlc(APDU) + hdlc(APDU, size=20)[:-9])
    await desk.until(1)
    door.sweep(loop.time() + limits.UNFINISHED_S + 1)
    writer.write(hdlc(APDU))
    await desk.until(2)
    writer.close()
    await door.close()


async def test_many_strangers_do_not_keep_a_meter_out(
    desk: Desk, tcp: TcpDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "_most", 6)
    calls = [await call(tcp) for _ in range(10)]
    await until(lambda: any(cause == "strangers" for _, cause, _ in desk.told))
    for _, writer in calls:
        writer.close()
    end = asyncio.get_running_loop().time() + _SECONDS
    while not desk.sink.readings:  # their places are free soon
        assert asyncio.get_running_loop().time() < end
        _, writer = await call(tcp)
        writer.write(wrapped(APDU))
        await asyncio.sleep(0.05)
        writer.close()


async def test_who_sends_rubbish_is_hung_up_on(desk: Desk, tcp: TcpDoor) -> None:
    reader, writer = await call(tcp)
    writer.write(wrapped(b"\x0f\xff") * (tcp_door.MOST_REFUSED + 5))
    assert await hangs_up(reader)
    assert desk.sink.readings == []
    writer.close()


async def test_a_flood_has_to_wait(
    desk: Desk, tcp: TcpDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "APDUS", Pace(1, 3))
    _, writer = await call(tcp)
    writer.write(wrapped(APDU))
    await desk.until(1)
    for _ in range(5):
        writer.write(wrapped(APDU) * 10)
        await writer.drain()
        await asyncio.sleep(0.02)
    count = len(desk.sink.readings)
    tcp.sweep(asyncio.get_running_loop().time())
    assert count < 51
    later = asyncio.get_running_loop().time()
    for step in range(200):
        tcp.sweep(later + 20.0 * step)
        await asyncio.sleep(0.005)
        if len(desk.sink.readings) == 51:
            break
    assert len(desk.sink.readings) == 51, "nothing is lost"
    writer.close()


async def test_udp(desk: Desk, udp: UdpDoor) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.setblocking(False)
        sender.sendto(wrapped(APDU)[:-1], ("127.0.0.1", udp.port))
        sender.sendto(b"", ("127.0.0.1", udp.port))
        sender.sendto(wrapped(CONFIRMED), ("127.0.0.1", udp.port))
        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sender, 100), _SECONDS)
    assert answer == bytes.fromhex("0001 0067 0001 0006 104000000700")
    assert len(desk.sink.readings) == 1


async def test_datagrams_of_others_cost_nothing(desk: Desk) -> None:
    door = desk.door("udp", allow=["10.0.0.0/8"])
    door.datagram_received(wrapped(APDU), ("127.0.0.1", 5))
    assert desk.sink.readings == []
    door.datagram_received(wrapped(APDU), ("10.0.0.1", 5))
    assert desk.told[0][1] == "allow"


async def test_floods_of_datagrams_are_dropped(desk: Desk) -> None:
    door = desk.door("udp", allow=["0.0.0.0/0"])
    for number in range(3 * udp_door.MOST_SENDERS):
        door.datagram_received(wrapped(APDU), (f"10.{number >> 8}.{number & 255}.1", 5))
    assert len(door._senders) <= udp_door.MOST_SENDERS
    for _ in range(400):
        door.datagram_received(wrapped(APDU), ("127.0.0.1", 5))
    assert 0 < len(desk.sink.readings) <= 200
    assert any(cause == "flood" for _, cause, _ in desk.told)


async def test_a_serial_port(desk: Desk) -> None:
    """A line that is silent within a push has lost its rest; what comes next is taken."""
    pytest.importorskip("serialx")
    fd, line = os.openpty()
    tty.setraw(fd)
    door = desk.door("serial", serialPort=os.ttyname(line), interfaceType="MBUS", device="Meter")
    try:
        await door.open()
        for octet in mbus(APDU, 20):
            os.write(fd, bytes((octet,)))
        await desk.until(1)
        os.write(fd, mbus(APDU, 20)[:30] + mbus(APDU))
        await desk.until(2)
        assert desk.sink.values == {"1-0:1.8.0": (71230, "Wh")}
    finally:
        await door.close()
        os.close(fd)
        os.close(line)


async def test_a_port_in_use_is_told(desk: Desk, tcp: TcpDoor) -> None:
    door = desk.door("tcp")
    door.listener = door.listener.model_copy(update={"port": tcp.port})
    with pytest.raises(ConnectError, match="cannot listen"):
        await door.open()


@pytest.mark.parametrize("blocks", [False, True])
async def test_pushes_that_are_begun_by_datagrams_take_bounded_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, blocks: bool
) -> None:
    """Each sender may begin pushes of many meters, and each datagram may come from another one."""
    monkeypatch.setattr(udp_door, "MOST_HELD", 400_000)
    door = desk.door("udp", allow=["0.0.0.0/0"], interfaceType="HDLC")
    first = b"\xe0\x00\x00\x01\x00\x00\x82\x05\xdc" + bytes(1500)
    for number in range(600):
        information = b"\xe6\xe7\x00" + (first if blocks else bytes(1500))
        source = bytes((number % 100 * 2 + 1,))
        frame = Frame(b"\x2b", source, 0x03, information, not blocks)
        door.datagram_received(frame.encode(), (f"10.0.0.{number % 100}", 5))
    held = sum(sender.held for sender in door._senders.values())
    assert 0 < held == door._held <= 400_000
    door.sweep(0.0)
    door.sweep(limits.UNFINISHED_S + 1)
    assert door._held == 0


class Failing:
    """A serial link that loses its line in the middle of a push, in a way nobody has foreseen."""

    def __init__(self, *happens: bytes | Exception) -> None:
        self.happens = list(happens)
        self.is_open = True

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def receive(self, deadline: float) -> bytes:
        if not self.happens:
            await asyncio.sleep(3600)
        if isinstance(what := self.happens.pop(0), Exception):
            raise what
        return what


@pytest.mark.parametrize("error", [LinkClosedError(), RuntimeError("the driver's fault")])
async def test_a_serial_port_that_fails_is_opened_again_without_what_was_begun(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    line = hdlc(APDU, size=20)
    half = line.index(b"\x7e\x7e") + 1
    link = Failing(line[:half], error, line[half:], hdlc(APDU))
    monkeypatch.setattr(serial_door, "make_link", lambda connection: link)
    monkeypatch.setattr(serial_door, "_RETRY_S", 0.0)
    door = desk.door("serial", serialPort="/dev/none", interfaceType="HDLC", device="Meter")
    await door.open()
    await until(lambda: not link.happens)
    await desk.until(1)
    await door.close()
    assert len(desk.sink.readings) == 1
    assert [cause for _, cause, _ in desk.told] == ["lost"]


async def test_strangers_cannot_take_the_time_of_the_polls(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading what is refused takes time; all strangers of a port have a share together."""
    monkeypatch.setattr(limits, "REFUSED_WORK", Pace(0.0, 1e-9))
    tcp, udp = desk.door("tcp"), desk.door("udp", allow=["0.0.0.0/0"])
    await tcp.open()
    unknown = wrapped(b"\x0f\xff")
    first, one = await call(tcp)
    one.write(unknown)
    assert await hangs_up(first)
    second, two = await call(tcp)
    two.write(wrapped(APDU) + wrapped(APDU))
    await desk.until(2)  # what is taken has a budget of its own
    udp.datagram_received(wrapped(APDU), ("127.0.0.1", 5))
    udp.datagram_received(unknown, ("10.0.0.1", 5))
    udp.datagram_received(unknown, ("10.0.0.2", 5))
    assert desk.told[-1][1] == "work"
    udp.datagram_received(wrapped(APDU), ("127.0.0.1", 5))
    assert len(desk.sink.readings) == 4
    one.close()
    two.close()
    await tcp.close()
    assert await hangs_up(second)


@pytest.mark.parametrize("framing", ["WRAPPER", "HDLC"])
async def test_a_line_that_is_never_silent_is_not_hung_up_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, framing: str
) -> None:
    """A concentrator sends without a pause: each read ends within a push, and all become whole."""
    now = [0.0]
    door = desk.door("tcp", interfaceType=framing)
    one = tcp_door._Connection(door)
    monkeypatch.setattr(one, "_clock", lambda: now[0])
    await door.open()
    one.connection_made(Transport())  # type: ignore[arg-type]
    line = (wrapped(APDU) if framing == "WRAPPER" else hdlc(APDU)) * 2
    middle = len(line) // 4
    one.data_received(line[:middle])
    for count in range(1, 100):
        now[0] += 1.0
        one.data_received(line[middle : middle + len(line) // 2])
        one.sweep(now[0])
        assert len(desk.sink.readings) == count
    now[0] += limits.UNFINISHED_S + 1
    one.sweep(now[0])  # now it is silent
    assert Transport.aborted == (framing == "WRAPPER")
    await door.close()


class Transport:
    """A transport that only remembers that it was aborted."""

    aborted = False

    def __init__(self) -> None:
        type(self).aborted = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 5

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        type(self).aborted = True

    def write(self, data: bytes) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def test_pushes_that_are_begun_over_tcp_take_bounded_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_door, "MOST_HELD", 5000)
    door = desk.door("tcp", interfaceType="HDLC")
    await door.open()
    part = Frame(b"\x2b", b"\x21", 0x03, b"\xe6\xe7\x00" + bytes(1500), segmented=True).encode()
    calls = [await call(door) for _ in range(6)]
    for _, writer in calls:
        writer.write(part)
    await until(lambda: any(cause == "held" for _, cause, _ in desk.told))
    for _, writer in calls:
        writer.close()
    await until(lambda: door.held == 0 and not door._all)
    await door.close()
