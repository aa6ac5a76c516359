"""Data in A-XDR: both ways, and strictly."""

from __future__ import annotations

import contextlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.axdr import (
    MAX_DEPTH,
    MAX_VALUES,
    Data,
    DataType,
    array,
    decode,
    decode_whole,
    encode,
    encode_length,
    structure,
)
from tests.support.generated import ANY

D = DataType

VECTORS = [
    # Clock and scaler_unit as a real meter sends them.
    ("09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00",
     Data(D.OCTET_STRING, bytes.fromhex("07D20C04030A060BFF007800"))),
    ("02 02 0F FD 16 21", structure(Data(D.INTEGER, -3), Data(D.ENUM, 33))),
    ("00", Data(D.NULL)),
    ("FF", Data(D.DONT_CARE)),
    ("01 00", array()),
    ("01 02 11 01 11 02", array(Data(D.UNSIGNED, 1), Data(D.UNSIGNED, 2))),
    ("03 01", Data(D.BOOLEAN, True)),
    ("03 00", Data(D.BOOLEAN, False)),
    ("04 0A A8 40", Data(D.BIT_STRING, "1010100001")),
    ("04 00", Data(D.BIT_STRING, "")),
    ("05 FF FF FF FE", Data(D.DOUBLE_LONG, -2)),
    ("06 FF FF FF FE", Data(D.DOUBLE_LONG_UNSIGNED, 4294967294)),
    ("0A 03 61 62 63", Data(D.VISIBLE_STRING, b"abc")),
    ("0C 02 C3 A9", Data(D.UTF8_STRING, "é".encode())),
    ("0D 42", Data(D.BCD, 42)),
    ("0D 4F", Data(D.BCD, b"\x4f")),
    ("0F 80", Data(D.INTEGER, -128)),
    ("10 80 00", Data(D.LONG, -32768)),
    ("11 FF", Data(D.UNSIGNED, 255)),
    ("12 34 CF", Data(D.LONG_UNSIGNED, 13519)),
    ("14 80 00 00 00 00 00 00 00", Data(D.LONG64, -(1 << 63))),
    ("15 FF FF FF FF FF FF FF FF", Data(D.LONG64_UNSIGNED, (1 << 64) - 1)),
    ("16 01", Data(D.ENUM, 1)),
    ("17 3F 80 00 00", Data(D.FLOAT32, 1.0)),
    ("18 C0 00 00 00 00 00 00 00", Data(D.FLOAT64, -2.0)),
    ("19 07 D2 0C 04 03 0A 06 0B FF 00 78 00",
     Data(D.DATE_TIME, bytes.fromhex("07D20C04030A060BFF007800"))),
    ("1A 07 D2 0C 04 03", Data(D.DATE, bytes.fromhex("07D20C0403"))),
    ("1B 0A 06 0B FF", Data(D.TIME, bytes.fromhex("0A060BFF"))),
    ("1C FF", Data(D.DELTA_INTEGER, -1)),
    ("1D FF FE", Data(D.DELTA_LONG, -2)),
    ("1E FF FF FF FD", Data(D.DELTA_DOUBLE_LONG, -3)),
    ("1F FF", Data(D.DELTA_UNSIGNED, 255)),
    ("20 FF FE", Data(D.DELTA_LONG_UNSIGNED, 65534)),
    ("21 FF FF FF FD", Data(D.DELTA_DOUBLE_LONG_UNSIGNED, 4294967293)),
    ("13 12 04 00 01 00 02", Data(D.COMPACT_ARRAY, (Data(D.LONG_UNSIGNED, 1),
                                                      Data(D.LONG_UNSIGNED, 2)))),
    ("13 02 02 11 09 06 05 02 41 42 06 00",
     Data(D.COMPACT_ARRAY, (structure(Data(D.UNSIGNED, 5), Data(D.OCTET_STRING, b"AB")),
                            structure(Data(D.UNSIGNED, 6), Data(D.OCTET_STRING, b""))))),
    ("13 01 00 02 11 04 01 02 03 04",
     Data(D.COMPACT_ARRAY, (array(Data(D.UNSIGNED, 1), Data(D.UNSIGNED, 2)),
                            array(Data(D.UNSIGNED, 3), Data(D.UNSIGNED, 4))))),
    ("13 00 00", Data(D.COMPACT_ARRAY, ())),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "data"), VECTORS)
def test_vectors_both_ways(octets: str, data: Data) -> None:
    assert decode_whole(bytes.fromhex(octets)) == data
    assert encode(data).hex() == bytes.fromhex(octets).hex()


