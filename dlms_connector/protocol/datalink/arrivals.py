"""Whole APDUs out of a stream that a meter sends unasked: HDLC, the wrapper, M-Bus.

Nobody can ask for a repetition. So what is damaged is dropped, and what is cut short is not
completed by what comes next. All of it is bounded: an APDU has at most 65535 octets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from dlms_connector.protocol.datalink.hdlc_frame import POLL_FINAL, UI, Frame, FrameReader
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_COMMAND, LLC_RESPONSE
from dlms_connector.protocol.datalink.mbus import LongFrames, Segments
from dlms_connector.protocol.datalink.wrapper_reader import Expected, WrapperReader
from dlms_connector.protocol.remarks import UNASKED

PushFraming = Literal["WRAPPER", "HDLC", "MBUS"]

_LONGEST = 0xFFFF
#: What an APDU begins with where the LLC octets are left out.
_BEGINS = UNASKED | {b"\xdb", b"\xdc", b"\xdf"}
_MOST_SENDERS = 256
#: Octets that the parts of all senders of a stream may have together.
_MOST_HELD = 4 * _LONGEST
_WRAPPER_HEAD = 6


class Arrival(NamedTuple):
    """An APDU, and the addresses of the frames around it, as they were on the line.

    They are the sender's and the receiver's; of the wrapper two octets each.
    """

    apdu: bytes
    source: bytes = b""
    destination: bytes = b""


class Arrivals(Protocol):
    """A reader of one stream."""

    def feed(self, data: bytes) -> list[Arrival]:
        """Add received octets; return the APDUs that are whole now. Raises ProtocolError."""
        ...

    @property
    def begun(self) -> bool:
        """Whether a part of an APDU is there, and its rest is not."""
        ...

    @property
    def held(self) -> int:
        """How many octets of parts without their rest are kept, about."""
        ...

    def reset(self) -> None:
        """Discard what is there: its rest does not come any more."""
        ...


def make_arrivals(framing: PushFraming) -> Arrivals:
    """Return a reader for a framing."""
    return _READERS[framing]()


class _HdlcArrivals:
    """APDUs in UI frames, also in several (bit S of the format); of each sender apart.

    I frames are taken, too: some senders number all frames behind the first one of a push, though
    nobody acknowledges them.
    """

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._parts: dict[tuple[bytes, bytes], bytearray] = {}
        self._within = False

    @property
    def begun(self) -> bool:
        return bool(self._parts) or self._within

    @property
    def held(self) -> int:
        return sum(map(len, self._parts.values()))

    def reset(self) -> None:
        self._reader.reset()
        self._parts.clear()
        self._within = False

    def feed(self, data: bytes) -> list[Arrival]:
        self._reader.feed(data)
        found = []
        while (frame := self._reader.next()) is not None:
            is_push = frame.is_information or frame.control | POLL_FINAL == UI
            if is_push and (apdu := self._joined(frame)):
                found.append(Arrival(apdu, frame.source, frame.destination))
        self._within = self._reader.begun
        return found

    def _joined(self, frame: Frame) -> bytes | None:
        sender = frame.source, frame.destination
        parts = self._parts.pop(sender, bytearray())
        information = frame.information
        for llc in (LLC_RESPONSE, LLC_COMMAND):
            if information.startswith(llc):
                parts, information = bytearray(), information[len(llc) :]
                break
        else:
            if not parts and information[:1] not in _BEGINS:
                return None  # the rest of something whose beginning was lost
        parts += information
        if not frame.segmented:
            return bytes(parts)
        if len(parts) <= _LONGEST:
            self._parts[sender] = parts
            while len(self._parts) > _MOST_SENDERS or self.held > _MOST_HELD:
                del self._parts[next(iter(self._parts))]  # the one that was silent for longest
        return None


class _WrapperArrivals:
    """APDUs with a header each; the first one tells the addresses that the others have."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._reader: WrapperReader | None = None

    @property
    def begun(self) -> bool:
        return bool(self._head) or (self._reader is not None and self._reader.begun)

    @property
    def held(self) -> int:
        return len(self._head)

    def reset(self) -> None:
        self._head.clear()
        self._reader = None

    def feed(self, data: bytes) -> list[Arrival]:
        if self._reader is None:
            self._head += data
            if len(self._head) < _WRAPPER_HEAD:
                return []
            data = bytes(self._head)
            self._head.clear()
            self._reader = WrapperReader(_addresses(data))
        self._reader.feed(data)
        found = []
        while (frame := self._reader.next()) is not None:
            source, destination, apdu = frame
            found.append(Arrival(apdu, source.to_bytes(2, "big"), destination.to_bytes(2, "big")))
        return found


class _MbusArrivals:
    """APDUs in long frames, one or several each."""

    def __init__(self) -> None:
        self._reader, self._segments = LongFrames(), Segments()

    @property
    def begun(self) -> bool:
        return self._reader.begun or self._segments.begun

    @property
    def held(self) -> int:
        return self._segments.held

    def reset(self) -> None:
        self._reader.reset()
        self._segments.reset()

    def feed(self, data: bytes) -> list[Arrival]:
        self._reader.feed(data)
        found = []
        while (frame := self._reader.next()) is not None:
            if apdu := self._segments.add(frame):
                found.append(Arrival(apdu, bytes((frame.address,)) + frame.data[:1]))
        return found


_READERS: dict[PushFraming, Callable[[], Arrivals]] = {
    "HDLC": _HdlcArrivals,
    "WRAPPER": _WrapperArrivals,
    "MBUS": _MbusArrivals,
}


def _addresses(head: bytes) -> Expected | None:
    """Return what the frames of a stream begin with; None if it begins with noise."""
    version, source, destination = (
        int.from_bytes(head[at : at + 2], "big") for at in range(0, _WRAPPER_HEAD, 2)
    )
    return Expected(source, destination) if version == 1 else None
