"""Whatever a line does to valid streams: nothing but DlmsError, no endless talk, no false reply."""

# The examples are the same each time: among enough random ones, some damage has the right check.

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import DlmsError
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_frame import Frame
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.mode_e import Identification, sign_on
from dlms_connector.protocol.datalink.wrapper import Wrapper, encode
from tests.support.hdlc_meter import CLIENT, SERVER, HdlcMeter
from tests.support.talks import Peer, Way, drive

PLACES = st.integers(0, 400)
WAYS = st.sampled_from([Way("whole"), Way("dribbled", at_once=1), Way("portions", at_once=7)])
#: A mutation takes a stream and returns another; several follow each other.
MUTATIONS = st.one_of(
    st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
    st.tuples(st.just("cut"), PLACES, st.integers(1, 30)),
    st.tuples(st.just("insert"), PLACES, st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 60)),
    st.tuples(st.just("lose"), PLACES, st.just(0)),
)
#: For each answer of the peer, what happens to it.
FAULTS = st.lists(st.lists(MUTATIONS, max_size=3), max_size=12)


def mutate(data: bytes, mutations: list[tuple[str, int, int | bytes]]) -> bytes:
    for kind, place, what in mutations:
        at = place % (len(data) + 1)
        match kind, what:
            case "flip", int(mask) if at < len(data):
                data = data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]
            case "cut", int(size):
                data = data[:at] + data[at + size :]
            case "insert", bytes(more):
                data = data[:at] + more + data[at:]
            case "repeat", int(size):
                data = data[: at + size] + data[at:]
            case "lose", _:
                data = b""
    return data


def through(peer: Peer, faults: list[list[tuple[str, int, int | bytes]]]) -> Peer:
    """Return the peer behind a line with faults; after them the line is good."""
    left = list(faults)

    def line(sent: bytes) -> bytes:
        answer = peer(sent)
        return mutate(answer, left.pop(0)) if left else answer

    return line


@settings(max_examples=300, deadline=None, derandomize=True)
@given(FAULTS, WAYS, st.integers(0, 300), st.sampled_from([1, 3]))
def test_hdlc_gives_the_right_reply_or_an_error(
    faults: list[list[tuple[str, int, int | bytes]]], way: Way, size: int, window: int
) -> None:
    """Each reply names its request, so that any wrong, late or patched one would show."""
    ua = HdlcParameters(40, 40, window, window).encode()
    meter = HdlcMeter(lambda apdu: apdu + bytes(size), ua=ua, size=40, window=window)
    hdlc = Hdlc(CLIENT, SERVER)
    line = through(meter, faults)
    for number in range(6):
        apdu = b"request %d." % number + bytes(60)
        try:
            if number == 0:
                drive(hdlc.connect(), line, way)
            assert drive(hdlc.exchange(apdu), line, way) == apdu + bytes(size)
        except DlmsError:
            with suppress(DlmsError):
                drive(hdlc.connect(), line, way)
    # A good line again: whatever happened before, it works.
    drive(hdlc.connect(), meter, way)
    assert drive(hdlc.exchange(b"last"), meter, way) == b"last" + bytes(size)


FRAMES = st.builds(
    Frame,
    st.sampled_from([CLIENT, SERVER, b"\x03"]),
    st.sampled_from([SERVER, CLIENT, b"\x00\x02\x00\x25"]),
    st.integers(0, 255),
    st.sampled_from(
        [b"", b"\xe6\xe7\x00", b"\xe6\xe7\x00reply", b"more", b"\x81\x80\x03\x06\x01\x05"]
    ),
    st.booleans(),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.lists(FRAMES, max_size=3), max_size=30), st.booleans())
def test_hdlc_bears_any_sequence_of_valid_frames(
    answers: list[list[Frame]], repeatable: bool
) -> None:
    left = [b"".join(frame.encode() for frame in frames) for frames in answers]

    def peer(_: bytes) -> bytes:
        return left.pop(0) if left else b""

    hdlc = Hdlc(CLIENT, SERVER)
    for talk in (
        lambda: hdlc.connect(),
        lambda: hdlc.exchange(bytes(200), repeatable=repeatable),
        lambda: hdlc.receive(),
        lambda: hdlc.disconnect(),
    ):
        with suppress(DlmsError):
            drive(talk(), peer)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(FRAMES)
def test_hdlc_takes_no_frame_but_the_one_expected(frame: Frame) -> None:
    meter = HdlcMeter(ua=b"")
    hdlc = Hdlc(CLIENT, SERVER, retries=0)
    drive(hdlc.connect(), meter)
    fits = (
        (frame.destination, frame.source) == (CLIENT, SERVER)
        and frame.control & 0xEF == 0x20  # I, N(S) 0, N(R) 1
        and not frame.segmented
        and frame.information.startswith(b"\xe6\xe7\x00")
    )
    answers = [frame.encode()]

    def peer(_: bytes) -> bytes:
        return answers.pop() if answers else b""

    try:
        reply = drive(hdlc.exchange(b"x"), peer)
    except DlmsError:
        assert not fits
    else:
        assert fits
        assert reply == frame.information[3:]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(FAULTS, WAYS)
def test_the_wrapper_bears_anything(
    faults: list[list[tuple[str, int, int | bytes]]], way: Way
) -> None:
    """It has no check of its own, so a flipped bit inside an APDU passes: lengths must not."""
    wrapper = Wrapper(16, 1, retries=1)
    line = through(lambda sent: encode(1, 16, sent[8:]), faults)
    for number in range(4):
        with suppress(DlmsError):
            drive(wrapper.exchange(b"request %d" % number), line, way)
    drive(wrapper.connect(), line, way)
    assert drive(wrapper.exchange(b"last"), lambda sent: encode(1, 16, sent[8:]), way) == b"last"


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_the_wrapper_takes_no_frame_of_others(version: int, source: int, target: int) -> None:
    frame = b"".join(field.to_bytes(2, "big") for field in (version, source, target, 1)) + b"y"
    fits = (version, source, target) == (1, 1, 16)
    answers = [frame]
    try:
        drive(Wrapper(16, 1, retries=0).exchange(b"x"), lambda _: answers.pop())
    except DlmsError:
        assert not fits
    else:
        assert fits


@settings(deadline=None, derandomize=True)
@given(FAULTS, WAYS)
def test_mode_e_finds_an_identification_or_fails(
    faults: list[list[tuple[str, int, int | bytes]]], way: Way
) -> None:
    line = through(lambda sent: b"/ISk5\\2MT174\r\n" if sent[:1] == b"/" else b"", faults)
    with suppress(DlmsError):
        assert isinstance(drive(sign_on(), line, way), Identification)