@pytest.mark.parametrize(("octets", "data"), VECTORS)
def test_whatever_is_cut_short_is_refused(octets: str, data: Data) -> None:
    whole = bytes.fromhex(octets)
    for size in range(len(whole)):
        with pytest.raises(ProtocolError):
            decode(whole[:size])
    assert decode(b"\x00" + whole + b"\x11", 1) == (data, len(whole) + 1)
    with pytest.raises(ProtocolError, match="too many"):
        decode_whole(whole + b"\x00")


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        ("08", "no type has the tag 8"),
        ("01 84 FF FF FF FF 00", "4294967295 elements announced"),
        ("02 05 00 00", "5 elements announced"),
        ("09 80", "does not begin a length"),
        ("09 85 00 00 00 00 01 00", "does not begin a length"),
        ("09 83 FF FF FF 00", "cut short"),
        ("04 82 FF FF 00", "cut short"),
        ("13 13 00", "cannot have elements of 19"),
        ("13 08 00", "cannot have elements of 8"),
        ("13 00 01 00", "no content"),
        ("13 02 02 11 01 FF FF 00 01 00", "more elements than octets"),
        ("13 12 03 00 01 00", "cut short"),
    ],
)
def test_what_cannot_be_is_refused(octets: str, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        decode_whole(bytes.fromhex(octets))


@pytest.mark.parametrize("tag", [b"\x01\x01", b"\x02\x01"])
def test_depth_is_bounded(tag: bytes) -> None:
    decode_whole(tag * MAX_DEPTH + b"\x00")
    with pytest.raises(ProtocolError, match="nested deeper"):
        decode_whole(tag * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(ProtocolError, match="nested"):
        decode_whole(tag * 100_000)
    with pytest.raises(ProtocolError, match="nested"):
        decode_whole(b"\x13" + b"\x02\x01" * 5000 + b"\x11\x01\x00")


def test_the_number_of_values_is_bounded() -> None:
    many = b"\x01" + encode_length(MAX_VALUES // 2 + 1)
    with pytest.raises(ProtocolError, match="more than 2097152 values"):
        decode_whole(many + many + bytes(MAX_VALUES))
    # Sixty columns, all but one of them nothing: a reply of one PDU.
    rows = b"\x13\x02\x3c" + bytes(59) + b"\x11"
    assert len(decode_whole(rows + encode_length(500) + bytes(500)).value) == 500
    with pytest.raises(ProtocolError, match="more elements than octets"):
        decode_whole(rows + encode_length(65_000) + bytes(65_000))


def test_a_few_octets_do_not_fill_the_memory() -> None:
    # Arrays of 65535 arrays of 65535 nothings, a million of them.
    bomb = b"\x13\x02\x02\x11\x01\xff\xff\x01\xff\xff\x00\x0a" + bytes(10)
    with pytest.raises(ProtocolError, match="more elements than octets"):
        decode_whole(bomb)
    many = b"\x13\x02\x82\x20\x00" + b"\x01\xff\xff\x00" * 0x2000 + b"\x01\x00"
    with pytest.raises(ProtocolError, match="more elements than octets"):
        decode_whole(many)


@pytest.mark.parametrize(
    "data",
    [
        Data(D.UNSIGNED, 256),
        Data(D.UNSIGNED, -1),
        Data(D.INTEGER, 128),
        Data(D.LONG64, 1 << 63),
        Data(D.UNSIGNED, "1"),
        Data(D.UNSIGNED, None),
        Data(D.BCD, 100),
        Data(D.NULL, 0),
        Data(D.DATE_TIME, bytes(11)),
        Data(D.BIT_STRING, "012"),
        Data(D.FLOAT32, 1e39),
        Data(D.OCTET_STRING, None),
        Data(D.ARRAY, None),
        Data(D.COMPACT_ARRAY, (Data(D.UNSIGNED, 1), Data(D.LONG, 1))),
        Data(D.COMPACT_ARRAY, (Data(D.NULL),)),
    ],
)
def test_what_does_not_fit_its_type_is_not_written(data: Data) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode(data)


def test_text_is_written_as_utf8() -> None:
    assert encode(Data(D.UTF8_STRING, "é")) == bytes.fromhex("0C02C3A9")


@given(ANY)
def test_round_trip(data: Data) -> None:
    assert decode_whole(encode(data)) == data


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=300))
def test_round_trip_of_compact_arrays(values: list[int]) -> None:
    rows = tuple(structure(Data(D.LONG_UNSIGNED, v), Data(D.NULL), array()) for v in values)
    data = Data(D.COMPACT_ARRAY, rows)
    assert decode_whole(encode(data)) == data


def test_floats_that_are_no_numbers_arrive_as_such() -> None:
    assert math.isnan(decode_whole(b"\x17\x7f\xc0\x00\x00").value)
    assert decode_whole(b"\x18" + struct.pack(">d", math.inf)).value == math.inf


@given(st.binary(max_size=300))
def test_noise_is_data_or_refused(noise: bytes) -> None:
    try:
        data, end = decode(noise)
    except ProtocolError:
        return
    assert 0 < end <= len(noise)
    assert isinstance(data.type, DataType)


@given(ANY, st.data())
def test_mutations_are_data_or_refused(data: Data, draw: st.DataObject) -> None:
    octets = bytearray(encode(data))
    octets[draw.draw(st.integers(0, len(octets) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        decode_whole(bytes(octets))
