from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters

DEFAULTS = HdlcParameters(128, 128, 1, 1)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", DEFAULTS),
        ("81 80 14 05 02 00 80 06 02 00 80 07 04 00 00 00 01 08 04 00 00 00 01", DEFAULTS),
        (
            "81 80 12 05 01 C8 06 01 8C 07 04 00 00 00 01 08 04 00 00 00 01",
            HdlcParameters(200, 140, 1, 1),
        ),
        ("81 80 07 05 02 03 F2 06 01 F2", HdlcParameters(1010, 242)),
        ("81 80 06 07 01 07 08 01 03", HdlcParameters(128, 128, 7, 3)),
        ("81 80 06 07 01 FF 08 01 00", HdlcParameters(128, 128, 7, 1)),  # out of range
        ("81 80 08 05 02 FF FF 06 02 00 00", HdlcParameters(2030, 128)),  # out of range
        ("81 80 07 FE 02 12 34 06 01 40", HdlcParameters(128, 64)),  # unknown parameter
        ("81 80 14 05 01 40 06 02 00", HdlcParameters(64, 128)),  # cut short
        ("81 80 03 05 01 40 06 01 20", HdlcParameters(64, 128)),  # longer than its length
        ("81 80 03 05 00 06", DEFAULTS),
        ("81", DEFAULTS),
        ("81 80", DEFAULTS),
        ("82 80 03 05 01 40", DEFAULTS),  # another format
    ],
)
def test_decode(field: str, expected: HdlcParameters) -> None:
    assert HdlcParameters.decode(bytes.fromhex(field)) == expected


def test_encode_small_and_large() -> None:
    assert HdlcParameters(200, 140).encode() == bytes.fromhex(
        "81 80 12 05 01 C8 06 01 8C 07 04 00 00 00 01 08 04 00 00 00 01"
    )
    assert HdlcParameters(1010, 140).encode()[:11] == bytes.fromhex(
        "81 80 14 05 02 03 F2 06 02 00 8C"
    )


@given(st.integers(1, 2030), st.integers(1, 2030), st.integers(1, 7), st.integers(1, 7))
def test_there_and_back(transmit: int, receive: int, ours: int, theirs: int) -> None:
    parameters = HdlcParameters(transmit, receive, ours, theirs)
    assert HdlcParameters.decode(parameters.encode()) == parameters


@given(st.binary(max_size=60))
def test_anything_gives_usable_sizes(field: bytes) -> None:
    parameters = HdlcParameters.decode(b"\x81\x80" + field)
    assert 1 <= parameters.info_transmit <= 2030
    assert 1 <= parameters.info_receive <= 2030
    assert 1 <= parameters.window_transmit <= 7
    assert 1 <= parameters.window_receive <= 7
