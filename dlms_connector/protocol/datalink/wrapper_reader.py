"""Finds wrapper frames in a stream of bytes, also behind noise and behind a frame cut short.

Eight octets stand before each APDU: version 1, source wPort, destination wPort, length; each two
octets, the high one first (IEC 62056-47). Nothing marks the beginning of a frame. So what is no
frame is passed over until the header of an expected frame comes. And a frame that was cut short
would be completed by the first octets of the next one, with a wrong value: the header of a frame
that lies within another and reaches beyond its end shows this.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Literal, NamedTuple

from dlms_connector.errors import ProtocolError
from dlms_connector.hints import Symptom

VERSION = 1
EXCHANGING = "exchanging wrapper frames"
Order = Literal["big", "little"]

_SIZE = 8
_HEADERS: dict[Order, Struct] = {"big": Struct(">HHHH"), "little": Struct("<HHHH")}
_ADDRESSES: dict[Order, Struct] = {"big": Struct(">HHH"), "little": Struct("<HHH")}
_OTHER: dict[Order, Order] = {"big": "little", "little": "big"}
_MOST_NOISE = 64
#: The first octets of APDUs that a meter sends, plain, ciphered or signed.
_TAGS = frozenset(
    (*range(0x0C, 0x10), 0x16, 0x18, 0x28, *range(0x2C, 0x30), 0x36, 0x38)
) | frozenset((*range(0x4C, 0x50), 0x58, *range(0x60, 0x64), *range(0xC0, 0xE1)))
#: What follows the version of any frame whose APDU has one of them: the addresses are not known.
_REST = rb"....(?!\x00\x00)..[" + re.escape(bytes(sorted(_TAGS))) + rb"]"
_ANY: dict[Order, re.Pattern[bytes]] = {
    "big": re.compile(rb"\x00\x01" + _REST, re.DOTALL),
    "little": re.compile(rb"\x01\x00" + _REST, re.DOTALL),
}


def encode(source: int, destination: int, apdu: bytes, order: Order = "big") -> bytes:
    """Return an APDU with its header. Raises ProtocolError if its length does not fit."""
    if len(apdu) > 0xFFFF:
        raise ProtocolError(EXCHANGING, f"an APDU of {len(apdu)} octets does not fit in a frame")
    return _HEADERS[order].pack(VERSION, source, destination, len(apdu)) + apdu


class Expected(NamedTuple):
    """The addresses of the frames that are waited for, and the order of their octets."""

    source: int
    destination: int
    order: Order = "big"

    def begins(self, order: Order) -> bytes:
        """Return the first octets of its header."""
        return _ADDRESSES[order].pack(VERSION, self.source, self.destination)


class WrapperReader:
    """Cuts a stream into (source, destination, APDU).

    Without `expected`, frames of any address in this order of octets are returned, and one
    behind noise is recognised by the tag of its APDU.
    """

    def __init__(self, expected: Expected | None = None, order: Order = "big") -> None:
        self._expected = expected
        self._order: Order = expected.order if expected else order
        self._version = VERSION.to_bytes(2, self._order)
        #: How the header of a frame for us begins.
        self._ours = expected.begins(self._order) if expected else b""
        self._buffer = bytearray()
        self._noise = b""
        self._astray = False  # whether the buffer begins where no frame does
        self._stale = False  # whether the frame that has begun is not to be returned
        self._searched = 0  # up to where the buffer holds no other header

    @property
    def begun(self) -> bool:
        """Whether the first octets of a frame are there, and its last are not."""
        return bool(self._buffer) and not self._astray

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is there, not even noise."""
        return not self._buffer and not self._astray and not self._noise

    @property
    def beginning(self) -> bytes:
        """What has arrived of the APDU of a frame for us that has begun."""
        ours = self._expected is not None and self._buffer.startswith(
            self._expected.begins(self._order)
        )
        return bytes(self._buffer[_SIZE:]) if ours and self.begun and not self._stale else b""

    @property
    def noise(self) -> bytes:
        """The beginning of what was no frame."""
        return (self._noise + (self._buffer if self._astray else b""))[:_MOST_NOISE]

    def whole(self, data: bytes) -> bytes | None:
        """Return the APDU if nothing has begun and the octets are exactly one frame for us.

        In any other case, None: then they are to be fed.
        """
        ours = self._ours
        if self._buffer or self._astray or not ours or not data.startswith(ours):
            return None
        length = int.from_bytes(data[len(ours) : _SIZE], self._order)
        return data[_SIZE:] if length and len(data) == _SIZE + length else None

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._buffer += data

    def reset(self) -> None:
        """Discard the beginning of a frame."""
        self._skip(len(self._buffer))
        self._astray = False

    def forget(self) -> None:
        """Discard what arrived, and a frame that has begun to: it answers nothing asked later."""
        while self._buffer and self.next() is not None:
            pass
        self._stale = self.begun
        self._noise = b""

    def next(self) -> tuple[int, int, bytes] | None:
        """Return the next whole frame; None if more octets are needed. Raises ProtocolError."""
        while self._at_header():
            _, source, destination, length = _HEADERS[self._order].unpack_from(self._buffer)
            end = _SIZE + length
            if cut := self._cut_at((source, destination), end):
                self._skip(cut)
                continue
            if length == 0:
                raise ProtocolError(EXCHANGING, "a frame without an APDU")
            if len(self._buffer) < end:
                return None
            apdu, stale = bytes(self._buffer[_SIZE:end]), self._stale
            self._skip(end)
            if not stale:
                return source, destination, apdu
        return None

    def _at_header(self) -> bool:
        """Pass over noise; return whether the buffer begins with a whole header."""
        buffer = self._buffer
        self._astray |= not self._version.startswith(bytes(buffer[:2]))
        if self._astray:
            found = self._find()
            gone = max(0, len(buffer) - _SIZE) if found < 0 else found
            self._noise = (self._noise + buffer[:gone])[:_MOST_NOISE]
            del buffer[:gone]
            self._astray, self._searched = found < 0, 0
        return not self._astray and len(buffer) >= _SIZE

    def _find(self) -> int:
        """Return where the next expected header begins; -1 if it is not there."""
        if (expected := self._expected) is None:
            match = _ANY[self._order].search(self._buffer)
            return match.start() if match else -1
        here = self._buffer.find(expected.begins(self._order))
        swapped = self._buffer.find(expected.begins(_OTHER[self._order]))
        if swapped >= 0 and not 0 <= here < swapped:
            raise _swapped(bytes(self._buffer[swapped : swapped + 2]), self._version)
        return here

    def _cut_at(self, addresses: tuple[int, int], end: int) -> int:
        """Return where the next expected frame begins if the first one was cut short; else 0.

        The first one is whole by its length. A frame may hold another as a value, or the octets
        of a header by chance: then nothing follows that reaches beyond its end.
        """
        buffer = self._buffer
        ours = addresses == (self._expected[:2] if self._expected else ())
        if self._expected is None or (ours and len(buffer) <= end):
            return 0
        head = self._expected.begins(self._order)
        # A header that is ours has its own octets up to the length.
        at = max(self._searched, len(head) if ours else 1)
        while (at := buffer.find(head, at, end + len(head) - 1)) >= 0:
            if at + _SIZE >= len(buffer):
                self._searched = at
                return 0
            *_, length = _HEADERS[self._order].unpack_from(buffer, at)
            beyond = not ours or at + _SIZE + length > end
            if length and buffer[at + _SIZE] in _TAGS and beyond:
                return at
            at += 1
        self._searched = max(self._searched, min(len(buffer), end) - len(head) + 1)
        return 0

    def _skip(self, count: int) -> None:
        del self._buffer[:count]
        self._stale, self._searched = False, 0


def _swapped(found: bytes, version: bytes) -> ProtocolError:
    return ProtocolError(
        EXCHANGING,
        f"the header of a frame begins {found.hex(' ')} instead of {version.hex(' ')} (the "
        "version): its octets are in the other order",
    ).showing(Symptom.SWAPPED_HEADER)
