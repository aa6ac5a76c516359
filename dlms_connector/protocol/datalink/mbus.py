"""Wired M-Bus long frames around pushed APDUs (EN 13757-2, EN 13757-3: CI fields 00 to 1F).

A frame is 68 L L 68, then L octets (C, A, CI and data), the sum of those octets, and 16. In the
data stand the transport addresses of sender and receiver before a part of the APDU; the low bits
of CI number the parts from 0 on, and bit 4 marks the last one. Customer ports of Kaifa, Sagemcom
and other meters push in this way. The sum of octets is a weak check: what is ciphered with a tag
is sure, the rest is as good as the line.
"""

from __future__ import annotations

from typing import NamedTuple

_START, _STOP = 0x68, 0x16
_START_SIZE, _END_SIZE = 4, 2
#: C, A, CI and the two transport addresses.
_HEADER = 5
_NUMBER, _LAST, _TRANSPORT = 0x0F, 0x10, 0xE0
#: Senders on one bus whose parts are kept at the same time; a bus holds 250 meters.
_MOST_SENDERS = 256


class LongFrame(NamedTuple):
    """A frame with a correct sum: its CI field, its primary address, and what follows."""

    control_information: int
    address: int
    data: bytes


class LongFrames:
    """Finds long frames in a stream that may contain noise and short frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._buffer += data

    @property
    def begun(self) -> bool:
        """Whether the beginning of a frame is there."""
        return bool(self._buffer)

    def reset(self) -> None:
        """Discard the beginning of a frame."""
        self._buffer.clear()

    def next(self) -> LongFrame | None:
        """Return the next frame with a correct sum; None if more octets are needed."""
        buffer, at = self._buffer, 0
        while (at := buffer.find(_START, at)) >= 0:
            size = _size(buffer, at)
            if size is None or (size and len(buffer) - at < size + _START_SIZE + _END_SIZE):
                del buffer[:at]
                return None
            start, end = at + _START_SIZE, at + _START_SIZE + size
            if size and buffer[end + 1] == _STOP and sum(buffer[start:end]) & 0xFF == buffer[end]:
                body = bytes(buffer[start:end])
                del buffer[: end + _END_SIZE]
                return LongFrame(body[2], body[1], body[3:])
            at += 1
        buffer.clear()
        return None


class Segments:
    """Joins the parts of APDUs, of each sender apart."""

    def __init__(self) -> None:
        self._parts: dict[bytes, list[bytes]] = {}

    @property
    def begun(self) -> bool:
        """Whether there are parts without their last."""
        return bool(self._parts)

    @property
    def held(self) -> int:
        """How many octets of parts there are: at most 16 for each sender."""
        return sum(len(part) for parts in self._parts.values() for part in parts)

    def reset(self) -> None:
        """Discard what has come."""
        self._parts.clear()

    def add(self, frame: LongFrame) -> bytes | None:
        """Take a frame; return the whole APDU with its last part, else None.

        A part that is not the next one of its sender discards what came before.
        """
        information = frame.control_information
        if information & _TRANSPORT or len(frame.data) < 2:
            return None  # meter data in M-Bus' own records, or no data
        sender = bytes((frame.address,)) + frame.data[:2]
        parts = self._parts.pop(sender, [])
        number = information & _NUMBER
        if number == 0:
            parts = []
        elif number != len(parts):
            return None
        parts.append(frame.data[2:])
        if information & _LAST:
            return b"".join(parts)
        if len(self._parts) >= _MOST_SENDERS:
            self._parts.clear()
        self._parts[sender] = parts
        return None


def _size(buffer: bytearray, at: int) -> int | None:
    """Return the size of what a start frames; 0: it is no start; None: more is needed."""
    head = buffer[at : at + _START_SIZE]
    if len(head) > 1 and head[1] < _HEADER:
        return 0
    if len(head) > 2 and head[2] != head[1]:
        return 0
    if len(head) < _START_SIZE:
        return None
    return head[1] if head[3] == _START else 0
