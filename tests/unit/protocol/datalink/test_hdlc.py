from __future__ import annotations

from collections.abc import Callable

import pytest

from dlms_connector.errors import (
    LinkClosedError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
    UnreadyError,
)
from dlms_connector.protocol.datalink.addressing import client_address, server_address
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_connectionless import ConnectionlessHdlc
from dlms_connector.protocol.datalink.hdlc_frame import DISC, DM, FRMR, SNRM, UA, Frame, FrameReader
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.directive import Pause
from dlms_connector.protocol.remarks import Remarks
from tests.support.hdlc_meter import CLIENT, SERVER, HdlcMeter
from tests.support.talks import DRIBBLED, WHOLE, Peer, Script, Way, drive, trailed_by
from tests.support.transcripts import read_transcript

WAYS = pytest.mark.parametrize(
    "way",
    [
        WHOLE,
        DRIBBLED,
        trailed_by(b"\x7e" * 10_000),
        trailed_by(b"\x7e\xa0\x10noise\xff"),
    ],
    ids=lambda way: way.name,
)
SMALL = HdlcParameters(info_transmit=40, info_receive=40).encode()
APDU = bytes(range(200))


def make_hdlc(retries: int = 2, **options: object) -> Hdlc:
    return Hdlc(CLIENT, SERVER, retries=retries, **options)  # type: ignore[arg-type]


def connected(meter: HdlcMeter, **options: object) -> Hdlc:
    """Return a link that is set up with a meter."""
    hdlc = make_hdlc(**options)  # type: ignore[arg-type]
    drive(hdlc.connect(), meter)
    meter.heard.clear()
    return hdlc


def faulty(meter: HdlcMeter, *faults: Callable[[bytes], bytes] | None) -> Peer:
    """Return the meter with faults put between: the first for its first answer, and so on."""
    left = list(faults)

    def peer(sent: bytes) -> bytes:
        answer = meter(sent)
        fault = left.pop(0) if left else None
        return fault(answer) if fault else answer

    return peer


def lost(_: bytes) -> bytes:
    return b""


def before(*frames: Frame) -> Callable[[bytes], bytes]:
    """A fault that puts frames before the answer."""
    return lambda answer: b"".join(frame.encode() for frame in frames) + answer


def instead(*frames: Frame) -> Callable[[bytes], bytes]:
    """A fault that gives frames instead of the answer."""
    return lambda _: b"".join(frame.encode() for frame in frames)


def from_meter(control: int, information: bytes = b"", segmented: bool = False) -> Frame:
    return Frame(CLIENT, SERVER, control, information, segmented)


# ---- transcripts


@WAYS
def test_association_byte_for_byte(way: Way) -> None:
    (_, snrm), (_, ua), (_, aarq), (_, aare) = read_transcript("hdlc_association")
    hdlc = Hdlc(client_address(16), server_address(1, 17, 4))
    script = Script([ua, aare])
    drive(hdlc.connect(), script, way)
    request = aarq[aarq.index(b"\xe6\xe6\x00") + 3 : -3]
    assert drive(hdlc.exchange(request), script, way) == aare[14:-3]
    assert script.heard == [snrm, aarq]


@WAYS
def test_clock_byte_for_byte(way: Way) -> None:
    meter = HdlcMeter(client=b"\x75", server=b"\x95")
    hdlc = Hdlc(b"\x75", b"\x95")
    drive(hdlc.connect(), meter)
    for _ in range(3):
        drive(hdlc.exchange(b"to get to the sequence numbers of the transcript"), meter)
    (_, get), (_, value), (_, put), (_, success) = read_transcript("hdlc_clock")
    script = Script([value, success])
    assert drive(hdlc.exchange(get[11:-3]), script, way) == value[11:-3]
    assert drive(hdlc.exchange(put[11:-3]), script, way) == success[11:-3]
    assert script.heard == [get, put]


def test_disconnect_byte_for_byte() -> None:
    (_, disc), (_, ua) = read_transcript("hdlc_disconnect")
    script = Script([ua])
    drive(Hdlc(client_address(16), server_address(1, 3500, 4)).disconnect(), script)
    assert script.heard == [disc]


