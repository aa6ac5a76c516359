"""What is taken as usual is what the parser takes, and nothing else."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dlms_connector.protocol.datalink.hdlc_frame import Frame, FrameReader
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_COMMAND, LLC_RESPONSE
from dlms_connector.protocol.datalink.hdlc_usual import apdu_of, frame

addresses = st.sampled_from((b"\x03", b"\x21", b"\x02\x23", b"\x02\x02\x24\x47"))
controls = st.integers(0, 127).map(lambda number: number << 1 & 0xEE | 0x10)
apdus = st.binary(min_size=1, max_size=300)


def read(data: bytes) -> Frame | None:
    """Return the frame if the octets are one and no more."""
    reader = FrameReader()
    reader.feed(data)
    found = reader.next()
    return found if found is not None and data == found.encode() else None


@given(addresses, addresses, controls, apdus)
def test_a_request_has_the_octets_of_a_frame(
    destination: bytes, source: bytes, control: int, apdu: bytes
) -> None:
    expected = Frame(destination, source, control, LLC_COMMAND + apdu).encode()
    assert frame(destination, source, control, apdu) == expected


@given(addresses, addresses, controls, st.just(b"") | apdus)
def test_the_answer_that_is_due_is_taken(
    destination: bytes, source: bytes, control: int, apdu: bytes
) -> None:
    data = Frame(destination, source, control, LLC_RESPONSE + apdu).encode()
    assert apdu_of(data, destination, source, control) == apdu


@given(
    destination=addresses,
    source=addresses,
    control=controls,
    information=st.binary(max_size=40).map(lambda rest: LLC_RESPONSE + rest) | st.binary(),
    segmented=st.booleans(),
    at=st.integers(0, 60),
    change=st.integers(0, 255),
    cut=st.integers(0, 3),
    more=st.binary(max_size=2),
)
@example(b"\x03", b"\x21", 0x30, LLC_RESPONSE + b"\xc4", True, 0, 0, 0, b"")
@example(b"\x03", b"\x21", 0x30, LLC_RESPONSE + b"\xc4", False, 0, 0, 0, b"\x7e")
def test_of_anything_else_nothing_is_taken(
    destination: bytes,
    source: bytes,
    control: int,
    information: bytes,
    segmented: bool,
    at: int,
    change: int,
    cut: int,
    more: bytes,
) -> None:
    octets = bytearray(Frame(destination, source, control, information, segmented).encode())
    octets[at % len(octets)] ^= change
    data = bytes(octets[: len(octets) - cut]) + more
    found = read(data)
    taken = apdu_of(data, destination, source, control)
    if found == (destination, source, control, information, False) and (
        information.startswith(LLC_RESPONSE)
    ):
        assert taken == information[len(LLC_RESPONSE) :]
    else:
        assert taken is None


def test_what_no_frame_can_be_is_not_even_looked_at() -> None:
    for data in (b"", b"\x7e", b"\x7e" * 3000, bytes(3000) + b"\x7e"):
        assert apdu_of(data, b"\x03", b"\x21", 0x30) is None
