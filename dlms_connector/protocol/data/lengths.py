"""Lengths and counts of A-XDR: one octet below 128, else the octet 0x80 + n and n octets."""

from __future__ import annotations

from dlms_connector.errors import ProtocolError

READING = "reading data"


def cut_short(buffer: bytes) -> ProtocolError:
    """Return the error for octets that end before the value does."""
    return ProtocolError(READING, f"cut short after {len(buffer)} octets")


def announced(count: int, left: int) -> None:
    """Refuse a count of elements beyond the octets left: each element has at least one octet."""
    if count > left:
        raise ProtocolError(READING, f"{count} elements announced, {left} octets left")


def decode_length(buffer: bytes, at: int) -> tuple[int, int]:
    """Read a length or count; return it and where it ends. Raises ProtocolError."""
    if at >= len(buffer):
        raise cut_short(buffer)
    first = buffer[at]
    if first < 0x80:
        return first, at + 1
    # Four octets of length are more than any PDU holds; 0x80 alone is BER's indefinite form.
    if not 0x81 <= first <= 0x84:
        raise ProtocolError(READING, f"{first:02X} does not begin a length")
    end = at + 1 + (first & 0x7F)
    if end > len(buffer):
        raise cut_short(buffer)
    return int.from_bytes(buffer[at + 1 : end], "big"), end


def encode_length(count: int) -> bytes:
    """Write a length or count."""
    if count < 0x80:
        return bytes((count,))
    size = (count.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + count.to_bytes(size, "big")