def test_low_level_security_byte_for_byte() -> None:
    (_, snrm), (_, aarq), (_, get) = read_transcript("hdlc_low_level_security")
    assert client_address(1) == server_address(0, 1) == b"\x03"
    meter = HdlcMeter(client=b"\x03", server=b"\x03")
    heard = []

    def peer(sent: bytes) -> bytes:
        heard.append(sent)
        return meter(sent)

    hdlc = Hdlc(b"\x03", b"\x03")
    drive(hdlc.connect(), peer)
    drive(hdlc.exchange(aarq[11:-3]), peer)
    for _ in range(3):
        drive(hdlc.exchange(b"more"), peer)
    drive(hdlc.exchange(get[11:-3]), peer)
    assert [heard[0], heard[1], heard[-1]] == [snrm, aarq, get]


# ---- setting up


def test_sizes_of_the_ua_are_used() -> None:
    meter = HdlcMeter(ua=HdlcParameters(info_receive=50, window_receive=1).encode())
    hdlc = connected(meter)
    assert drive(hdlc.exchange(APDU), meter) == b"<" + APDU + b">"
    segments = [frame for frame in meter.heard if frame.is_information]
    assert [len(frame.information) for frame in segments] == [50, 50, 50, 50, 3]
    assert [frame.segmented for frame in segments] == [True, True, True, True, False]
    assert segments[0].information.startswith(b"\xe6\xe6\x00")
    assert segments[1].information == APDU[47:97]


def test_proposed_sizes_go_out_and_stay_in_force() -> None:
    meter = HdlcMeter(ua=HdlcParameters(info_receive=1000).encode())
    hdlc = make_hdlc(proposal=HdlcParameters(info_transmit=64, info_receive=512))
    drive(hdlc.connect(), meter)
    (snrm,) = meter.heard
    assert HdlcParameters.decode(snrm.information) == HdlcParameters(64, 512)
    drive(hdlc.exchange(APDU), meter)
    assert max(len(frame.information) for frame in meter.heard[1:]) == 64


def test_a_proposed_window_stays_in_force() -> None:
    """A meter that claims more than it can take is told so by `windowTransmit`."""
    meter = HdlcMeter(ua=HdlcParameters(40, 40, 1, 7).encode())
    hdlc = make_hdlc(proposal=HdlcParameters(window_transmit=2))
    drive(hdlc.connect(), meter)
    assert drive(hdlc.exchange(APDU), meter) == b"<" + APDU + b">"
    polled = [frame.final for frame in meter.heard if frame.is_information]
    assert polled == [False, True, False, True, False, True]


@pytest.mark.parametrize("ua", [b"", b"\x81\x80", b"\x00" * 20, b"\x81\x80\x03\x06\x01\x00"])
def test_a_ua_without_sizes_means_the_defaults(ua: bytes) -> None:
    meter = HdlcMeter(ua=ua)
    hdlc = connected(meter)
    assert drive(hdlc.exchange(APDU), meter) == b"<" + APDU + b">"
    assert len(meter.heard[0].information) == 128


def test_snrm_is_repeated() -> None:
    meter = HdlcMeter()
    drive(make_hdlc(retries=2).connect(), faulty(meter, lost, lost))
    assert [frame.control for frame in meter.heard] == [SNRM] * 3


def test_nobody_answers_snrm() -> None:
    with pytest.raises(LinkTimeoutError) as caught:
        drive(make_hdlc(retries=1).connect(), Script([b"\xff\xff"]))
    assert (caught.value.tries, caught.value.received) == (2, 2)


def test_dm_refuses_snrm() -> None:
    script = Script([from_meter(DM).encode()] * 9)
    with pytest.raises(RefusedError, match="disconnected mode"):
        drive(make_hdlc(retries=5).connect(), script)
    assert len(script.heard) == 2


def test_a_single_dm_may_be_late() -> None:
    meter = HdlcMeter()
    drive(make_hdlc().connect(), faulty(meter, before(from_meter(DM))))
    drive(make_hdlc().connect(), faulty(meter, instead(from_meter(0x0F))))


def test_dm_then_silence_is_a_refusal() -> None:
    with pytest.raises(RefusedError):
        drive(make_hdlc(retries=1).connect(), Script([from_meter(DM).encode()]))


def test_frmr_to_snrm() -> None:
    with pytest.raises(ProtocolError, match=r"opening the HDLC link: .*unknown control field"):
        drive(make_hdlc().connect(), Script([from_meter(FRMR, b"\x93\x00\x01").encode()]))


