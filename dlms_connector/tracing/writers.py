"""Where a trace is written: text for people, and pcapng for Wireshark.

Wireshark's DLMS dissector is found by UDP or TCP port 4059 and takes HDLC frames and the wrapper
alike. So every frame becomes a UDP datagram in raw IP, whatever carried it: nothing is joined or
split, and no capture filter or setting is needed.
"""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from typing import BinaryIO, Protocol

from dlms_connector.tracing.frames import Kind

#: LINKTYPE_RAW: packets begin with the IP header.
_RAW_IP = 101
#: Addresses for documentation (RFC 5737): the real ones may be nobody's business.
_OURS, _METERS = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
_DLMS_PORT = 4059
#: Texts are no DLMS: another port keeps the dissector off them.
_TEXT_PORT = 4058
_OUR_PORT = 49_152
_LARGEST_DATAGRAM = 65_000
_INBOUND, _OUTBOUND = 1, 2
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _FLAGS, _APPLICATION = 1, 2, 4


class Writer(Protocol):
    """Takes frames; raises OSError."""

    def frame(self, at_ms: int, outgoing: bool, kind: Kind, octets: bytes, told: str) -> int:
        """Write a frame and its description; return how many octets that took."""
        ...

    def note(self, at_ms: int, text: str) -> None:
        """Write a remark of the trace itself."""
        ...

    def close(self) -> None:
        """Close the file; allowed repeatedly."""
        ...


def _stamp(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms // 1000, timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


class TextWriter:
    """Two lines for a frame: what it is, and its octets."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def frame(self, at_ms: int, outgoing: bool, kind: Kind, octets: bytes, told: str) -> int:
        """Write a frame; `>` is sent to the meter, `<` received from it."""
        text = f"{_stamp(at_ms)} {'>' if outgoing else '<'} {told}\n"
        if octets:
            text += f"    {octets.hex(' ').upper()}\n"
        self._file.write(text.encode())
        self._file.flush()
        return len(text)

    def note(self, at_ms: int, text: str) -> None:
        """Write a remark."""
        self._file.write(f"{_stamp(at_ms)} # {text}\n".encode())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PcapngWriter:
    """A section with one interface (draft-ietf-opsawg-pcapng)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._block(_SECTION, section + _options((_APPLICATION, b"dlms-connector")))
        self._block(_INTERFACE, struct.pack("<HHI", _RAW_IP, 0, 0))

    def frame(self, at_ms: int, outgoing: bool, kind: Kind, octets: bytes, told: str) -> int:
        """Write a frame as a datagram, with its description as the packet's comment."""
        octets = octets[:_LARGEST_DATAGRAM]
        packet = _datagram(octets, outgoing, _TEXT_PORT if kind == "text" else _DLMS_PORT)
        at_us = at_ms * 1000
        head = struct.pack(
            "<IIIII", 0, at_us >> 32, at_us & 0xFFFFFFFF, len(packet), len(packet)
        )  # fmt: skip
        flags = struct.pack("<I", _OUTBOUND if outgoing else _INBOUND)
        options = _options((_COMMENT, told.encode()), (_FLAGS, flags))
        return self._block(_PACKET, head + _padded(packet) + options)

    def note(self, at_ms: int, text: str) -> None:
        """Write a remark as a packet without content."""
        self.frame(at_ms, True, "text", b"", text)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _block(self, kind: int, body: bytes) -> int:
        size = struct.pack("<I", len(body) + 12)
        block = struct.pack("<I", kind) + size + body + size
        self._file.write(block)
        self._file.flush()
        return len(block)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    made = (struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return b"".join(made) + bytes(4)


def _datagram(octets: bytes, outgoing: bool, port: int) -> bytes:
    source, destination = (_OURS, _METERS) if outgoing else (_METERS, _OURS)
    ports = (_OUR_PORT, port) if outgoing else (port, _OUR_PORT)
    size = 8 + len(octets)
    udp = struct.pack(">HHHH", *ports, size, 0) + octets  # a checksum of 0 is none (RFC 768)
    bare = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, 64, 17, 0)
    total = sum(struct.unpack(">10H", bare + source + destination))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return bare[:10] + struct.pack(">H", total ^ 0xFFFF) + source + destination + udp
