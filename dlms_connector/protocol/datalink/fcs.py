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
    return ended(begun(data))


def begun(data: bytes, before: int = 0xFFFF) -> int:
    """Return the state of the check after these octets, and after those `before` them."""
    return crc_hqx(data.translate(_REVERSED), before)


def ended(state: int) -> bytes:
    """Return the two octets of a check that has seen all its octets."""
    return state.to_bytes(2, "big").translate(_REVERSED_INVERTED)
