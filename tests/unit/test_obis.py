"""The names of objects, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.obis import Obis


@pytest.mark.parametrize(
    ("text", "octets", "written"),
    [
        ("1-0:1.8.0", "01 00 01 08 00 FF", "1-0:1.8.0"),
        ("1-0:1.8.0*255", "01 00 01 08 00 FF", "1-0:1.8.0"),
        ("1-0:1.8.0.255", "01 00 01 08 00 FF", "1-0:1.8.0"),
        ("1.0.1.8.0.255", "01 00 01 08 00 FF", "1-0:1.8.0"),
        ("1-1:32.7.0", "01 01 20 07 00 FF", "1-1:32.7.0"),
        ("0.0.98.1.0.126", "00 00 62 01 00 7E", "0-0:98.1.0*126"),
    ],
)
def test_reading_and_writing(text: str, octets: str, written: str) -> None:
    assert Obis.parse(text) == Obis(bytes.fromhex(octets))
    assert str(Obis.parse(text)) == written


@pytest.mark.parametrize(
    "text", ["", "1.8.0", "1-0:1.8", "1-0:1.8.0*", "1-0:1.8.0*1*2", "a-0:1.8.0", "1.0.1.8.0"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not an OBIS code such as"):
        Obis.parse(text)


@pytest.mark.parametrize("text", ["256-0:1.8.0", "1-0:1.8.999"])
def test_what_is_too_large(text: str) -> None:
    with pytest.raises(ValueError, match="over 255"):
        Obis.parse(text)


@pytest.mark.parametrize("size", [0, 5, 7])
def test_other_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="6 octets"):
        Obis(bytes(size))


@given(st.binary(min_size=6, max_size=6))
def test_round_trip(octets: bytes) -> None:
    assert Obis.parse(str(Obis(octets))).octets == octets