def test_late_frames_of_the_session_before_do_not_set_up() -> None:
    meter = HdlcMeter()
    late = before(from_meter(0x30, b"\xe6\xe7\x00late"), from_meter(0x11))
    drive(make_hdlc().connect(), faulty(meter, late))
    assert len(meter.heard) == 1


def test_skipped_snrm() -> None:
    meter = HdlcMeter()
    meter.connected = True
    hdlc = make_hdlc(skip_snrm=True, proposal=HdlcParameters(info_transmit=64))
    drive(hdlc.connect(), meter)
    assert meter.heard == []
    assert drive(hdlc.exchange(APDU), meter) == b"<" + APDU + b">"
    assert len(meter.heard[0].information) == 64


def test_who_answers_a_broadcast_is_talked_to() -> None:
    meter = HdlcMeter()
    hdlc = Hdlc(CLIENT, server_address(1, 16383, 4))
    heard = []

    def peer(sent: bytes) -> bytes:
        heard.append(sent)
        return from_meter(UA).encode() if len(heard) == 1 else meter(sent)

    drive(hdlc.connect(), peer)
    meter.connected = True
    assert drive(hdlc.exchange(b"x"), peer) == b"<x>"
    assert meter.heard[-1].destination == SERVER


# ---- exchanging


@WAYS
def test_many_exchanges(way: Way) -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    for number in range(20):
        apdu = b"request %d" % number
        assert drive(hdlc.exchange(apdu), meter, way) == b"<" + apdu + b">"
    assert len(meter.heard) == 20


@WAYS
@pytest.mark.parametrize("window", [1, 3, 7])
def test_segments_both_ways(way: Way, window: int) -> None:
    ua = HdlcParameters(40, 40, window, window).encode()
    meter = HdlcMeter(ua=ua, size=40, window=window)
    hdlc = connected(meter)
    for _ in range(5):
        assert drive(hdlc.exchange(APDU), meter, way) == b"<" + APDU + b">"
    assert meter.apdus == [APDU] * 5


def test_segmented_reply_is_acknowledged_segment_by_segment() -> None:
    meter = HdlcMeter(lambda _: bytes(300), size=100)
    hdlc = connected(meter)
    assert drive(hdlc.exchange(b"x"), meter) == bytes(300)
    assert [frame.control for frame in meter.heard] == [0x10, 0x31, 0x51, 0x71]


@WAYS
def test_everything_is_lost_once(way: Way) -> None:
    """Whatever answer is the one that gets lost, the exchange succeeds, and once only."""
    for place in range(12):
        meter = HdlcMeter(ua=SMALL, size=40)
        hdlc = connected(meter)
        peer = faulty(meter, *[None] * place, lost)
        assert drive(hdlc.exchange(APDU), peer, way) == b"<" + APDU + b">"
        assert drive(hdlc.exchange(b"next"), peer, way) == b"<next>"
        assert meter.apdus == [APDU, b"next"]


def test_every_second_answer_is_lost() -> None:
    """Each segment has its own tries, else a long reply would never come over a bad line."""
    meter = HdlcMeter(ua=SMALL, size=40)
    hdlc = connected(meter, retries=1)
    assert drive(hdlc.exchange(APDU), faulty(meter, *[lost, None] * 99)) == b"<" + APDU + b">"
    assert meter.apdus == [APDU]


@pytest.mark.parametrize("window", [2, 7])
def test_any_frame_of_a_window_is_lost_once(window: int) -> None:
    def without(number: int, answer: bytes) -> bytes:
        frames = [b"\x7e" + part + b"\x7e" for part in answer.split(b"\x7e\x7e")]
        return b"".join(
            frame.replace(b"\x7e\x7e", b"\x7e")
            for place, frame in enumerate(frames)
            if place != number
        )

    for number in range(window):
        meter = HdlcMeter(lambda _: b"z" * 300, size=40, window=window)
        hdlc = connected(meter)
        peer = faulty(meter, lambda answer, number=number: without(number, answer))  # type: ignore[misc]
        assert drive(hdlc.exchange(b"x"), peer) == b"z" * 300


def test_a_window_whose_beginning_was_lost_is_asked_for_at_once() -> None:
    meter = HdlcMeter(lambda _: b"z" * 270, size=40, window=7)
    hdlc = connected(meter)

    def peer(sent: bytes) -> bytes:
        answer = meter(sent)
        return answer[answer.index(b"\x7e\x7e") + 1 :] if len(meter.heard) == 1 else answer

    assert drive(hdlc.exchange(b"x"), peer, most_silences=0) == b"z" * 270


