from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.errors import LinkTimeoutError, OutOfStepError, ProtocolError
from dlms_connector.protocol.datalink.wrapper import Wrapper, WrapperReader, encode
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.talk import Talk
from tests.support.talks import DRIBBLED, WHOLE, Script, Way, drive, trailed_by

CLIENT, SERVER = 16, 1
REPLY = encode(SERVER, CLIENT, b"reply")
VALUE = encode(SERVER, CLIENT, bytes.fromhex("C401C1001208FE"))
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
@pytest.mark.parametrize("start", ["0002", "7ea0", "0100", "ff", "0420000000"])
def test_noise_before_a_frame_is_passed_over(way: Way, start: str) -> None:
    script = Script([bytes.fromhex(start) + REPLY])
    assert drive(make_wrapper().exchange(b"ask"), script, way) == b"reply"


@pytest.mark.parametrize(
    ("noise", "says", "hint"),
    [
        (
            b"\x7e\xa0\x08\x02\x23",
            "7e a0 08 02 23 came instead of",
            "dlms.interfaceType",
        ),
        (b"TEST1024000000001,\x04 \x00\x00", "the text 'TEST1024000000001,", "a modem"),
    ],
)
def test_noise_without_a_frame_is_told(noise: bytes, says: str, hint: str) -> None:
    script = Script([noise])
    with pytest.raises(ProtocolError) as caught:
        drive(make_wrapper().exchange(b"ask"), script)
    assert says in str(caught.value)
    assert "00 01 (the version)" in str(caught.value)
    assert hint in caught.value.hint
    assert len(script.heard) == 3, "noise is no reply: it is asked again"


@WAYS
@pytest.mark.parametrize("behind", [b"OK\r\n", b"\x00\x01\x00", b"\xff" * 300])
def test_noise_behind_a_frame_costs_no_answer(way: Way, behind: bytes) -> None:
    wrapper, script = make_wrapper(), Script([VALUE + behind] * 4)
    for _ in range(4):
        assert drive(wrapper.exchange(b"ask"), script, way) == VALUE[8:]
    assert len(script.heard) == 4


@pytest.mark.parametrize("at_once", [1, 3, 1 << 20])
@pytest.mark.parametrize("there", range(1, len(VALUE)))
def test_a_reply_cut_short_is_never_completed_by_the_next(there: int, at_once: int) -> None:
    """Nothing is asked again while one has begun; a new connection is needed."""
    script = Script([VALUE[:there], VALUE, VALUE])
    with pytest.raises(LinkTimeoutError) as caught:
        drive(make_wrapper().exchange(b"ask"), script, Way("portions", at_once))
    assert caught.value.begun
    assert "cuts replies short" in caught.value.hint
    assert len(script.heard) == 1


@pytest.mark.parametrize("there", range(1, len(VALUE)))
def test_a_reply_cut_short_and_a_whole_one_at_once(there: int) -> None:
    script = Script([VALUE[:there] + VALUE])
    assert drive(make_wrapper().exchange(b"ask"), script) == VALUE[8:]


@pytest.mark.parametrize("at_once", [1, 4, 1 << 20])
@pytest.mark.parametrize("there", range(1, len(VALUE)))
def test_what_began_before_the_question_answers_nothing(there: int, at_once: int) -> None:
    """With short names nothing else tells answers apart."""
    wrapper, way = make_wrapper(retries=0), Way("portions", at_once)
    old, new = VALUE[:there], encode(SERVER, CLIENT, bytes.fromhex("C401C10012AAAA"))
    assert drive(wrapper.exchange(b"ask"), Script([VALUE + old])) == VALUE[8:]
    try:
        answer = drive(wrapper.exchange(b"ask"), Script([new]), way)
    except LinkTimeoutError:
        return
    except ProtocolError:
        return
    assert answer == new[8:]


@pytest.mark.parametrize("more", [b"", VALUE])
@pytest.mark.parametrize("at_once", [1, 5, 1 << 20])
def test_a_value_that_ends_like_a_header_is_a_value(at_once: int, more: bytes) -> None:
    """With both addresses 1, the results of an access-response look like a header."""
    apdu, way = b"\xda\x05" + b"\x01\x00" * 6, Way("portions", at_once)
    script = Script([encode(1, 1, apdu) + more])
    assert drive(Wrapper(1, 1).exchange(b"ask"), script, way) == apdu


def test_a_value_that_holds_a_frame_is_a_value() -> None:
    held = b"\xc4\x01\xc1\x00\x09" + bytes((len(VALUE),)) + VALUE
    script = Script([encode(SERVER, CLIENT, held)])
    for way in (WHOLE, DRIBBLED, Way("in portions", 14)):
        script = Script([encode(SERVER, CLIENT, held) + VALUE])
        assert drive(make_wrapper().exchange(b"ask"), script, way) == held


@pytest.mark.parametrize("there", range(1, len(VALUE)))
def test_a_datagram_cut_short_is_dropped(there: int) -> None:
    wrapper, script = Wrapper(CLIENT, SERVER, datagrams=True), Script([VALUE[:there], VALUE])
    assert drive(wrapper.exchange(b"ask"), script) == VALUE[8:]
    assert len(script.heard) == 2


