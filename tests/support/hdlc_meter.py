"""A secondary station in memory: answers SNRM, DISC, I and RR frames as a meter does."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.protocol.datalink.hdlc_frame import DISC, DM, SNRM, UA, Frame, FrameReader

CLIENT = b"\x21"  # 16
SERVER = b"\x00\x02\x00\x23"  # 1, 17


class HdlcMeter:
    """What it says to an APDU is a function; faults are planted by changing its attributes."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes] = lambda apdu: b"<" + apdu + b">",
        *,
        client: bytes = CLIENT,
        server: bytes = SERVER,
        ua: bytes = b"",
        size: int = 128,
        window: int = 1,
    ) -> None:
        self.client, self.server, self.ua = client, server, ua
        self.size, self.window = size, window
        self.heard: list[Frame] = []
        self.apdus: list[bytes] = []
        self.connected = False
        self._answer = answer
        self._reader = FrameReader()
        self._reset()

    def __call__(self, sent: bytes) -> bytes:
        self._reader.feed(sent)
        frames = []
        while frame := self._reader.next():
            self.heard.append(frame)
            if frame.destination == self.server and frame.source == self.client:
                frames += self.react(frame)
        return b"".join(frame.encode() for frame in frames)

    def react(self, frame: Frame) -> list[Frame]:
        if frame.control == SNRM:
            self._reset()
            self.connected = True
            return [self.frame(UA, self.ua)]
        if frame.control == DISC:
            was, self.connected = self.connected, False
            return [self.frame(UA if was else DM)]
        if not self.connected:
            return [self.frame(DM)]
        if frame.is_information:
            self._take(frame)
        self._acknowledge(frame.receive_number)
        return self._speak() if frame.final else []

    def frame(self, control: int, information: bytes = b"", segmented: bool = False) -> Frame:
        return Frame(self.client, self.server, control, information, segmented)

    def _reset(self) -> None:
        self.sent = self.expected = 0
        self._in = bytearray()
        self._out: list[bytes] = []

    def _take(self, frame: Frame) -> None:
        if frame.send_number != self.expected:
            return
        self.expected = (self.expected + 1) & 7
        self._in += frame.information
        if not frame.segmented:
            apdu = bytes(self._in)
            assert apdu.startswith(b"\xe6\xe6\x00")
            self._in.clear()
            self.apdus.append(apdu[3:])
            reply = b"\xe6\xe7\x00" + self._answer(apdu[3:])
            self._acknowledge(frame.receive_number)
            self._out = [reply[at : at + self.size] for at in range(0, len(reply), self.size)]

    def _acknowledge(self, number: int) -> None:
        count = (number - self.sent) & 7
        if count <= min(len(self._out), self.window):
            del self._out[:count]
            self.sent = number

    def _speak(self) -> list[Frame]:
        batch = self._out[: self.window]
        if not batch:
            return [self.frame(self.expected << 5 | 0x11)]
        return [
            self.frame(
                self.expected << 5
                | (0x10 if index + 1 == len(batch) else 0)
                | ((self.sent + index) & 7) << 1,
                segment,
                index + 1 < len(self._out),
            )
            for index, segment in enumerate(batch)
        ]
