"""APDUs out of streams that nobody asked for."""

from __future__ import annotations

import pytest

from dlms_connector.protocol.data import structure
from dlms_connector.protocol.datalink import Arrivals, Frame, PushFraming, make_arrivals
from tests.support.pushes import data_notification, hdlc, mbus, u32, wrapped

APDU = data_notification(structure(*map(u32, range(40))))


@pytest.mark.parametrize("size", [2000, 40])
def test_hdlc(size: int) -> None:
    (one,) = make_arrivals("HDLC").feed(hdlc(APDU, size=size))
    assert (one.apdu, one.source, one.destination) == (APDU, b"\x21", b"\x2b")


def test_numbered_frames_behind_a_first_ui_frame() -> None:
    """Gurux numbers the frames in which the further blocks of a push are."""
    blocks = [b"\xe0\x01" + bytes((0, number, 0, 0, 1, 5)) for number in (1, 2, 3)]
    controls = (0x13, 0x30, 0x52)
    line = b"".join(
        Frame(b"\x03", b"\x03", control, b"\xe6\xe7\x00" + block).encode()
        for control, block in zip(controls, blocks, strict=True)
    )
    assert [each.apdu for each in make_arrivals("HDLC").feed(line)] == blocks


def test_segments_of_two_senders_are_kept_apart() -> None:
    reader = make_arrivals("HDLC")
    first = hdlc(APDU, size=130)
    second = hdlc(APDU[:-1], size=130, source=b"\x23")
    cut = first.index(b"\x7e\x7e") + 1
    other = second.index(b"\x7e\x7e") + 1
    found = reader.feed(first[:cut] + second[:other] + first[cut:] + second[other:])
    assert [each.apdu for each in found] == [APDU, APDU[:-1]]


def test_a_lost_first_segment_loses_the_whole() -> None:
    line = hdlc(APDU, size=70)
    rest = line[line.index(b"\x7e\x7e") + 1 :]
    assert make_arrivals("HDLC").feed(rest) == []


def test_endless_segments_are_given_up() -> None:
    reader = make_arrivals("HDLC")
    piece = Frame(b"\x2b", b"\x21", 0x03, bytes(1800), segmented=True).encode()
    start = Frame(b"\x2b", b"\x21", 0x03, b"\xe6\xe7\x00" + bytes(1800), segmented=True).encode()
    assert reader.feed(start + piece * 40) == []
    assert not reader.begun


@pytest.mark.parametrize("size", [245, 60])
def test_mbus(size: int) -> None:
    (one,) = make_arrivals("MBUS").feed(mbus(APDU, size))
    assert one.apdu == APDU


def test_mbus_passes_over_short_frames_and_wrong_sums() -> None:
    line = bytearray(mbus(APDU))
    line[40] ^= 1
    reader = make_arrivals("MBUS")
    assert reader.feed(b"\x10\x40\xff\x3f\x16\xe5" + bytes(line)) == []
    (one,) = reader.feed(mbus(APDU) + bytes(300))
    assert one.apdu == APDU


def test_a_lost_mbus_part_loses_the_whole() -> None:
    line = mbus(APDU, 60)
    part = 60 + 5 + 6
    reader = make_arrivals("MBUS")
    assert reader.feed(line[:part] + line[2 * part :]) == []
    assert [one.apdu for one in reader.feed(line)] == [APDU]


def test_wrapper() -> None:
    reader = make_arrivals("WRAPPER")
    line = wrapped(APDU) + wrapped(APDU[:-1], source=2)
    found = [one for octet in line for one in reader.feed(bytes((octet,)))]
    assert [one.apdu for one in found] == [APDU, APDU[:-1]]
    assert [(one.source, one.destination) for one in found] == [
        (b"\0\1", b"\0\x67"),
        (b"\0\2", b"\0\x67"),
    ]


def test_a_wrapper_frame_cut_short_is_not_completed_by_the_next() -> None:
    line = wrapped(APDU)
    for lost in (1, 9, 40):
        reader = make_arrivals("WRAPPER")
        found = reader.feed(line[:-lost] + line + line)
        assert [one.apdu for one in found] == [APDU, APDU], lost


@pytest.mark.parametrize(
    ("framing", "line"), [("HDLC", hdlc(APDU)), ("MBUS", mbus(APDU)), ("WRAPPER", wrapped(APDU))]
)
def test_what_has_begun_is_known(framing: PushFraming, line: bytes) -> None:
    reader = make_arrivals(framing)
    reader.feed(line[:30])
    assert has_begun(reader)
    reader.reset()
    assert not has_begun(reader)
    assert [one.apdu for one in reader.feed(line)] == [APDU]
    assert not has_begun(reader)


def has_begun(reader: Arrivals) -> bool:
    return reader.begun


def test_parts_of_many_senders_are_bounded_together() -> None:
    """Anyone who reaches a listener may begin as many pushes as there are addresses."""
    reader = make_arrivals("HDLC")
    for sender in range(1, 256, 2):
        part = Frame(b"\x2b", bytes((sender,)), 0x03, b"\xe6\xe7\x00" + bytes(1800), True)
        for _ in range(30):
            assert reader.feed(part.encode()) == []
            part = Frame(b"\x2b", bytes((sender,)), 0x03, bytes(1800), True)
    assert reader.held <= 4 * 0xFFFF
    (one,) = reader.feed(hdlc(APDU, size=70))
    assert one.apdu == APDU
