from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.datalink.fcs import fcs
from dlms_connector.protocol.datalink.hdlc_frame import (
    DISC,
    LONGEST_INFORMATION,
    SNRM,
    UA,
    Frame,
    FrameReader,
    information_control,
    is_not_ready,
    is_ready,
    ready_control,
)
from tests.support.transcripts import read_transcript, transcript_names

FRAME = Frame(b"\x21", b"\x00\x02\x00\x23", 0x30, b"\xe6\xe7\x00information ~~ with flags")
OTHER = Frame(b"\x21", b"\x03", UA)
WAYS = pytest.mark.parametrize("at_once", [1, 2, 7, 1 << 30])


def read(data: bytes, at_once: int = 1 << 30) -> list[Frame]:
    """Return the frames in a stream that arrives in portions."""
    reader, frames = FrameReader(), []
    for at in range(0, len(data), at_once):
        reader.feed(data[at : at + at_once])
        while frame := reader.next():
            frames.append(frame)
    return frames


HDLC_FRAMES = [
    data for name in transcript_names() if "hdlc" in name for _, data in read_transcript(name)
]


@pytest.mark.parametrize("octets", HDLC_FRAMES, ids=lambda octets: octets.hex()[:24])
def test_real_frames_there_and_back(octets: bytes) -> None:
    (frame,) = read(octets)
    assert frame.encode() == octets


def test_fields_of_a_real_frame() -> None:
    octets = "7E A0 1E 75 95 96 6F 67 E6 E7 00 C4 01 81 00 09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78"
    (frame,) = read(bytes.fromhex(octets + "00 F3 30 7E"))
    assert (frame.destination, frame.source) == (b"\x75", b"\x95")
    assert frame.is_information
    assert (frame.send_number, frame.receive_number, frame.final) == (3, 4, True)
    assert not frame.segmented
    assert frame.information[:4] == bytes.fromhex("e6e700c4")


def test_controls() -> None:
    assert information_control(3, 4, poll=True) == 0x96
    assert information_control(3, 4, poll=False) == 0x86
    assert ready_control(3) == 0x71
    assert is_ready(0x71)
    assert is_not_ready(0x75)
    assert not is_ready(SNRM)
    assert not is_not_ready(DISC)


@WAYS
def test_two_frames_each_with_its_flags(at_once: int) -> None:
    assert read(FRAME.encode() + OTHER.encode(), at_once) == [FRAME, OTHER]


@WAYS
def test_two_frames_share_a_flag(at_once: int) -> None:
    assert read(FRAME.encode()[:-1] + OTHER.encode() + FRAME.encode()[1:], at_once) == [
        FRAME,
        OTHER,
        FRAME,
    ]


@WAYS
@pytest.mark.parametrize(
    "garbage",
    [
        b"\x7e" * 10_000,
        b"\x00\xff" * 5_000,
        b"\x7e\xa7\xff" * 5_000,  # as if long frames began everywhere
        b"\x7e\xa0\x07\x03\x03\x93\x00\x00" * 1_000,
        FRAME.encode()[:-5],  # the end was lost
        b"/?!\r\n",
        b"\x7e\xa0",
        b"\x7e\xa0\x05\x03\x03",
    ],
    ids=lambda garbage: garbage[:4].hex(),
)
def test_garbage_before_a_frame(garbage: bytes, at_once: int) -> None:
    # A header that is right promises a frame; only what follows it shows that it was cut short.
    follow = FRAME.encode() * 2
    assert FRAME in read(garbage + follow, at_once)


@WAYS
@pytest.mark.parametrize("address", [b"\x03", b"\x02\x23", b"\x00\x02\x00\x23"])
def test_a_false_beginning_does_not_hide_a_short_frame(at_once: int, address: bytes) -> None:
    """However soon a frame was cut off: the answer behind it needs nothing behind itself."""
    answer = Frame(b"\x21", address, UA)
    header = 3 + 1 + len(address) + 1 + 2  # a right check behind it promises the rest
    cut = Frame(b"\x21", address, 0x30, b"\xe6\xe7\x00cut off").encode()
    for size in range(1, header):
        assert read(cut[:size] + answer.encode(), at_once) == [answer], size


def test_a_wrong_header_makes_nobody_wait() -> None:
    """A length that was hit by noise must not swallow the frames behind it."""
    damaged = bytearray(FRAME.encode())
    damaged[1:3] = b"\xa7\xff"
    assert read(bytes(damaged) + OTHER.encode()) == [OTHER]


@WAYS
def test_wrong_checks(at_once: int) -> None:
    good = FRAME.encode()
    for place in range(1, len(good) - 1):
        damaged = bytearray(good)
        damaged[place] ^= 0x04
        assert read(bytes(damaged), at_once) == []


def test_a_missing_closing_flag() -> None:
    assert read(FRAME.encode()[:-1] + b"\x00" + OTHER.encode()) == [OTHER]


@pytest.mark.parametrize("address", [b"\x02\x00\x03", b"\x00\x02\x00\x22", b"\x00\x02\x00\x02\x03"])
def test_addresses_of_other_sizes_are_no_frames(address: bytes) -> None:
    body = b"\xa0" + bytes((6 + len(address) + 0,)) + address + b"\x21\x73"
    assert read(b"\x7e" + body + fcs(body) + b"\x7e") == []


def test_information_may_be_empty_though_its_check_is_there() -> None:
    header = b"\xa0\x09\x21\x03\x10"
    header += fcs(header)
    assert read(b"\x7e" + header + fcs(header) + b"\x7e") == [Frame(b"\x21", b"\x03", 0x10)]


def test_length_that_leaves_no_room_for_checks() -> None:
    body = b"\xa0\x08\x21\x03\x10\x00"
    assert read(b"\x7e" + body + fcs(body) + b"\x7e") == []


def test_the_longest_frame() -> None:
    frame = Frame(b"\x21", b"\x00\x02\x00\x23", 0x10, bytes(LONGEST_INFORMATION), segmented=True)
    assert read(frame.encode()) == [frame]


def test_reset_forgets_a_beginning() -> None:
    reader = FrameReader()
    reader.feed(FRAME.encode()[:-4])
    assert reader.next() is None
    reader.reset()
    reader.feed(OTHER.encode())
    assert reader.next() == OTHER


ADDRESSES = st.sampled_from([b"\x03", b"\x21", b"\x02\x23", b"\x00\x02\x00\x23"])
FRAMES = st.builds(
    Frame, ADDRESSES, ADDRESSES, st.integers(0, 255), st.binary(max_size=200), st.booleans()
)


@given(FRAMES)
def test_there_and_back(frame: Frame) -> None:
    assert read(frame.encode()) == [frame]


@given(st.lists(FRAMES, max_size=4), st.binary(max_size=100), st.integers(1, 50))
def test_how_it_arrives_makes_no_difference(
    frames: list[Frame], garbage: bytes, at_once: int
) -> None:
    data = garbage + b"".join(frame.encode() for frame in frames)
    assert read(data, at_once) == read(data)
