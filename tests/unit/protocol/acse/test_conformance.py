"""Services by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.acse.conformance import (
    BITS,
    LN_SERVICES,
    SN_SERVICES,
    decode_conformance,
    encode_conformance,
)


def test_what_meters_know_from_other_clients() -> None:
    assert encode_conformance(LN_SERVICES) == bytes.fromhex("007E1F")
    assert encode_conformance(SN_SERVICES) == bytes.fromhex("1C1B20")


@given(st.sets(st.sampled_from(sorted(BITS))))
def test_there_and_back(services: set[str]) -> None:
    assert decode_conformance(encode_conformance(services)) == services


def test_reserved_bits_are_passed_over() -> None:
    assert decode_conformance(b"\x83\x00\x00") == set()


def test_an_unknown_service() -> None:
    with pytest.raises(KeyError):
        encode_conformance({"teleport"})