def test_our_segments_of_a_window_get_lost() -> None:
    ua = HdlcParameters(info_receive=40, window_receive=3).encode()
    meter = HdlcMeter(ua=ua)
    hdlc = connected(meter)
    dropped: list[int] = []

    def peer(sent: bytes) -> bytes:
        if not dropped:  # the second of the first window
            dropped.append(1)
            size = len(sent) // 3
            sent = sent[:size] + sent[2 * size :]
        return meter(sent)

    assert drive(hdlc.exchange(APDU), peer) == b"<" + APDU + b">"
    assert meter.apdus == [APDU]


def test_silence_repeats_the_request() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter, retries=2)
    script = Script([])
    with pytest.raises(LinkTimeoutError) as caught:
        drive(hdlc.exchange(b"x"), script)
    assert caught.value.tries == 3
    assert len(set(script.heard)) == 1
    assert len(script.heard) == 3


def test_silence_to_what_must_not_be_repeated_asks_first() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    assert drive(hdlc.exchange(b"x", repeatable=False), faulty(meter, lost)) == b"<x>"
    assert [frame.control for frame in meter.heard] == [0x10, 0x11]
    assert meter.apdus == [b"x"]


def test_what_the_meter_did_not_get_is_sent_again_though_not_repeatable() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    heard = []

    def peer(sent: bytes) -> bytes:
        heard.append(sent)
        return b"" if len(heard) == 1 else meter(sent)

    assert drive(hdlc.exchange(b"x", repeatable=False), peer) == b"<x>"
    assert [frame.control for frame in meter.heard] == [0x11, 0x10]
    assert meter.apdus == [b"x"]


def test_after_a_failure_the_link_wants_to_be_set_up() -> None:
    """A late answer to a request given up must not become the answer to the next one."""
    meter = HdlcMeter()
    hdlc = connected(meter, retries=0)
    with pytest.raises(LinkTimeoutError):
        drive(hdlc.exchange(b"one"), Script([]))
    with pytest.raises(ProtocolError, match="not set up"):
        drive(hdlc.exchange(b"two"), meter)
    drive(hdlc.connect(), meter)
    assert drive(hdlc.exchange(b"two"), meter) == b"<two>"


def test_a_cancelled_exchange_wants_the_link_to_be_set_up() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    talk = hdlc.exchange(b"one")
    next(talk)
    talk.close()
    with pytest.raises(ProtocolError, match="not set up"):
        next(hdlc.exchange(b"two"))


def test_a_slow_meter_answers_both_the_request_and_its_repetition() -> None:
    """Both answers arrive when the repetition is out: the second is late for all that follows."""
    meter = HdlcMeter()
    hdlc = connected(meter)
    late: list[bytes] = []

    def peer(sent: bytes) -> bytes:
        late.append(meter(sent))
        if len(late) == 1:
            return b""
        if len(late) == 2:
            return late[0]
        if len(late) == 3:
            return late[1] + late[2]
        return late[-1]

    for apdu in (b"one", b"two", b"three"):
        assert drive(hdlc.exchange(apdu), peer) == b"<" + apdu + b">"
    assert meter.apdus == [b"one", b"two", b"three"]


FOREIGN = [
    Frame(b"\x23", SERVER, 0x30, b"\xe6\xe7\x00for another client"),
    Frame(CLIENT, b"\x00\x02\x00\x25", 0x30, b"\xe6\xe7\x00from another meter"),
    Frame(SERVER, CLIENT, 0x10, b"\xe6\xe6\x00from another client"),
    Frame(b"\x23", SERVER, DM),
    Frame(CLIENT, b"\x03", FRMR),
]


@pytest.mark.parametrize("answered", [2, 4])
@pytest.mark.parametrize("asked", [1, 2, 4])
def test_a_meter_answers_with_an_address_of_another_size(asked: int, answered: int) -> None:
    logical = 0 if asked == 1 else 1  # one octet has no room for a logical device
    ours, its = server_address(logical, 17, asked), server_address(logical, 17, answered)
    meter = HdlcMeter(server=ours)
    hdlc = Hdlc(CLIENT, ours)
    reader = FrameReader()

    def peer(sent: bytes) -> bytes:
        reader.feed(meter(sent))
        return b"".join(
            frame._replace(source=its).encode() for frame in iter(reader.next, None) if frame
        )

    drive(hdlc.connect(), peer)
    assert drive(hdlc.exchange(b"x"), peer) == b"<x>"
    drive(hdlc.disconnect(), peer)
    assert {frame.destination for frame in meter.heard} == {ours}


