from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.protocol.datalink.wrapper import Wrapper, WrapperReader, encode
from tests.support.talks import DRIBBLED, WHOLE, Script, Way, drive, trailed_by

CLIENT, SERVER = 16, 1
REPLY = encode(SERVER, CLIENT, b"reply")
FOREIGN = encode(2, CLIENT, b"from another server")
WAYS = pytest.mark.parametrize(
    "way", [WHOLE, DRIBBLED, trailed_by(FOREIGN)], ids=lambda way: way.name
)


def make_wrapper(retries: int = 2) -> Wrapper:
    return Wrapper(CLIENT, SERVER, retries=retries)


def test_header() -> None:
    assert encode(16, 1, b"\xc0\x01") == bytes.fromhex("0001 0010 0001 0002 c001")


def test_the_longest_apdu() -> None:
    assert len(encode(16, 1, bytes(0xFFFF))) == 8 + 0xFFFF
    with pytest.raises(ProtocolError, match="65536 octets does not fit"):
        encode(16, 1, bytes(0x10000))


@WAYS
def test_exchange(way: Way) -> None:
    wrapper, script = make_wrapper(), Script([REPLY] * 3)
    drive(wrapper.connect(), script)
    for _ in range(3):
        assert drive(wrapper.exchange(b"ask"), script, way) == b"reply"
    drive(wrapper.disconnect(), script)
    assert script.heard == [encode(CLIENT, SERVER, b"ask")] * 3


@WAYS
@pytest.mark.parametrize(
    "frame",
    [FOREIGN, encode(SERVER, 17, b"to another client"), encode(CLIENT, SERVER, b"an echo")],
    ids=["other server", "other client", "echo"],
)
def test_frames_of_others_are_passed_over(way: Way, frame: bytes) -> None:
    script = Script([frame * 3 + REPLY])
    assert drive(make_wrapper().exchange(b"ask"), script, way) == b"reply"


def test_silence_tells_who_else_was_heard() -> None:
    """A meter that answers from a wPort of its own: its user sees which to configure."""
    wrapper = make_wrapper(retries=0)
    with pytest.raises(LinkTimeoutError, match="a frame from wPort 2 to 16 instead of from 1 to"):
        drive(wrapper.exchange(b"ask"), Script([FOREIGN]))
    with pytest.raises(LinkTimeoutError, match=r"\(0 bytes received\)"):
        drive(wrapper.exchange(b"ask"), Script([]))


def test_endless_frames_of_others() -> None:
    with pytest.raises(ProtocolError, match="257 frames of others, the last from wPort 2 to 16"):
        drive(make_wrapper().exchange(b"ask"), Script([FOREIGN * 10_000]), Way("portions", 1000))


@WAYS
@pytest.mark.parametrize("start", ["0002", "7ea0", "0100", "ff"])
def test_another_version_is_the_end(way: Way, start: str) -> None:
    garbage = bytes.fromhex(start)
    with pytest.raises(ProtocolError, match=r"instead of 00 01 \(the version\)"):
        drive(make_wrapper().exchange(b"ask"), Script([garbage + REPLY]), way)


def test_a_frame_without_an_apdu() -> None:
    with pytest.raises(ProtocolError, match="without an APDU"):
        drive(make_wrapper().exchange(b"ask"), Script([encode(SERVER, CLIENT, b"")]))


def test_silence_repeats_what_is_repeatable() -> None:
    script = Script([b"", b"", REPLY])
    assert drive(make_wrapper().exchange(b"ask"), script) == b"reply"
    assert len(script.heard) == 3


@pytest.mark.parametrize(("repeatable", "tries"), [(True, 3), (False, 1)])
def test_silence(repeatable: bool, tries: int) -> None:
    script = Script([REPLY[:9]])
    with pytest.raises(LinkTimeoutError) as caught:
        drive(make_wrapper().exchange(b"ask", repeatable=repeatable), script)
    assert (caught.value.tries, caught.value.received) == (tries, 9)
    assert len(script.heard) == tries


def test_a_frame_that_began_before_the_repetition_is_finished_after_it() -> None:
    script = Script([REPLY[:9], REPLY[9:]])
    assert drive(make_wrapper().exchange(b"ask"), script) == b"reply"


def test_receive_takes_the_answer_to_the_repetition() -> None:
    wrapper, script = make_wrapper(), Script([b"", REPLY + encode(SERVER, CLIENT, b"again")])
    assert drive(wrapper.exchange(b"ask"), script) == b"reply"
    assert drive(wrapper.receive(), Script([])) == b"again"
    with pytest.raises(LinkTimeoutError):
        drive(wrapper.receive(), Script([]))


def test_what_came_before_the_question_is_no_answer() -> None:
    wrapper, again = make_wrapper(), encode(SERVER, CLIENT, b"again")
    assert drive(wrapper.exchange(b"ask"), Script([REPLY + again + again[:5]])) == b"reply"
    script = Script([again[5:] + encode(SERVER, CLIENT, b"other")])
    # What has only begun to arrive cannot be left out: the stream would lose its frames.
    assert drive(wrapper.exchange(b"ask"), script) == b"again"
    assert drive(wrapper.exchange(b"ask"), Script([REPLY])) == b"reply"


def test_receive_waits() -> None:
    talk = make_wrapper().receive()
    assert next(talk) == b""
    with pytest.raises(StopIteration) as done:
        talk.send(REPLY)
    assert done.value.value == b"reply"


def test_connecting_forgets_half_a_frame() -> None:
    wrapper = make_wrapper(retries=0)
    with pytest.raises(LinkTimeoutError):
        drive(wrapper.exchange(b"ask"), Script([REPLY[:9]]))
    drive(wrapper.connect(), Script([]))
    assert drive(wrapper.exchange(b"ask"), Script([REPLY])) == b"reply"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=50)
        ),
        max_size=5,
    ),
    st.integers(1, 30),
)
def test_reader_there_and_back(frames: list[tuple[int, int, bytes]], at_once: int) -> None:
    reader, read = WrapperReader(), []
    data = b"".join(encode(*frame) for frame in frames)
    for at in range(0, len(data), at_once):
        reader.feed(data[at : at + at_once])
        while frame := reader.next():
            read.append(frame)
    assert read == frames
