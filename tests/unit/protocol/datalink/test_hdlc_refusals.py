"""Meters that reject I frames, that want UI frames, and that do not count what they send."""

from __future__ import annotations

import pytest

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_connectionless import ConnectionlessHdlc
from dlms_connector.protocol.datalink.hdlc_frame import FRMR, SNRM, UA, UI, Frame, FrameReader
from tests.support.talks import DRIBBLED, WHOLE, Script, Way, drive

CLIENT, SERVER = b"\x21", b"\x03"
UA_FRAME = Frame(CLIENT, SERVER, UA).encode()
#: FRMR to the first I frame, as a meter sends it.
REJECTED = bytes.fromhex("7EA00C210397 3E21 100001 6B5B 7E")
WAYS = pytest.mark.parametrize("way", [WHOLE, DRIBBLED], ids=lambda way: way.name)


def reply(control: int, apdu: bytes, *, segmented: bool = False, llc: bool = True) -> bytes:
    information = (b"\xe6\xe7\x00" if llc else b"") + apdu
    return Frame(CLIENT, SERVER, control, information, segmented).encode()


def connected(hdlc: Hdlc) -> Hdlc:
    drive(hdlc.connect(), Script([UA_FRAME]))
    return hdlc


@WAYS
def test_a_frame_reject_tells_its_fields_and_what_helps(way: Way) -> None:
    hdlc = connected(Hdlc(CLIENT, SERVER))
    with pytest.raises(ProtocolError) as caught:
        drive(hdlc.exchange(b"ask"), Script([REJECTED]), way)
    assert str(caught.value) == (
        "exchanging HDLC frames: the meter rejects our frame (FRMR: unknown control field; "
        "rejected control field 10 (I frame, N(S) 0, N(R) 0); its V(S) 0, V(R) 0)"
    )
    assert "workarounds.connectionless" in caught.value.hint
    assert "noise" not in caught.value.hint


@pytest.mark.parametrize(
    ("information", "says", "hint"),
    [
        ("320404", "too long; rejected control field 32 (I frame, N(S) 1, N(R) 1)", "Transmit"),
        ("510001", "rejected control field 51 (S frame)", "SNRM"),
        ("10", "rejected control field 10", "connectionless"),
        ("", "no reason given", "connectionless"),
    ],
)
def test_what_a_frame_reject_may_tell(information: str, says: str, hint: str) -> None:
    hdlc = connected(Hdlc(CLIENT, SERVER))
    answer = Frame(CLIENT, SERVER, FRMR, bytes.fromhex(information)).encode()
    with pytest.raises(ProtocolError) as caught:
        drive(hdlc.exchange(b"ask"), Script([answer]))
    assert says in str(caught.value)
    assert hint in caught.value.hint


def test_a_rejected_snrm_is_no_matter_of_i_frames() -> None:
    answer = Frame(CLIENT, SERVER, FRMR, bytes((SNRM, 0, 1))).encode()
    with pytest.raises(ProtocolError, match=r"93 \(SNRM\)") as caught:
        drive(Hdlc(CLIENT, SERVER).connect(), Script([answer]))
    assert "skipSnrm" in caught.value.hint


def ui(repeats: int = 2) -> Hdlc:
    return connected(ConnectionlessHdlc(CLIENT, SERVER, repeats=repeats))


@WAYS
@pytest.mark.parametrize("control", [UI, 0x03])
def test_apdus_go_in_ui_frames(way: Way, control: int) -> None:
    hdlc, script = ui(), Script([reply(control, b"answer"), reply(control, b"more")])
    assert drive(hdlc.exchange(b"ask"), script, way) == b"answer"
    assert drive(hdlc.exchange(b"again"), script, way) == b"more"
    reader = FrameReader()
    reader.feed(b"".join(script.heard))
    heard = [reader.next(), reader.next()]
    sent = [Frame(SERVER, CLIENT, UI, b"\xe6\xe6\x00" + apdu) for apdu in (b"ask", b"again")]
    assert heard == sent


def test_an_answer_in_several_ui_frames() -> None:
    parts = reply(0x03, b"an", segmented=True) + reply(UI, b"swer", llc=False)
    assert drive(ui().exchange(b"ask"), Script([parts])) == b"answer"


@pytest.mark.parametrize(("repeatable", "tries"), [(True, 3), (False, 1)])
def test_silence_after_a_ui_frame(repeatable: bool, tries: int) -> None:
    script = Script([])
    with pytest.raises(LinkTimeoutError):
        drive(ui().exchange(b"ask", repeatable=repeatable), script)
    assert len([sent for sent in script.heard if sent]) == tries


def test_an_apdu_longer_than_a_ui_frame() -> None:
    with pytest.raises(ProtocolError, match="129 octets do not fit in a UI frame of 128"):
        drive(ui().exchange(bytes(126)), Script([]))


def test_the_next_ui_frame_without_asking() -> None:
    hdlc = ui()
    both = reply(UI, b"pushed") + reply(UI, b"answer")
    assert drive(hdlc.exchange(b"ask"), Script([both])) == b"pushed"
    assert drive(hdlc.receive(), Script([])) == b"answer"


#: Control fields of two replies: always 10, N(S) not counted, N(R) not counted.
UNCOUNTED = pytest.mark.parametrize("controls", [(0x10, 0x10), (0x30, 0x50), (0x10, 0x12)])


@UNCOUNTED
def test_frames_that_are_not_counted_are_told(controls: tuple[int, int]) -> None:
    hdlc = connected(Hdlc(CLIENT, SERVER, retries=1))

    def two() -> None:
        for control in controls:
            drive(hdlc.exchange(b"ask"), Script([reply(control, b"answer")] * 2))

    with pytest.raises(ProtocolError, match="with the wrong number") as caught:
        two()
    assert "workarounds.uncountedFrames" in caught.value.hint


@WAYS
@UNCOUNTED
def test_frames_that_are_not_counted_are_taken_as_they_come(
    controls: tuple[int, int], way: Way
) -> None:
    hdlc = connected(Hdlc(CLIENT, SERVER, counted=False))
    answers = [reply(controls[0], b"one"), reply(controls[1], b"two")]
    script = Script([*answers, reply(0x10, b"lo", segmented=True), reply(0x10, b"ng", llc=False)])
    for answer in (b"one", b"two", b"long"):
        assert drive(hdlc.exchange(b"ask"), script, way) == answer


def test_a_request_to_a_meter_that_does_not_count_is_not_repeated() -> None:
    script = Script([])
    with pytest.raises(LinkTimeoutError):
        drive(connected(Hdlc(CLIENT, SERVER, counted=False)).exchange(b"ask"), script)
    assert len([sent for sent in script.heard if sent]) == 1


@pytest.mark.parametrize("at_once", [1, 5, 1 << 20])
@pytest.mark.parametrize("there", range(1, 19))
def test_an_hdlc_reply_cut_short_is_never_completed_by_the_next(there: int, at_once: int) -> None:
    cut, whole = reply(0x30, b"\x12\x08\xfe"), reply(0x30, b"\x12\x00\x01")
    for script in (Script([cut[:there], whole]), Script([cut[:there] + whole])):
        hdlc = connected(Hdlc(CLIENT, SERVER))
        answer = drive(hdlc.exchange(b"ask"), script, Way("portions", at_once))
        # Only the closing flag may be that of the next frame: the check shows that all is there.
        assert answer == b"\x12\x00\x01" or (there >= len(cut) - 1 and answer == b"\x12\x08\xfe")
