"""The wrapper of IEC 62056-47: a header of version, source, destination and length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct(">HHHH")
_SWAPPED = struct.Struct("<HHHH")


class Packet(NamedTuple):
    """An APDU with the wrapper ports of both ends."""

    source: int
    destination: int
    apdu: bytes


def make_packet(source: int, destination: int, apdu: bytes, *, swapped: bool = False) -> bytes:
    """Put the header in front of an APDU; `swapped` puts the low octets first."""
    return (_SWAPPED if swapped else _HEADER).pack(1, source, destination, len(apdu)) + apdu


class Unwrapper:
    """Finds packets in a stream of bytes."""

    def __init__(self, *, swapped: bool = False) -> None:
        self._buffer = bytearray()
        self._header = _SWAPPED if swapped else _HEADER
        self._version = b"\x01\x00" if swapped else b"\x00\x01"

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take bytes; yield the complete packets. Bytes before a version field of 1 are skipped."""
        self._buffer += data
        while True:
            start = self._buffer.find(self._version)
            if start:
                del self._buffer[: start if start > 0 else max(0, len(self._buffer) - 1)]
            if len(self._buffer) < _HEADER.size:
                return
            _, source, destination, size = self._header.unpack_from(self._buffer)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            apdu = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Packet(source, destination, apdu)
