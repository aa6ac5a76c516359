"""Tags and lengths of BER."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.ber import (
    decode_content,
    decode_fields,
    decode_length,
    decode_only,
    encode_field,
    encode_length,
)


@pytest.mark.parametrize(
    ("size", "octets"), [(0, "00"), (127, "7F"), (128, "8180"), (255, "81FF"), (256, "820100")]
)
def test_lengths(size: int, octets: str) -> None:
    assert encode_length(size) == bytes.fromhex(octets)
    assert decode_length(bytes.fromhex(octets), 0, "testing") == (size, len(octets) // 2)


@pytest.mark.parametrize("octets", ["", "80", "81", "8200", "85 0000000001", "83 010000", "FF"])
def test_lengths_that_make_no_sense(octets: str) -> None:
    with pytest.raises(ProtocolError):
        decode_length(bytes.fromhex(octets), 0, "testing")


@given(st.lists(st.tuples(st.integers(0, 0x1E), st.binary(max_size=200)), max_size=5))
def test_fields_there_and_back(fields: list[tuple[int, bytes]]) -> None:
    data = b"".join(encode_field(tag, content) for tag, content in fields)
    assert list(decode_fields(data, "testing")) == fields


@given(st.binary(max_size=40))
def test_noise(data: bytes) -> None:
    try:
        fields = list(decode_fields(data, "testing"))
    except ProtocolError:
        return
    assert sum(len(content) + 2 for _, content in fields) <= len(data)


def test_long_tags_are_refused() -> None:
    with pytest.raises(ProtocolError, match="5F"):
        list(decode_fields(b"\x5f\x1f\x00", "testing"))


@pytest.mark.parametrize("data", ["", "0500", "0400 0400", "0401"])
def test_one_field_and_no_other(data: str) -> None:
    with pytest.raises(ProtocolError):
        decode_only(bytes.fromhex(data), 4, "testing")


def test_content_is_never_beyond_the_end() -> None:
    with pytest.raises(ProtocolError, match="5 octets announced, 2 left"):
        decode_content(b"\x05ab", 0, "testing")