@WAYS
def test_a_header_in_the_other_order_is_told(way: Way) -> None:
    script = Script([encode(SERVER, CLIENT, b"reply", "little")])
    with pytest.raises(ProtocolError, match="01 00 instead of 00 01") as caught:
        drive(make_wrapper().exchange(b"ask"), script, way)
    assert "workarounds.wrapperByteOrder" in caught.value.hint


@WAYS
def test_headers_in_the_other_order_are_read_with_the_workaround(way: Way) -> None:
    script = Script([encode(SERVER, CLIENT, b"reply", "little")] * 2)
    both = Wrapper(CLIENT, SERVER, sends="little", expects="little")
    assert drive(both.exchange(b"ask"), script, WHOLE) == b"reply"
    replies = Wrapper(CLIENT, SERVER, expects="little")
    assert drive(replies.exchange(b"ask"), script, WHOLE) == b"reply"
    sent = [encode(CLIENT, SERVER, b"ask", order) for order in ("little", "big")]
    assert script.heard == sent


def test_a_frame_without_an_apdu() -> None:
    with pytest.raises(ProtocolError, match="without an APDU"):
        drive(make_wrapper().exchange(b"ask"), Script([encode(SERVER, CLIENT, b"")]))


def test_silence_repeats_what_is_repeatable() -> None:
    script = Script([b"", b"", REPLY])
    assert drive(make_wrapper().exchange(b"ask"), script) == b"reply"
    assert len(script.heard) == 3


@pytest.mark.parametrize(("repeatable", "tries"), [(True, 3), (False, 1)])
def test_silence(repeatable: bool, tries: int) -> None:
    script = Script([])
    with pytest.raises(LinkTimeoutError) as caught:
        drive(make_wrapper().exchange(b"ask", repeatable=repeatable), script)
    assert (caught.value.tries, caught.value.received) == (tries, 0)
    assert len(script.heard) == tries


def test_a_frame_that_comes_slowly_is_waited_for() -> None:
    talk = make_wrapper().exchange(b"ask")
    next(talk)
    assert talk.send(REPLY[:9]) == b""
    assert talk.send(b"") == b"", "it is not asked again"
    with pytest.raises(StopIteration) as done:
        talk.send(REPLY[9:])
    assert done.value.value == b"reply"


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
    # What has only begun to arrive is read to its end, and left out.
    assert drive(wrapper.exchange(b"ask"), script) == b"other"
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


def unmarked() -> Wrapper:
    return Wrapper(16, 1, retries=0, unmarked=True)


def step(talk: Talk[bytes], *arrivals: bytes) -> bytes:
    """Run a talk, each arrival being taken by the next time it asks for bytes."""
    waiting = list(arrivals)
    try:
        next(talk)
        while True:
            talk.send(waiting.pop(0) if waiting else b"")
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


READ, A, B = b"\x05\x01\x02\x01\x08", b"\x0c\x01\x00\x11\x01", b"\x0c\x01\x00\x11\x02"


def from_meter(apdu: bytes) -> bytes:
    return encode(1, 16, apdu)


def test_of_two_answers_that_nothing_marks_the_last_is_taken() -> None:
    wrapper = unmarked()
    assert step(wrapper.exchange(READ), b"", from_meter(A) + from_meter(B)) == B
    assert step(unmarked().exchange(READ), b"", from_meter(A), from_meter(B)) == B
    push = from_meter(b"\x0f\x00\x00\x00\x01\x00\x00")
    assert step(wrapper.exchange(READ), b"", from_meter(A) + push) == A
    assert step(wrapper.exchange(READ), b"", push + from_meter(B))[:1] == b"\x0f"
    assert step(wrapper.receive()) == B


def test_an_answer_too_many_that_nothing_marks_ends_the_association() -> None:
    wrapper = unmarked()
    assert step(wrapper.exchange(READ), b"", from_meter(A)) == A
    with pytest.raises(OutOfStepError):
        step(wrapper.exchange(READ), from_meter(A), from_meter(B))
    marked = Wrapper(16, 1, retries=0)
    get, answer = b"\xc0\x01\xc1", b"\xc4\x01\xc1\x00\x11\x01"
    assert step(marked.exchange(get), from_meter(answer) * 2) == answer
    assert step(marked.exchange(get), from_meter(answer)) == answer


def test_what_is_pushed_before_a_request_or_to_another_client_is_passed_on() -> None:
    heard: list[bytes] = []
    push = b"\x0f\x00\x00\x00\x01\x00\x00"
    wrapper = Wrapper(16, 1, retries=0, remarks=Remarks(on_unasked=heard.append))
    other = encode(1, 102, push)
    assert step(wrapper.exchange(READ), other + from_meter(A) + from_meter(push)) == A
    assert step(wrapper.exchange(READ), from_meter(B)) == B
    assert heard == [push, push]


def test_the_rest_of_a_frame_from_before_a_request_is_no_answer_where_nothing_marks_it() -> None:
    wrapper, late = unmarked(), from_meter(A)
    assert step(wrapper.exchange(READ), b"", from_meter(A) + late[:7]) == A
    assert step(wrapper.exchange(READ), b"", late[7:] + from_meter(B)) == B


def test_datagrams_that_have_arrived_are_whole_frames_where_nothing_marks_answers() -> None:
    wrapper = Wrapper(16, 1, retries=0, unmarked=True, datagrams=True)
    assert step(wrapper.exchange(READ), b"", from_meter(A)[:9], from_meter(A)) == A
    assert step(wrapper.exchange(READ), b"\x00\x01", from_meter(B)) == B
