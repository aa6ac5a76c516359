"""Meters that would hold a line for ever, on a clock that jumps: all that is asked of them ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import DlmsError, LinkClosedError, UnreadyError
from dlms_connector.link.inbox import Inbox
from dlms_connector.meter.plan import wanted
from dlms_connector.protocol.datalink.hdlc_frame import DISC, DM, SNRM, UA, Frame, FrameReader
from dlms_connector.protocol.datalink.wrapper import encode
from tests.support import fake_time
from tests.support.fake_meter import ref
from tests.support.polled import meter_on

LOG = logging.getLogger("test.hostile_meters")
HERE = b"\x03"  # client 1, and the server's only address: 1
TIMEOUT_S, RETRIES, ITEMS = 5.0, 2, 5
JOB_S = 7.0

AARE = bytes.fromhex(
    "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000101D19000007"
)
FOREIGN = Frame(b"\x21", b"\x55", 0x30, b"\xe6\xe7\x00for another client").encode()

#: Told what was sent, returns what to say, and after how many seconds.
Answers = Callable[[bytes], tuple[float, bytes]]


class HostileLink:
    """Says something every `period_s` seconds, unasked, and answers with a delay."""

    def __init__(
        self, answers: Answers, unasked: Callable[[int], bytes], period_s: float | None
    ) -> None:
        self.bytes_in = self.bytes_out = 0
        self.is_open = False
        self._answers, self._unasked, self._period_s = answers, unasked, period_s
        self._count = 0
        self._inbox: Inbox | None = None

    async def open(self) -> None:
        self._inbox = Inbox(lambda: None, lambda: None)
        self.is_open = True
        if self._period_s:
            self._babble()

    def send(self, data: bytes) -> None:
        if not self.is_open:
            raise LinkClosedError
        self.bytes_out += len(data)
        after_s, answer = self._answers(bytes(data))
        asyncio.get_running_loop().call_later(after_s, self._arrives, answer)

    async def receive(self, deadline: float) -> bytes:
        assert self._inbox
        return await self._inbox.get(deadline)

    def drain(self) -> bytes:
        return self._inbox.take() if self._inbox else b""

    async def close(self) -> None:
        self.is_open = False
        if self._inbox:
            self._inbox.end()

    def _babble(self) -> None:
        if self.is_open:
            self._arrives(self._unasked(self._count))
            self._count += 1
            asyncio.get_running_loop().call_later(self._period_s or 1, self._babble)

    def _arrives(self, data: bytes) -> None:
        if data and self._inbox:
            self.bytes_in += len(data)
            self._inbox.put(data)


def nothing(_: Any) -> bytes:
    return b""


def silence(_: bytes) -> tuple[float, bytes]:
    return 0.0, b""


def said(control: int, information: bytes = b"", *, segmented: bool = False) -> bytes:
    return Frame(HERE, HERE, control, information, segmented).encode()


def numbered(frame: Frame) -> tuple[int, int]:
    """Return N(S) and N(R) of what answers a frame."""
    return frame.receive_number, frame.send_number + 1 & 7


class Associated:
    """Opens associations as it should, and has its own way with the rest."""

    def __init__(self, after_s: float, answer: Callable[[Frame], bytes]) -> None:
        self._after_s, self._answer = after_s, answer

    def __call__(self, sent: bytes) -> tuple[float, bytes]:
        reader = FrameReader()
        reader.feed(sent)
        frame = reader.next()
        if frame is None:
            return 0.0, b""
        if frame.control in (SNRM, DISC):
            return 0.0, said(UA)
        if frame.information[3:4] == b"\x60":
            return 0.0, said(0x30, b"\xe6\xe7\x00" + AARE)
        return self._after_s, self._answer(frame)


class Segments:
    """Every segment says that another follows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._receive = 0

    def __call__(self, frame: Frame) -> bytes:
        send = frame.receive_number
        if frame.is_information:
            self._receive = frame.send_number + 1 & 7
        control = self._receive << 5 | 0x10 | send << 1
        return said(control, b"\xe6\xe7\x00" + bytes(self._size), segmented=True)


class Ready:
    """It has heard, and has nothing to say yet."""

    def __init__(self) -> None:
        self._receive = 0

    def __call__(self, frame: Frame) -> bytes:
        if frame.is_information:
            self._receive = frame.send_number + 1 & 7
        return said(self._receive << 5 | 0x11)


def blocks(frame: Frame) -> bytes:
    """Every block of a long value says that another follows."""
    send, receive = numbered(frame)
    request = frame.information[3:]
    number = int.from_bytes(request[3:7], "big") + 1 if request[1] == 2 else 1
    block = b"\xc4\x02" + request[2:3] + b"\x00" + number.to_bytes(4, "big") + b"\x00\x01x"
    return said(receive << 5 | 0x10 | send << 1, b"\xe6\xe7\x00" + block)


