"""The frame check sequence of HDLC: CRC-16/X-25, ISO/IEC 13239 annex A.

X-25 is the bit-reversed form of the CRC that `binascii.crc_hqx` computes in C. So
one `translate` of the input and one of the output replace a loop over octets.
"""

from __future__ import annotations

from binascii import crc_hqx

_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_REVERSED_INVERTED = bytes(octet ^ 0xFF for octet in _REVERSED)


def fcs(data: bytes) -> bytes:
    """Return the two octets as they follow the data on the line, low octet first."""
    remainder = crc_hqx(data.translate(_REVERSED), 0xFFFF)
    return remainder.to_bytes(2, "big").translate(_REVERSED_INVERTED)
