"""The few rules of BER that ACSE needs: one-octet tags and definite lengths (ITU-T X.690)."""

from __future__ import annotations

from collections.abc import Iterator

from dlms_connector.errors import ProtocolError

#: No ACSE APDU is longer; a greater length is garbage.
_LONGEST = 0xFFFF


def encode_length(size: int) -> bytes:
    """Write a length; A-XDR uses the same form."""
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def encode_field(tag: int, content: bytes) -> bytes:
    """Write tag, length and content."""
    return bytes([tag]) + encode_length(len(content)) + content


def decode_length(data: bytes, start: int, doing: str) -> tuple[int, int]:
    """Read a length; return it and where its content begins. Raises ProtocolError."""
    if start >= len(data):
        raise ProtocolError(doing, "cut short before a length")
    first, start = data[start], start + 1
    if first < 0x80:
        return first, start
    count = first & 0x7F
    if not 1 <= count <= 4 or start + count > len(data):
        raise ProtocolError(doing, f"a length that begins with {first:02X} makes no sense")
    size = int.from_bytes(data[start : start + count], "big")
    if size > _LONGEST:
        raise ProtocolError(doing, f"a length of {size} is beyond any APDU")
    return size, start + count


def decode_content(data: bytes, start: int, doing: str) -> tuple[bytes, int]:
    """Read a length and its content; return the content and its end. Raises ProtocolError."""
    size, start = decode_length(data, start, doing)
    if start + size > len(data):
        raise ProtocolError(doing, f"{size} octets announced, {len(data) - start} left")
    return data[start : start + size], start + size


def decode_fields(data: bytes, doing: str) -> Iterator[tuple[int, bytes]]:
    """Read tags and contents until the data ends. Raises ProtocolError."""
    at = 0
    while at < len(data):
        tag = data[at]
        if tag & 0x1F == 0x1F:
            raise ProtocolError(doing, f"a tag that begins with {tag:02X} has no place in ACSE")
        content, at = decode_content(data, at + 1, doing)
        yield tag, content


def decode_only(data: bytes, tag: int, doing: str) -> bytes:
    """Return the content of the one field that the data must consist of. Raises ProtocolError."""
    fields = list(decode_fields(data, doing))
    if len(fields) != 1 or fields[0][0] != tag:
        found = " ".join(f"{tag:02X}" for tag, _ in fields)
        raise ProtocolError(doing, f"expected tag {tag:02X} alone, found {found or 'nothing'}")
    return fields[0][1]
