"""Encoding and decoding of HDLC frames of format type 3, IEC 62056-46 clause 6.4.

`FrameReader` finds frames in a stream that may contain noise. Type 3 frames carry their
length and no escapes. So a flag octet inside a frame has no meaning, and noise may look
like the beginning of a frame. After each flag, the reader trusts the format octets only if
the header check sequence is right, and then waits for the whole frame. An invalid header is
rejected at its first wrong octet, and after 13 octets at most. So the reader never waits
for the rest of a frame that does not exist, and the work is linear in the octets received.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dlms_connector.protocol.datalink.fcs import fcs

FLAG = 0x7E
#: The limit of the parameters that set the maximum length of an information field.
LONGEST_INFORMATION = 2030

SNRM = 0x93
UA = 0x73
DISC = 0x53
DM = 0x1F
FRMR = 0x97
UI = 0x13
POLL_FINAL = 0x10

_FORMAT = 0xA000
_SEGMENTED = 0x0800
_SHORTEST = 7  # format 2, addresses 1 and 1, control 1, check 2
_HEADER_AT_MOST = 13  # format 2, addresses 4 and 4, control 1, check 2
_BEGINNING = re.compile(rb"\x7e(?:[\xa0-\xaf]|\Z)")


class Frame(NamedTuple):
    """One frame with correct checks; addresses are encoded as on the line."""

    destination: bytes
    source: bytes
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def final(self) -> bool:
        """Whether the sender now waits for an answer (poll) or has finished (final)."""
        return bool(self.control & POLL_FINAL)

    @property
    def is_information(self) -> bool:
        """Whether this is a numbered information frame (I)."""
        return not self.control & 1

    @property
    def send_number(self) -> int:
        """N(S) of an information frame."""
        return self.control >> 1 & 7

    @property
    def receive_number(self) -> int:
        """N(R): the number of the frame that the sender of this one expects next."""
        return self.control >> 5

    def encode(self) -> bytes:
        """Return the frame as it goes over the line, with its flags."""
        length = 5 + len(self.destination) + len(self.source)
        if self.information:
            length += len(self.information) + 2
        form = _FORMAT | length | (_SEGMENTED if self.segmented else 0)
        body = b"".join(
            (form.to_bytes(2, "big"), self.destination, self.source, bytes((self.control,)))
        )
        if self.information:
            body += fcs(body) + self.information
        return b"\x7e" + body + fcs(body) + b"\x7e"


def information_control(send_number: int, receive_number: int, *, poll: bool) -> int:
    """Return the control octet of an I frame."""
    return receive_number << 5 | (POLL_FINAL if poll else 0) | send_number << 1


def ready_control(receive_number: int) -> int:
    """Return the control octet of an RR frame that polls."""
    return receive_number << 5 | POLL_FINAL | 0x01


def is_ready(control: int) -> bool:
    """Whether this is RR: the sender can receive."""
    return control & 0x0F == 0x01


def is_not_ready(control: int) -> bool:
    """Whether this is RNR: the sender is busy."""
    return control & 0x0F == 0x05


class FrameReader:
    """Finds frames in a stream that may contain noise."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._buffer += data

    @property
    def begun(self) -> bool:
        """Whether more than the flag before a frame is there."""
        return len(self._buffer) > 1

    def reset(self) -> None:
        """Discard the beginning of a frame."""
        self._buffer.clear()

    def next(self) -> Frame | None:
        """Return the next frame with correct checks; None if more octets are needed."""
        buffer = self._buffer
        start = 0
        while (start := _beginning(buffer, start)) >= 0:
            end = _end_of_frame(buffer, start + 1)
            if end is None:
                del buffer[:start]
                return None
            if end and (frame := _frame(bytes(buffer[start + 1 : end]))):
                del buffer[:end]  # the closing flag may open the next frame
                return frame
            start += 1
        buffer.clear()
        return None


def _beginning(buffer: bytearray, start: int) -> int:
    """Return the index of the next flag that may begin a frame; -1 if there is none.

    A format octet, or the end of the buffer, follows such a flag. Idle lines send thousands
    of flags; each of them costs only this search.
    """
    found = _BEGINNING.search(buffer, start)
    return found.start() if found else -1


def _end_of_frame(buffer: bytearray, start: int) -> int | None:
    """Return the index of the closing flag; 0: no frame begins here; None: more is needed."""
    there = len(buffer) - start
    if there < 2:
        return None
    length = (buffer[start] & 7) << 8 | buffer[start + 1]
    if length < _SHORTEST:
        return 0
    if not (header := _header_end(bytes(buffer[start : start + _HEADER_AT_MOST]), length)):
        return header
    if there <= length:
        return None
    return start + length if buffer[start + length] == FLAG else 0


def _header_end(head: bytes, length: int) -> int | None:
    """Return the size of the header without its check.

    0: it is not a header; None: more is needed to tell.
    """
    source = _after_address(head, 2)
    control = source and _after_address(head, source)
    if not control:
        return control
    end = control + 1
    if end + 2 == length:
        return end  # no information: the check at the end is the only one
    if end + 4 > length:
        return 0
    if len(head) < end + 2:
        return None
    return end if fcs(head[:end]) == head[end : end + 2] else 0


def _after_address(head: bytes, start: int) -> int | None:
    """Return the index after the address at `start`; 0: no address; None: more is needed."""
    for size in (1, 2, 3, 4):
        if len(head) < start + size:
            return None
        if head[start + size - 1] & 1:  # only the last octet has its lowest bit set
            return 0 if size == 3 else start + size
    return 0


def _frame(body: bytes) -> Frame | None:
    """Return the frame between two flags, if its check is right."""
    if fcs(body[:-2]) != body[-2:]:
        return None
    source = _after_address(body, 2) or 0
    end = (_after_address(body, source) or 0) + 1
    return Frame(
        destination=body[2:source],
        source=body[source : end - 1],
        control=body[end - 1],
        information=body[end + 2 : -2] if end + 2 < len(body) else b"",
        segmented=bool(body[0] & _SEGMENTED >> 8),
    )