@WAYS
@pytest.mark.parametrize("frame", FOREIGN, ids=lambda frame: frame.encode().hex()[:20])
def test_foreign_addresses(way: Way, frame: Frame) -> None:
    meter = HdlcMeter(size=5)
    hdlc = make_hdlc()
    peer = faulty(meter, *[before(frame)] * 20)
    drive(hdlc.connect(), peer, way)
    assert drive(hdlc.exchange(b"x"), peer, way) == b"<x>"


def test_silence_tells_who_else_was_heard() -> None:
    """A meter that answers with another address: its user sees which to configure."""
    hdlc = make_hdlc(retries=0)
    answer = Frame(CLIENT, server_address(1, 18, 4), UA).encode()
    words = r"\(12 bytes received, a frame from logical address 1 and physical address 18\)"
    with pytest.raises(LinkTimeoutError, match=words):
        drive(hdlc.connect(), Script([answer]))
    with pytest.raises(LinkTimeoutError, match=r"\(0 bytes received\)"):
        drive(hdlc.connect(), Script([]))


OUT_OF_SEQUENCE = [
    from_meter(0x30 | 2, b"\xe6\xe7\x00ahead"),
    from_meter(0x30 | 14, b"\xe6\xe7\x00behind"),
    from_meter(0x10, b"\xe6\xe7\x00acknowledges nothing"),
    from_meter(0x50, b"\xe6\xe7\x00acknowledges what was never sent"),
    from_meter(0x71),
    from_meter(0x11),
    from_meter(UA),
    from_meter(0x13, b"unnumbered information"),
    from_meter(0x31, b"", False)._replace(control=0x21),  # RR that is not final
]


@WAYS
@pytest.mark.parametrize("frame", OUT_OF_SEQUENCE, ids=lambda frame: f"{frame.control:02x}")
def test_wrong_sequence_numbers_and_stray_frames(way: Way, frame: Frame) -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    assert drive(hdlc.exchange(b"x"), faulty(meter, before(frame)), way) == b"<x>"


def test_a_late_ready_repeats_nothing() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    assert drive(hdlc.exchange(b"x"), faulty(meter, before(from_meter(0x11)))) == b"<x>"
    assert len(meter.heard) == 1


def test_for_ever_out_of_sequence() -> None:
    hdlc = connected(HdlcMeter())
    ahead = from_meter(0x30 | 2, b"\xe6\xe7\x00ahead").encode()
    with pytest.raises(ProtocolError, match="out of sequence"):
        drive(hdlc.exchange(b"x"), Script([ahead] * 99))


def test_the_meter_never_gets_our_frame() -> None:
    hdlc = connected(HdlcMeter())
    nothing_yet = from_meter(0x11).encode()
    with pytest.raises(LinkTimeoutError) as caught:
        drive(hdlc.exchange(b"x", repeatable=False), Script([b"", *[nothing_yet, b""] * 20]))
    assert caught.value.tries == 3


@pytest.mark.parametrize("equal", [False, True], ids=["addresses differ", "addresses equal"])
@WAYS
def test_a_line_that_echoes(way: Way, equal: bool) -> None:
    client, server = (b"\x03", b"\x03") if equal else (CLIENT, SERVER)
    meter = HdlcMeter(client=client, server=server, ua=SMALL, size=40)
    hdlc = Hdlc(client, server)

    def peer(sent: bytes) -> bytes:
        return sent + meter(sent)

    drive(hdlc.connect(), peer, way)
    for _ in range(10):
        assert drive(hdlc.exchange(APDU), peer, way) == b"<" + APDU + b">"
    drive(hdlc.disconnect(), peer, way)
    assert meter.apdus == [APDU] * 10
    polls = [frame for frame in meter.heard if frame.control & 0x0F == 1]
    assert len(polls) == 10 * 5  # none was wasted on an echo


def test_an_echo_is_not_taken_for_a_meter_with_nothing_to_say() -> None:
    """While V(S) and V(R) are equal, so are our RR and that of a meter with our address."""
    meter = HdlcMeter(lambda _: bytes(900), client=b"\x03", server=b"\x03", size=40)
    hdlc = Hdlc(b"\x03", b"\x03")

    def peer(sent: bytes) -> bytes:
        return sent + meter(sent)

    drive(hdlc.connect(), peer)
    meter.heard.clear()
    assert drive(hdlc.exchange(b"x"), peer) == bytes(900)
    assert len(meter.heard) == 23  # a request and a poll for each further segment of 40


