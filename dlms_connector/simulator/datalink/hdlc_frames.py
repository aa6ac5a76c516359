"""Reading and building of HDLC frames in a simulated meter (IEC 62056-46, ISO/IEC 13239)."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

FLAG = 0x7E
_SEGMENTED = 0x0800
_LENGTH = 0x07FF
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def fcs(octets: bytes) -> bytes:
    """Return the FCS (CRC-16/X.25), low octet first as it is sent.

    crc_hqx has the same polynomial, but takes the most significant bit first. So the bits of
    its input and output are mirrored.
    """
    crc = binascii.crc_hqx(octets.translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return crc.to_bytes(2, "big").translate(_REVERSED)


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame whose HCS and FCS are correct."""

    destination: bytes
    source: bytes
    control: int
    information: bytes
    segmented: bool


def make_frame(
    destination: bytes, source: bytes, control: int, information: bytes = b"", more: bool = False
) -> bytes:
    """Build a frame with both flags."""
    head_size = 2 + len(destination) + len(source) + 1
    size = head_size + 2 + (len(information) + 2 if information else 0)
    kind = 0xA000 | (_SEGMENTED if more else 0) | size
    body = kind.to_bytes(2, "big") + destination + source + bytes((control,))
    body += fcs(body)
    if information:
        body += information
        body += fcs(body)
    return bytes((FLAG,)) + body + bytes((FLAG,))


def _address(octets: bytes) -> int:
    """Return the number of octets of an address: the last has bit 0 set. 0 = no address."""
    for size in (1, 2, 4):
        if len(octets) >= size and octets[size - 1] & 1:
            return size
    return 0


def parse_frame(body: bytes) -> Frame | None:
    """Read the octets between two flags; return None if they are not a valid frame."""
    if len(body) < 7 or fcs(body[:-2]) != body[-2:]:
        return None
    kind = int.from_bytes(body[:2], "big")
    if kind & 0xF000 != 0xA000 or kind & _LENGTH != len(body):
        return None
    to = _address(body[2:6])
    at = 2 + to
    by = _address(body[at : at + 4])
    control_at = at + by
    if not to or not by or control_at + 3 > len(body):
        return None
    information = body[control_at + 3 : -2]
    if information and fcs(body[: control_at + 1]) != body[control_at + 1 : control_at + 3]:
        return None
    return Frame(
        body[2:at], body[at:control_at], body[control_at], information, bool(kind & _SEGMENTED)
    )


class Framer:
    """Finds frames in a stream of bytes; other bytes between them are skipped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; yield the valid frames that they complete."""
        buffer = self._buffer
        buffer += data
        while (start := buffer.find(FLAG)) >= 0:
            del buffer[:start]
            while len(buffer) > 1 and buffer[1] == FLAG:
                del buffer[0]
            if len(buffer) < 3:
                return
            size = int.from_bytes(buffer[1:3], "big") & _LENGTH
            if buffer[1] & 0xF0 == 0xA0 and len(buffer) < size + 2:
                return
            frame = parse_frame(bytes(buffer[1 : size + 1])) if buffer[size + 1 :][:1] else None
            if frame is not None and buffer[size + 1] == FLAG:
                del buffer[: size + 1]  # the closing flag may open the next frame
                yield frame
            else:
                del buffer[0]
        buffer.clear()


def address_matches(address: bytes, logical: int, physical: int) -> bool:
    """Tell whether an address field names this device.

    One octet holds only the upper address, or the physical address of a device without a
    logical address. Two and four octets hold both. For a device without a logical address,
    clients also send one number across both halves.
    """
    groups = [octet >> 1 for octet in address]
    if len(groups) == 1:
        return groups[0] == (logical or physical)
    half = len(groups) // 2
    upper, lower = (_number(groups[:half]), _number(groups[half:]))
    whole = upper << (7 * half) | lower
    return (upper, lower) == (logical, physical) or (not logical and whole == physical)


def make_address(logical: int, physical: int) -> bytes:
    """Return a device's address field: 2 octets, or 4 if a part needs more than 7 bits."""
    size = 1 if max(logical, physical) < 0x80 else 2
    groups = [
        number >> (7 * (size - 1 - index)) & 0x7F
        for number in (logical, physical)
        for index in range(size)
    ]
    return bytes(group << 1 for group in groups[:-1]) + bytes((groups[-1] << 1 | 1,))


def is_broadcast(address: bytes) -> bool:
    """Tell whether an address field is the all-station address."""
    half = (len(address) + 1) // 2
    return all(octet >> 1 == 0x7F for octet in address[-half:])


def _number(groups: list[int]) -> int:
    number = 0
    for group in groups:
        number = number << 7 | group
    return number
