"""Simulated meters on sockets, pseudo-terminals and calls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import pytest

from dlms_connector.simulator import (
    MeterOptions,
    dial_in,
    frame_notification,
    push,
    simulate,
    simulate_terminal,
)
from dlms_connector.simulator.datalink.hdlc_frames import Framer, make_frame
from dlms_connector.simulator.datalink.wrapper import make_packet
from dlms_connector.simulator.encoding.data import encode
from dlms_connector.simulator.security.ciphering import Keys
from tests.support.simulated import aarq, make_meter

AARQ = make_packet(16, 1, aarq())
WRAPPER = MeterOptions(framing="WRAPPER")


async def call(port: int, request: bytes = AARQ) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(1000), 5)
    finally:
        writer.close()


async def test_each_meter_has_a_port_of_its_own() -> None:
    meters = [MeterOptions(framing="WRAPPER", serial=number) for number in range(1, 51)]
    async with simulate(meters) as endpoints:
        assert len({endpoint.port for endpoint in endpoints}) == 50
        replies = await asyncio.gather(*(call(endpoint.port) for endpoint in endpoints))
        assert all(bytes.fromhex("A203020100") in reply for reply in replies)
        assert {endpoint.meter.seed for endpoint in endpoints} == set(range(1, 51))


async def test_a_meter_goes_away_and_comes_back() -> None:
    async with simulate([WRAPPER]) as (endpoint,):
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        await endpoint.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        with pytest.raises(OSError, match=r"(?i)connect"):
            await call(endpoint.port)
        await endpoint.start()
        assert await call(endpoint.port)
        writer.close()


async def test_fragments_and_delays_on_the_wire() -> None:
    async with simulate([MeterOptions(framing="WRAPPER")]) as (endpoint,):
        endpoint.meter.faults.set("one-byte-fragments")
        endpoint.meter.faults.set("delay", 0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(AARQ)
        assert len(await asyncio.wait_for(reader.readexactly(51), 5)) == 51
        writer.close()


async def test_a_dropped_connection() -> None:
    async with simulate([MeterOptions(framing="WRAPPER", faults=["drop-after=10"])]) as (endpoint,):
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(AARQ)
        assert len(await asyncio.wait_for(reader.read(), 5)) == 10
        writer.close()


async def test_udp() -> None:
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Peer(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            arrived.set_result(data)

    async with simulate([WRAPPER], udp=True) as (endpoint,):
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Peer, remote_addr=("127.0.0.1", endpoint.port)
        )
        transport.sendto(AARQ)
        assert bytes.fromhex("A203020100") in await asyncio.wait_for(arrived, 5)
        transport.close()


async def test_a_meter_that_calls() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard.put(await reader.readexactly(5))
        writer.write(AARQ)
        await heard.put(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with dial_in(WRAPPER, "127.0.0.1", port, greeting=b"hello"):
        assert await asyncio.wait_for(heard.get(), 5) == b"hello"
        assert bytes.fromhex("A203020100") in await asyncio.wait_for(heard.get(), 5)
    server.close()


async def test_a_meter_that_pushes() -> None:
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    meter = make_meter(framing="WRAPPER")
    await push(meter, "127.0.0.1", server.sockets[0].getsockname()[1])
    packet = await asyncio.wait_for(arrived, 5)
    assert packet[:8] == bytes.fromhex("000100010010") + (len(packet) - 8).to_bytes(2, "big")
    time = "0C07EA0915010E0D1400000000"
    assert packet[8:] == bytes.fromhex("0F40000001" + time + "020309" + time + "0910") + (
        b"SIM0000000000001" + encode(meter.value(3, bytes.fromhex("0100010800FF"), 2))
    )
    server.close()


def test_notifications_in_frames_and_ciphered() -> None:
    meter = make_meter(security="AUTHENTICATION_ENCRYPTION")
    (frame,) = Framer().feed(frame_notification(meter))
    assert (frame.control, frame.destination) == (0x13, b"\x21")
    apdu = frame.information[3:]
    assert apdu[:11] == b"\xdb\x08" + meter.options.title() + apdu[10:11]
    keys = Keys(
        meter.options.title(), meter.options.block_cipher_key, meter.options.authentication_key
    )
    assert keys.open(0x30, 1, apdu[16:]).startswith(b"\x0f\x40\x00\x00\x01\x0c")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
async def test_an_optical_port() -> None:
    loop = asyncio.get_running_loop()
    async with simulate_terminal(MeterOptions(framing="HDLC_WITH_MODE_E")) as terminal:
        line = os.open(terminal.path, os.O_RDWR | os.O_NOCTTY)
        os.set_blocking(line, False)
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(line, lambda: arrived.put_nowait(os.read(line, 4096)))

        async def ask(request: bytes, until: bytes) -> bytes:
            os.write(line, request)
            got = b""
            while not got.endswith(until):
                got += await asyncio.wait_for(arrived.get(), 5)
            return got

        snrm = make_frame(b"\x02\x03", b"\x21", 0x93)
        try:
            os.write(line, snrm)  # nobody listens to HDLC yet
            # As a port without parity sends 7E1: the eighth bit is the parity.
            sevens = bytes(octet | 0x80 if octet.bit_count() % 2 else octet for octet in b"/?!\r\n")
            assert await ask(sevens, b"\n") == b"/SIM5\\2SIMULATED\r\n"
            assert await ask(b"\x06252\r\n", b"\n") == b"\x06252\r\n"
            assert (await ask(snrm, b"\x7e"))[6] == 0x73
            disconnect = make_frame(b"\x02\x03", b"\x21", 0x53)
            assert (await ask(disconnect, b"\x7e"))[6] == 0x73
            assert await ask(b"/?00000001!\r\n", b"\n") == b"/SIM5\\2SIMULATED\r\n"
        finally:
            loop.remove_reader(line)
            os.close(line)