@WAYS
@pytest.mark.parametrize(
    ("control", "words"), [(DM, r"dropped the session \(DM\)"), (FRMR, r"FRMR: wrong N\(R\)")]
)
@pytest.mark.parametrize("place", range(9))
def test_dm_or_frmr_at_any_point(way: Way, control: int, words: str, place: int) -> None:
    meter = HdlcMeter(ua=SMALL, size=40)
    hdlc = connected(meter)
    fault = instead(from_meter(control, b"\x00\x00\x08" if control == FRMR else b""))
    with pytest.raises(ProtocolError, match=words):
        drive(hdlc.exchange(APDU), faulty(meter, *[None] * place, fault), way)


def test_a_meter_that_needs_time_is_polled() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    ready, busy = from_meter(0x31).encode(), from_meter(0x35).encode()
    answer = from_meter(0x30, b"\xe6\xe7\x00done").encode()
    talk = hdlc.exchange(b"x")
    sent = [next(talk)]
    for arriving in (ready, busy, busy, ready):
        pause = talk.send(arriving)
        assert isinstance(pause, Pause)
        sent.append(talk.send(b""))
    with pytest.raises(StopIteration) as done:
        talk.send(answer)
    assert done.value.value == b"done"
    assert sent[1:] == [Frame(SERVER, CLIENT, 0x11).encode()] * 4


def test_what_arrives_in_a_pause_counts() -> None:
    hdlc = connected(HdlcMeter())
    talk = hdlc.exchange(b"x")
    next(talk)
    assert isinstance(talk.send(from_meter(0x31).encode()), Pause)
    answer = from_meter(0x30, b"\xe6\xe7\x00done").encode()
    talk.send(answer[:9])
    with pytest.raises(StopIteration):
        talk.send(answer[9:])


def test_a_busy_meter_gets_our_next_segment_when_it_is_ready() -> None:
    meter = HdlcMeter(ua=SMALL)
    hdlc = connected(meter)
    busy = from_meter(0x35)  # RNR, our first segment is acknowledged
    assert drive(hdlc.exchange(APDU), faulty(meter, instead(busy))) == b"<" + APDU + b">"
    assert meter.apdus == [APDU]


def test_the_wait_for_another_answer_is_short() -> None:
    hdlc = connected(HdlcMeter())
    asked = 0

    def nothing_more(sent: bytes) -> bytes:
        nonlocal asked
        asked += bool(sent)
        return from_meter(0x11).encode() if sent else b""

    with pytest.raises(LinkTimeoutError, match="asked 6 times"):
        drive(hdlc.receive(), nothing_more, most_silences=100)
    assert asked == 6


def test_a_meter_that_never_has_anything_to_say() -> None:
    hdlc = connected(HdlcMeter())
    with pytest.raises(UnreadyError, match="said for 98 s that it is ready"):
        drive(hdlc.exchange(b"x"), lambda _: from_meter(0x31).encode(), most_silences=1000)


def endless(frame_of: Callable[[int], Frame]) -> Peer:
    count = 0

    def peer(_: bytes) -> bytes:
        nonlocal count
        count += 1
        return frame_of(count - 1).encode()

    return peer


@pytest.mark.parametrize("size", [0, 1, 2000])
def test_endless_segments(size: int) -> None:
    hdlc = connected(HdlcMeter())
    peer = endless(lambda count: from_meter(0x30 | (count & 7) << 1, bytes(size), True))
    with pytest.raises(ProtocolError, match=r"a complete reply|more than"):
        drive(hdlc.exchange(b"x"), peer)


def test_endless_foreign_frames() -> None:
    hdlc = connected(HdlcMeter())
    foreign = FOREIGN[0].encode() * 10_000
    with pytest.raises(ProtocolError, match="4097 frames without"):
        drive(hdlc.exchange(b"x"), Script([foreign]))


def test_endless_noise() -> None:
    hdlc = connected(HdlcMeter())
    with pytest.raises(ProtocolError, match="octets without"):
        drive(hdlc.exchange(b"x"), Script([b"\x7e" * (1 << 21)]), Way("in portions", 1 << 16))