def deaf(_: Frame) -> bytes:
    """It acknowledges nothing: that it is ready for the frame behind the AARQ, for ever."""
    return said(0x31)


#: Framing, answers, what is said unasked, and how often.
METERS: dict[str, tuple[str, Answers, Callable[[int], bytes], float | None]] = {
    "a byte every second": ("HDLC", silence, lambda _: b"\x41", 1.0),
    "a flag every second": ("HDLC", silence, lambda _: b"\x7e", 1.0),
    "an octet of a frame every second": (
        "HDLC", silence, lambda count: FOREIGN[count % len(FOREIGN) :][:1], 1.0,
    ),
    "a foreign frame every second": ("HDLC", silence, lambda _: FOREIGN, 1.0),
    "foreign frames in place of an answer": (
        "HDLC", Associated(0.0, nothing), lambda _: FOREIGN, 1.0,
    ),
    "in disconnected mode": ("HDLC", lambda _: (0.0, said(DM)), lambda _: said(DM), 1.0),
    "slow segments without end": ("HDLC", Associated(4.9, Segments(1)), nothing, None),
    "segments without end": ("HDLC", Associated(0.0, Segments(1)), nothing, None),
    "empty segments without end": ("HDLC", Associated(0.0, Segments(0)), nothing, None),
    "slowly ready for ever": ("HDLC", Associated(4.9, Ready()), nothing, None),
    "ready for ever": ("HDLC", Associated(0.0, Ready()), nothing, None),
    "deaf": ("HDLC", Associated(0.0, deaf), nothing, None),
    "slow blocks without end": ("HDLC", Associated(4.9, blocks), nothing, None),
    "an octet of a wrapper frame every second": (
        "WRAPPER", silence, lambda count: encode(1, 1, bytes(60_000))[count:][:1], 1.0,
    ),
    "wrapper frames of others": ("WRAPPER", silence, lambda _: encode(7, 1, b"x"), 1.0),
    "many wrapper frames of others": ("WRAPPER", silence, lambda _: encode(7, 1, b"x"), 0.01),
    "notifications without end": (
        "WRAPPER", silence, lambda _: encode(1, 1, b"\x0f\x00\x00\x00\x01\x00\x00"), 0.2,
    ),
    "noise where it should sign on": ("HDLC_WITH_MODE_E", silence, lambda _: b"A", 1.0),
}  # fmt: skip


def device_of(framing: str) -> Device:
    mode_e = framing == "HDLC_WITH_MODE_E"
    connection = {"type": "serial", "port": "/dev/none"} if mode_e else {"host": "none"}
    addresses = {} if framing == "WRAPPER" else {"logicalAddress": 0, "physicalAddress": 1}
    return Device.model_validate(
        {
            "deviceName": "M",
            "connection": connection | {"timeoutMs": TIMEOUT_S * 1000, "retries": RETRIES},
            "dlms": {"interfaceType": framing, "clientAddress": 1, **addresses},
            "timeseries": [{"key": f"e{n}", "obis": f"1-0:{n}.8.0"} for n in range(1, ITEMS + 1)],
        }
    )


@pytest.mark.parametrize("name", ["ready for ever", "slowly ready for ever"])
def test_a_meter_that_is_ready_for_ever_is_told_as_that(name: str) -> None:
    framing, answers, unasked, period_s = METERS[name]

    async def body() -> None:
        loop = asyncio.get_running_loop()
        device, link = device_of(framing), HostileLink(answers, unasked, period_s)
        meter = meter_on(device, link, now_ms=lambda: int(loop.time() * 1000))
        start = loop.time()
        with pytest.raises(UnreadyError, match=r"said for 3\d s that it is ready"):
            await meter.run(lambda client: client.get([ref("1-0:1.8.0")]), timeout_s=1000)
        assert loop.time() - start < 60

    fake_time.run(body())


@pytest.mark.parametrize("name", METERS)
def test_whatever_it_says_the_line_is_free_again(name: str) -> None:
    framing, answers, unasked, period_s = METERS[name]

    async def body() -> None:
        loop = asyncio.get_running_loop()
        device, link = device_of(framing), HostileLink(answers, unasked, period_s)
        meter = meter_on(device, link, now_ms=lambda: int(loop.time() * 1000))
        start = loop.time()
        outcome = await meter.poll(wanted(device))
        assert outcome.error
        assert not outcome.poll.readings
        # Two for each item, and four requests that meet nothing but silence; then a goodbye.
        assert loop.time() - start <= TIMEOUT_S * (2 * ITEMS + 4 * (RETRIES + 1)) + TIMEOUT_S

        start = loop.time()
        await meter.session.release()
        assert loop.time() - start <= 2 * TIMEOUT_S

        start = loop.time()
        with pytest.raises(DlmsError):
            await meter.run(lambda client: client.get([ref("1-0:1.8.0")]), timeout_s=JOB_S)
        assert loop.time() - start <= JOB_S + TIMEOUT_S

    fake_time.run(body())
