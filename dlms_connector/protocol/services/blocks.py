"""Long values that are transferred in blocks."""

from __future__ import annotations

from collections.abc import Iterator

from dlms_connector.errors import ExcessError, ProtocolError
from dlms_connector.protocol.data import MAX_OCTETS, encode_length

#: Bounds of one transfer, beside the octets that are allowed for what was asked.
MAX_BLOCKS = 65_535
MAX_EMPTY_BLOCKS = 8


class Collected:
    """Collects received blocks in order; refuses a transfer that does not end.

    `most` is how many octets they may have together.
    """

    def __init__(self, doing: str, most: int = MAX_OCTETS) -> None:
        self._doing, self._most = doing, most
        self._octets = bytearray()
        self._empty = 0
        self._number: int | None = None

    def add(self, number: int, part: bytes) -> None:
        """Take the next block. Raises ProtocolError."""
        # A transfer begins with block 1 (IEC 62056-5-3), with some meters 0.
        expected = (0, 1) if self._number is None else (self._number + 1,)
        if number not in expected:
            raise self._wrong(f"block {number} came instead of block {expected[-1]}")
        self._number = number
        octets = len(self._octets) + len(part)
        if number > MAX_BLOCKS or octets > MAX_OCTETS:
            raise self._wrong(f"it does not end ({number} blocks, {octets} octets)")
        if octets > self._most:
            raise ExcessError(self._doing, f"block transfer: more than {self._most} octets")
        self._octets += part
        self._empty += not part
        if self._empty > MAX_EMPTY_BLOCKS:
            raise self._wrong(f"{self._empty} blocks were empty")

    def whole(self) -> bytes:
        """Return the joined blocks."""
        return bytes(self._octets)

    def _wrong(self, problem: str) -> ProtocolError:
        return ProtocolError(self._doing, f"block transfer: {problem}")


def cut(octets: bytes, first_size: int, size: int) -> Iterator[bytes]:
    """Split a long value into DataBlock-SAs: last-block, block number from 1, raw data."""
    number, at, room = 0, 0, first_size
    while at < len(octets):
        part = octets[at : at + room]
        at += len(part)
        number, room = number + 1, size
        last = bytes((at >= len(octets),))
        yield last + number.to_bytes(4, "big") + encode_length(len(part)) + part