def test_noise_then_the_answer() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    peer = faulty(meter, lambda answer: b"\x00\x7e\xa1\x02" + b"\x7e" * 10_000 + answer)
    assert drive(hdlc.exchange(b"x"), peer) == b"<x>"


def test_a_damaged_answer_is_asked_for_again() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    peer = faulty(meter, lambda answer: answer[:-4] + b"\x00" + answer[-3:])
    assert drive(hdlc.exchange(b"x"), peer) == b"<x>"
    assert meter.apdus == [b"x"]


def test_an_answer_cut_short_does_not_swallow_the_next() -> None:
    hdlc = connected(HdlcMeter())
    long = from_meter(0x30, b"\xe6\xe7\x00" + bytes(1000)).encode()
    script = Script([long[:50], from_meter(0x30, b"\xe6\xe7\x00short").encode()])
    assert drive(hdlc.exchange(b"x"), script) == b"short"


@pytest.mark.parametrize("start", [b"", b"\xe6", b"\xe6\xe8\x00\xc4", b"\xc4\x01\xc1"])
def test_a_reply_without_llc_octets(start: bytes) -> None:
    hdlc = connected(HdlcMeter())
    with pytest.raises(ProtocolError, match="instead of e6 e7 00"):
        drive(hdlc.exchange(b"x"), Script([from_meter(0x30, start).encode()]))


def test_a_reply_with_the_llc_octets_of_a_command() -> None:
    """A server of another maker writes them."""
    hdlc = connected(HdlcMeter())
    reply = from_meter(0x30, b"\xe6\xe6\x00\xc4\x01").encode()
    assert drive(hdlc.exchange(b"x"), Script([reply])) == b"\xc4\x01"


@pytest.mark.parametrize("refusal", ["D8 02 02", "0E 01 06 01"])
def test_a_refusal_without_llc_octets(refusal: str) -> None:
    hdlc = connected(HdlcMeter())
    apdu = bytes.fromhex(refusal)
    assert drive(hdlc.exchange(b"x"), Script([from_meter(0x30, apdu).encode()])) == apdu


@WAYS
def test_parts_that_are_all_final_are_taken_as_they_come(way: Way) -> None:
    (_, snrm), (_, ua), (_, aarq), (_, aare), (_, get), *parts = read_transcript(
        "hdlc_parts_all_final"
    )
    hdlc = Hdlc(client_address(1), server_address(0, 1))
    script = Script([ua, aare, b"".join(part for _, part in parts)])
    drive(hdlc.connect(), script, way)
    drive(hdlc.exchange(aarq[11:-3]), script, way)
    reply = drive(hdlc.exchange(get[11:-3]), script, way, most_silences=0)
    assert reply == bytes.fromhex("c401c1000982012c") + b"x" * 300
    assert script.heard[:3] == [snrm, aarq, get]
    if way is WHOLE:
        assert len(script.heard) == 3


def test_the_last_frame_need_not_be_final() -> None:
    hdlc = connected(HdlcMeter())
    script = Script([from_meter(0x20, b"\xe6\xe7\x00y").encode()])
    assert drive(hdlc.exchange(b"x"), script) == b"y"


def test_receive_listens_then_polls() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    drive(hdlc.exchange(b"x"), meter)
    meter._out = [b"\xe6\xe7\x00", b"more"]
    meter._acknowledge(1)
    meter._out = [b"\xe6\xe7\x00more"]
    assert drive(hdlc.receive(), meter) == b"more"


def test_receive_takes_what_comes_by_itself() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    talk = hdlc.receive()
    assert next(talk) == b""
    with pytest.raises(StopIteration) as done:
        talk.send(from_meter(0x10, b"\xe6\xe7\x00unasked").encode())
    assert done.value.value == b"unasked"


# ---- saying goodbye


@pytest.mark.parametrize("control", [UA, DM, 0x63, 0x0F])
def test_both_answers_to_disc(control: int) -> None:
    script = Script([from_meter(0x30, b"late").encode() + from_meter(control).encode()])
    drive(make_hdlc().disconnect(), script)
    assert script.heard == [Frame(SERVER, CLIENT, DISC).encode()]


def test_silence_to_disc_is_not_repeated() -> None:
    script = Script([])
    with pytest.raises(LinkTimeoutError) as caught:
        drive(make_hdlc().disconnect(), script)
    assert caught.value.tries == 1
    assert len(script.heard) == 1


