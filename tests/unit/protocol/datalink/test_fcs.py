from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.datalink.fcs import fcs


def bit_by_bit(data: bytes) -> int:
    """CRC-16/X-25 as its polynomial says."""
    remainder = 0xFFFF
    for octet in data:
        remainder ^= octet
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x8408 if remainder & 1 else 0)
    return remainder ^ 0xFFFF


def test_check_value_of_the_catalogue() -> None:
    assert fcs(b"123456789") == (0x906E).to_bytes(2, "little")


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 300])
def test_edges(data: bytes) -> None:
    assert fcs(data) == bit_by_bit(data).to_bytes(2, "little")


@given(st.binary(max_size=300))
def test_equals_the_polynomial(data: bytes) -> None:
    assert fcs(data) == bit_by_bit(data).to_bytes(2, "little")
