"""The HDLC side of a simulated meter: a secondary station (IEC 62056-46, ISO/IEC 13239).

Frames in, bytes out. It answers only frames with a correct FCS and its own address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dlms_connector.simulator.datalink.hdlc_frames import Frame, make_frame
from dlms_connector.simulator.faults import Faults

SNRM, DISC, UA, DM, FRMR, UI = 0x83, 0x43, 0x63, 0x0F, 0x87, 0x03
POLL = 0x10
_COMMAND_LLC, _RESPONSE_LLC = b"\xe6\xe6\x00", b"\xe6\xe7\x00"
#: An answer that another client waits for.
_OTHERS_REPLY = _RESPONSE_LLC + bytes.fromhex("C401C1001208FE")
_DEFAULT_INFO = 128
_LONGEST_REQUEST = 0x10000


@dataclass
class Sizes:
    """Information field sizes and windows, as seen from the meter."""

    transmit: int = _DEFAULT_INFO
    receive: int = _DEFAULT_INFO
    transmit_window: int = 1
    receive_window: int = 1

    def negotiate(self, information: bytes) -> Sizes:
        """Return the smaller value of both sides; a value not proposed counts as the default."""
        wish = {5: _DEFAULT_INFO, 6: _DEFAULT_INFO, 7: 1, 8: 1} | _parameters(information)
        return Sizes(
            min(self.transmit, wish[6]),
            min(self.receive, wish[5]),
            min(self.transmit_window, wish[8]),
            min(self.receive_window, wish[7]),
        )

    def encode(self) -> bytes:
        """Write the information field of a UA."""
        out = b"".join(
            bytes((key, 1 if value < 0x100 else 2)) + value.to_bytes(1 + (value > 0xFF), "big")
            for key, value in ((5, self.transmit), (6, self.receive))
        )
        out += b"\x07\x04" + self.transmit_window.to_bytes(4, "big")
        out += b"\x08\x04" + self.receive_window.to_bytes(4, "big")
        return b"\x81\x80" + bytes((len(out),)) + out


def _parameters(information: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    if information[:2] != b"\x81\x80":
        return found
    at = 3
    while at + 2 <= len(information):
        key, size = information[at], information[at + 1]
        value = int.from_bytes(information[at + 2 : at + 2 + size], "big")
        if value:
            found[key] = value
        at += 2 + size
    return found


@dataclass
class Station:
    """The secondary station of one meter; it serves one client at a time.

    `answer(apdu, client)` is the application layer (None = no answer). `lost()` is called
    when the data link ends or a new one begins.
    """

    offered: Sizes
    faults: Faults
    answer: Callable[[bytes, int], bytes | None]
    lost: Callable[[], None]
    always_connected: bool = False
    connected: bool = False
    _client: bytes = b""
    _server: bytes = b""
    _sizes: Sizes = field(default_factory=Sizes)
    _send: int = 0
    _receive: int = 0
    _request: bytearray = field(default_factory=bytearray)
    _unsent: list[bytes] = field(default_factory=list)
    _unconfirmed: list[tuple[int, bytes, bool]] = field(default_factory=list)

    def take(self, frame: Frame) -> bytes:
        """Answer a frame addressed to this meter; return b"" to send nothing."""
        self._server = frame.destination
        if other := int(self.faults["others-session"]):
            return make_frame(bytes((other << 1 | 1,)), self._server, 0x30, _OTHERS_REPLY, False)
        control = frame.control & ~POLL
        if control == SNRM:
            return self._snrm(frame)
        if self.always_connected and not self.connected and control & 1 == 0:
            self._begin(frame)
        if not self.connected or frame.source != self._client:
            return self._say(DM, to=frame.source) if frame.control & POLL else b""
        if control == DISC:
            self.disconnect()
            return self._say(UA)
        if frame.control & 1 == 0:
            return self._information(frame)
        if control & 0x0F in (0x01, 0x05, 0x09):
            return self._supervisory(frame.control)
        if control == UI:
            return self._unnumbered(frame) if "wants-ui" in self.faults else b""
        return self._say(FRMR)

    def resume(self, client: bytes) -> None:
        """Go on with the data link of an earlier connection."""
        self.connected, self._client = True, client

    def disconnect(self) -> None:
        """End the data link."""
        self.connected = False
        self.lost()

    def _snrm(self, frame: Frame) -> bytes:
        self._begin(frame)
        fixed = "fixed-sizes" in self.faults
        self._sizes = self.offered if fixed else self.offered.negotiate(frame.information)
        return self._say(UA, self._sizes.encode())

    def _begin(self, frame: Frame) -> None:
        self.lost()
        self.connected, self._client = True, frame.source
        self._send = self._receive = 0
        self._request.clear()
        self._unsent, self._unconfirmed = [], []
        self._sizes = self.offered

    def _unnumbered(self, frame: Frame) -> bytes:
        """Answer an APDU in a UI frame, which is in one piece."""
        if frame.information[:3] != _COMMAND_LLC:
            return b""
        reply = self.answer(frame.information[3:], self._client[0] >> 1)
        return b"" if reply is None else self._say(UI, _RESPONSE_LLC + reply)

    def _information(self, frame: Frame) -> bytes:
        if "wants-ui" in self.faults:
            return self._say(FRMR, bytes((frame.control, self._send << 1, 0x01)))
        if self.faults.once("dm-at"):
            self.disconnect()
            return self._say(DM)
        if self.faults.once("frmr-at"):
            return self._say(FRMR, bytes((frame.control, self._send << 1, 0x01)))
        if self._loses(frame.information):
            return b""
        if frame.control >> 1 & 7 != self._receive:  # a repeated frame, or one was lost
            return self._supervisory(frame.control) if frame.control & POLL else b""
        too_much = len(self._request) > _LONGEST_REQUEST
        if len(frame.information) > self._sizes.receive or too_much:
            return self._say(FRMR, bytes((frame.control, self._send << 1, 0x04)))
        self._confirm(frame.control >> 5)
        self._receive = (self._receive + 1) & 7
        self._request += frame.information
        if frame.segmented:
            return self._say_ready() if frame.control & POLL else b""
        request = bytes(self._request)
        self._request.clear()
        if request[:3] != _COMMAND_LLC:
            return self._say_ready()
        reply = self.answer(request[3:], self._client[0] >> 1)
        if reply is None:
            return b""
        if not reply:
            return self._say(FRMR, bytes((frame.control, self._send << 1, 0x01)))
        self._queue(_RESPONSE_LLC + reply)
        return self._window()

    def _supervisory(self, control: int) -> bytes:
        self._confirm(control >> 5)
        if self._unconfirmed:
            return self._repeat()
        return self._window() if self._unsent else self._say_ready()

    def _queue(self, reply: bytes) -> None:
        size = self._sizes.transmit
        self._unconfirmed = []
        self._unsent = [reply[at : at + size] for at in range(0, len(reply), size)]

    def _confirm(self, expected: int) -> None:
        """Drop the confirmed frames; the client expects N(S) = `expected` next."""
        numbers = [number for number, _, _ in self._unconfirmed]
        if expected == self._send:
            self._unconfirmed = []
        elif expected in numbers:
            self._unconfirmed = self._unconfirmed[numbers.index(expected) :]

    def _window(self) -> bytes:
        while self._unsent and len(self._unconfirmed) < self._sizes.transmit_window:
            part = self._unsent.pop(0)
            self._unconfirmed.append((self._send, part, bool(self._unsent)))
            self._send = (self._send + 1) & 7
        return self._repeat()

    def _repeat(self) -> bytes:
        out = b""
        for index, (number, part, more) in enumerate(self._unconfirmed):
            last = index == len(self._unconfirmed) - 1
            if self.faults.every("wrong-sequence"):
                number = (number + 3) & 7
            control = self._receive << 5 | (POLL if last else 0) | number << 1
            if "never-counts" in self.faults:
                control &= POLL
            out += self._frame(control, part, more=more)
        return out

    def _loses(self, information: bytes) -> bool:
        return "longest-frame" in self.faults and len(information) > self.faults["longest-frame"]

    def _say_ready(self) -> bytes:
        return self._frame(self._receive << 5 | POLL | 0x01)

    def _say(self, control: int, information: bytes = b"", to: bytes = b"") -> bytes:
        return self._frame(control | POLL, information, to=to)

    def _frame(
        self, control: int, information: bytes = b"", *, to: bytes = b"", more: bool = False
    ) -> bytes:
        if self._loses(information):
            return b""
        frame = make_frame(to or self._client, self._server, control, information, more)
        if self.faults.every("bad-fcs"):
            frame = frame[:-2] + bytes((frame[-2] ^ 0x5A,)) + frame[-1:]
        if "foreign-frames" in self.faults:
            frame = make_frame(b"\x7b", self._server, control, information, more) + frame
        return frame