def test_disc_then_snrm_with_a_late_answer_between() -> None:
    meter = HdlcMeter()
    hdlc = connected(meter)
    with pytest.raises(LinkTimeoutError):
        drive(hdlc.disconnect(), Script([]))
    drive(hdlc.connect(), faulty(meter, before(from_meter(UA))))
    assert drive(hdlc.exchange(b"x"), faulty(meter, before(from_meter(UA)))) == b"<x>"


# ---- UI frames, which a meter sends without being polled

PUSH = bytes.fromhex("0F 40000001 00 02 01 11 05")


@WAYS
def test_unnumbered_information_costs_nothing_and_is_passed_on(way: Way) -> None:
    heard: list[bytes] = []
    meter = HdlcMeter(ua=SMALL)
    push = from_meter(0x13, b"\xe6\xe7\x00" + PUSH)
    to_another = Frame(b"\xcf", SERVER, 0x03, b"\xe6\xe7\x00" + PUSH)
    of_another = Frame(CLIENT, b"\x00\x02\x00\x25", 0x13, b"\xe6\xe7\x00" + PUSH)
    pushing = before(push, to_another, of_another)
    hdlc = Hdlc(CLIENT, SERVER, remarks=Remarks(on_unasked=heard.append))
    drive(hdlc.connect(), faulty(meter, pushing), way)
    assert heard == [PUSH, PUSH]
    between_segments = faulty(meter, *[pushing] * 50)
    assert drive(hdlc.exchange(APDU), between_segments, way) == b"<" + APDU + b">"
    assert len(heard) > 8
    assert set(heard) == {PUSH}


def test_unnumbered_information_in_segments_is_one_push() -> None:
    heard: list[bytes] = []
    hdlc = Hdlc(CLIENT, SERVER, remarks=Remarks(on_unasked=heard.append))
    parts = (
        from_meter(0x03, b"\xe6\xe7\x00" + PUSH[:4], segmented=True),
        from_meter(0x13, PUSH[4:]),
    )
    drive(hdlc.connect(), faulty(HdlcMeter(), before(*parts)))
    assert heard == [PUSH]


def test_where_answers_come_in_such_frames_only_what_answers_nothing_is_a_push() -> None:
    heard: list[bytes] = []
    remarks = Remarks(on_unasked=heard.append)
    hdlc = ConnectionlessHdlc(CLIENT, SERVER, repeats=0, skip_snrm=True, remarks=remarks)
    drive(hdlc.connect(), Script([]))
    frames = (
        from_meter(0x13, b"\xe6\xe7\x00" + PUSH),
        from_meter(0x03, b"\xe6\xe7\x00" + PUSH[:4], segmented=True),
        from_meter(0x13, PUSH[4:]),
        Frame(b"\xcf", SERVER, 0x13, b"\xe6\xe7\x00answer to another"),
        from_meter(0x13, b"\xe6\xe7\x00answer"),
    )
    arriving = b"".join(frame.encode() for frame in frames)
    assert drive(hdlc.exchange(b"request"), Script([arriving])) == b"answer"
    assert heard == [PUSH, PUSH, b"answer to another"]


def test_of_a_meter_that_counts_nothing_each_part_of_a_reply_is_acknowledged() -> None:
    """It sends the parts without the final bit, and waits: its window is one frame."""
    parts = [b"\xe6\xe7\x00one ", b"two ", b"three"]
    asked: list[int] = []

    def peer(sent: bytes) -> bytes:
        reader = FrameReader()
        reader.feed(sent)
        frame = reader.next()
        assert frame is not None
        asked.append(frame.control)
        number = len(asked) - 1
        last = number == len(parts) - 1
        return from_meter(0x10 * last, parts[number], segmented=not last).encode()

    hdlc = connected(HdlcMeter(), counted=False)
    assert drive(hdlc.exchange(b"x"), peer) == b"one two three"
    assert asked == [0x10, 0x31, 0x51]


def test_a_meter_that_hangs_up_behind_a_wrong_number_is_told_by_the_number() -> None:
    talk = connected(HdlcMeter()).exchange(b"x")
    next(talk)
    talk.send(from_meter(0x12, b"\xe6\xe7\x00answer").encode())
    with pytest.raises(ProtocolError, match="wrong number") as caught:
        talk.throw(LinkClosedError(30))
    assert "uncountedFrames" in caught.value.hint
