"""What the data link costs: python -m tests.benchmarks.bench_datalink

Prints ratios of one run: both sides of each are measured in turns, on the same machine,
and the best of several rounds counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from gurux_dlms import GXByteBuffer, GXDLMSClient, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType
from gurux_dlms.objects import GXDLMSRegister

from dlms_connector.link.tcp import TcpLink
from dlms_connector.meter.exchange import converse
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_frame import Frame
from dlms_connector.protocol.talk import Talk
from tests.support.peers import tcp_peer

ROUNDS = 7
EXCHANGES = 400
REPLY = bytes.fromhex("c401c1000600003 4cf".replace(" ", ""))


def gurux_hdlc() -> Callable[[], None]:
    """GET of a register, frames by gurux_dlms."""
    client = GXDLMSClient(True, 16, 1, Authentication.NONE, None, InterfaceType.HDLC)
    register = GXDLMSRegister("1.1.32.7.0.255")

    def run() -> None:
        client.settings.resetFrameSequence()
        for number in range(EXCHANGES):
            request = client.read(register, 2)[0]
            control = ((number + 1) & 7) << 5 | 0x10 | (number & 7) << 1
            answer = Frame(b"\x21", b"\x03", control, b"\xe6\xe7\x00" + REPLY).encode()
            reply = GXReplyData()
            client.getData(GXByteBuffer(answer), reply, None)
            assert reply.value == 13519, request

    return run


def our_hdlc() -> Callable[[], None]:
    """The same GET: APDUs by gurux_dlms without framing, frames by us."""
    client = GXDLMSClient(True, 16, 1, Authentication.NONE, None, InterfaceType.PDU)
    register = GXDLMSRegister("1.1.32.7.0.255")

    def run() -> None:
        hdlc = Hdlc(b"\x21", b"\x03", skip_snrm=True)
        finish(hdlc.connect(), b"")
        for number in range(EXCHANGES):
            request = client.read(register, 2)[0]
            control = ((number + 1) & 7) << 5 | 0x10 | (number & 7) << 1
            answer = Frame(b"\x21", b"\x03", control, b"\xe6\xe7\x00" + REPLY).encode()
            apdu = finish(hdlc.exchange(bytes(request)), answer)
            reply = GXReplyData()
            client.getData(GXByteBuffer(apdu), reply, None)
            assert reply.value == 13519

    return run


def gurux_apdus_alone() -> Callable[[], None]:
    """What both have in common: building and parsing the APDUs, and the answer's frame."""
    client = GXDLMSClient(True, 16, 1, Authentication.NONE, None, InterfaceType.PDU)
    register = GXDLMSRegister("1.1.32.7.0.255")

    def run() -> None:
        for number in range(EXCHANGES):
            request = client.read(register, 2)[0]
            control = ((number + 1) & 7) << 5 | 0x10 | (number & 7) << 1
            assert Frame(b"\x21", b"\x03", control, b"\xe6\xe7\x00" + REPLY).encode()
            reply = GXReplyData()
            client.getData(GXByteBuffer(REPLY), reply, None)
            assert reply.value == 13519, request

    return run


def finish(talk: Talk[bytes] | Talk[None], answer: bytes) -> bytes:
    """Run a talk that asks once at most."""
    try:
        next(talk)
        talk.send(answer)
    except StopIteration as done:
        return done.value or b""
    raise AssertionError("one answer was not enough")


def question(data: bytes) -> Talk[bytes]:
    """Ask once."""
    answer = yield data
    while len(answer) < len(data):
        answer += yield b""
    return answer


async def by_link(port: int) -> None:
    """Exchanges through our link and driver."""
    link = TcpLink("127.0.0.1", port)
    await link.open()
    for _ in range(EXCHANGES):
        await converse(question(b"x" * 27), link, timeout_s=5)
    await link.close()


async def by_streams(port: int) -> None:
    """The same exchanges through asyncio's streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(EXCHANGES):
        writer.write(b"x" * 27)
        answer = b""
        while len(answer) < 27:
            answer += await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    await writer.wait_closed()


def measure_cpu() -> None:
    """Compare the framing."""
    runs = {"gurux": gurux_hdlc(), "ours": our_hdlc(), "APDUs": gurux_apdus_alone()}
    best = dict.fromkeys(runs, 1e9)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = perf_counter()
            run()
            best[name] = min(best[name], (perf_counter() - start) / EXCHANGES * 1e6)
    framing = {name: best[name] - best["APDUs"] for name in ("gurux", "ours")}
    print(
        f"GET over HDLC, whole: gurux {best['gurux']:.1f} µs, ours {best['ours']:.1f} µs, ", end=""
    )
    print(f"ratio {best['gurux'] / best['ours']:.2f}")
    print(
        f"of it framing: gurux {framing['gurux']:.1f} µs, ours {framing['ours']:.1f} µs, ", end=""
    )
    print(f"ratio {framing['gurux'] / framing['ours']:.2f}")


async def measure_links() -> None:
    """Compare the links; the echoing server and the loopback cost the same in both."""
    best = {"link": 1e9, "streams": 1e9}
    async with tcp_peer(lambda data: data) as listener:
        for _ in range(ROUNDS):
            for name, run in (("link", by_link), ("streams", by_streams)):
                start = perf_counter()
                await run(listener.port)
                best[name] = min(best[name], (perf_counter() - start) / EXCHANGES * 1e6)
    print(
        f"exchange over TCP loopback, echoing server included: streams {best['streams']:.1f} µs, ",
        end="",
    )
    print(f"ours {best['link']:.1f} µs, ratio {best['streams'] / best['link']:.2f}")


if __name__ == "__main__":
    measure_cpu()
    asyncio.run(measure_links())
