"""Single knocks, and what is made of what comes back."""

from __future__ import annotations

import pytest

from dlms_connector.discovery.advice import advise, further, tried
from dlms_connector.discovery.candidates import Candidate, Server, Wanted
from dlms_connector.discovery.preset_fit import fitting
from dlms_connector.discovery.probes import Attempt, greet, knock, leave
from dlms_connector.discovery.refusals import Refusal
from dlms_connector.obis import Obis
from dlms_connector.protocol.datalink import wrapper
from dlms_connector.protocol.datalink.hdlc_frame import DISC, DM, SNRM, UA, Frame, FrameReader
from dlms_connector.simulator import Connection, Meter, MeterOptions
from tests.support.talks import Peer, drive

EVERYBODY = Candidate("HDLC", 16, Server(1, 0x7F, 2))
ONE = Candidate("HDLC", 16, Server(1, 1, 2))
PORT = Candidate("WRAPPER", 16, Server(1))
UA_SIZES = bytes.fromhex("8180120502040006020400070400000001080400000001")


def answer(control: int, source: str = "0223", destination: str = "21", info: bytes = b"") -> Peer:
    """Return a peer that answers SNRM and DISC with one frame."""
    reader = FrameReader()
    frame = Frame(bytes.fromhex(destination), bytes.fromhex(source), control, info)

    def peer(sent: bytes) -> bytes:
        reader.feed(sent)
        return frame.encode() if reader.next() else b""

    return peer


def test_a_broadcast_lets_the_meter_tell_its_own_address() -> None:
    attempt = drive(knock(EVERYBODY), answer(UA, info=UA_SIZES))
    assert attempt.kind == "accepted"
    assert attempt.found == Candidate("HDLC", 16, Server(1, 17))
    assert attempt.sizes is not None
    assert attempt.sizes.info_transmit == 1024


def test_the_form_of_an_address_is_kept_where_it_is_not_the_usual_one() -> None:
    attempt = drive(knock(ONE), answer(UA, source="00020003"))
    assert attempt.found == Candidate("HDLC", 16, Server(1, 1, 4))
    assert drive(knock(ONE), answer(UA, source="03")).found == Candidate("HDLC", 16, Server(0, 1))


def test_a_late_answer_to_another_client_is_not_lost() -> None:
    attempt = drive(knock(ONE), answer(UA, source="0203", destination="03"))
    assert attempt.found == Candidate("HDLC", 1, Server(1, 1))


def test_dm_says_that_the_address_is_right() -> None:
    attempt = drive(knock(ONE), answer(DM, source="0203"))
    assert attempt.kind == "refused"
    assert "disconnected mode" in attempt.detail


def test_goodbye_goes_to_who_answered() -> None:
    heard: list[Frame] = []

    def peer(sent: bytes) -> bytes:
        reader = FrameReader()
        reader.feed(sent)
        if frame := reader.next():
            heard.append(frame)
        return b""

    attempt = drive(knock(EVERYBODY), answer(UA))
    drive(leave(attempt), peer)
    drive(leave(drive(knock(ONE), peer)), peer)
    assert [(frame.control, frame.destination.hex()) for frame in heard] == [
        (DISC, "0223"), (SNRM, "0203"), (DISC, "0203"),
    ]  # fmt: skip


@pytest.mark.parametrize("echo", [True, False])
def test_silence_and_echo_are_the_same(echo: bool) -> None:
    attempt = drive(knock(ONE), lambda sent: sent if echo else b"")
    assert (attempt.kind, attempt.noise) == ("silence", b"")


def test_noise_is_kept() -> None:
    attempt = drive(knock(ONE), lambda sent: b"\x00\x01\x00\x01" if sent else b"")
    assert (attempt.kind, attempt.noise) == ("noise", b"\x00\x01\x00\x01")


def test_greeting_is_understood_and_released() -> None:
    meter = Meter(MeterOptions(framing="WRAPPER"))
    attempt = drive(greet(PORT), Connection([meter]).feed)
    assert (attempt.kind, attempt.found) == ("accepted", PORT)
    assert meter.seen["rlrq"] == 1


def test_a_greeting_that_is_answered_late_tells_whom() -> None:
    meter = Meter(MeterOptions(framing="WRAPPER", client_address=1, authentication="LOW"))
    line = Connection([meter])

    def peer(sent: bytes) -> bytes:
        """Answer as if the knock of client 1 had been the last."""
        return line.feed(wrapper.encode(1, 1, sent[8:])) if sent else b""

    attempt = drive(greet(PORT), peer)
    assert (attempt.kind, attempt.found) == ("refused", Candidate("WRAPPER", 1, Server(1)))
    assert "authentication-required" in attempt.detail


def test_a_greeting_met_by_nothing_or_by_hdlc() -> None:
    assert drive(greet(PORT), lambda sent: b"").kind == "silence"
    attempt = drive(greet(PORT), lambda sent: b"\x7e\xa0\x07" if sent else b"")
    assert (attempt.kind, attempt.noise) == ("noise", b"\x7e\xa0\x07")


def advice_on(*attempts: Attempt, serial: bool = False) -> str:
    lines = advise(attempts, (), Wanted(), serial=serial, timeout_s=2)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("candidate", "noise", "serial", "sentence"),
    [
        (ONE, b"\x00\x01\x00\x01\x00\x10", False, "that is --interface WRAPPER"),
        (PORT, b"\x7e\xa0\x1e", False, "that is --interface HDLC"),
        (ONE, b"/ISK5\\2MT174\r\n", True, "that is --interface HDLC_WITH_MODE_E"),
        (ONE, b"\xf0\x0f\x33", True, "suspect baud rate and parity"),
        (ONE, b"\xf0\x0f\x33", False, "suspect the converter's baud rate"),
    ],
)
def test_noise_tells_what_it_looks_like(
    candidate: Candidate, noise: bytes, serial: bool, sentence: str
) -> None:
    attempt = Attempt(candidate=candidate, kind="noise", noise=noise)
    assert sentence in advice_on(attempt, serial=serial)


def test_silence_names_address_framing_and_line() -> None:
    advice = advice_on(Attempt(candidate=ONE, kind="silence"))
    for word in ("server address first", "framing", "converter", "--timeout"):
        assert word in advice
    advice = advice_on(Attempt(candidate=ONE, kind="silence", baudrate=9600), serial=True)
    for word in ("at 9600 baud", "baud rate, parity and wiring"):
        assert word in advice


def test_a_link_that_is_refused_points_at_the_client() -> None:
    refused = Attempt(candidate=ONE, kind="refused", found=ONE, detail="in disconnected mode (DM)")
    assert "suspect the client address (--client)" in advice_on(refused)
    accepted = Attempt(candidate=ONE, kind="accepted", found=ONE)
    assert "no association came of it" in advice_on(accepted)


def test_refusals_name_the_client_that_wants_a_proof() -> None:
    wants = Refusal(1, "NONE", "rejected-permanent, authentication-required", "a hint")
    unknown = Refusal(2, "NONE", "rejected-permanent, no-reason-given", "another hint")
    advice = "\n".join(advise((), (wants, unknown), Wanted(), serial=False, timeout_s=2))
    assert "client 1 wants authentication" in advice
    assert "hint" not in advice
    advice = "\n".join(advise((), (unknown,), Wanted(), serial=False, timeout_s=2))
    assert "suspect the client address and the authentication" in advice
    assert further((unknown,), measures=True) == ()
    assert "reads no measured values" in further((unknown,), measures=False)[-1]


def test_what_was_tried_is_grouped() -> None:
    attempts = [Attempt(candidate=each, kind="silence") for each in (ONE, EVERYBODY, PORT)]
    assert tried(attempts) == (
        "HDLC: 2 probes, client 16, servers 1/1, 1/127; WRAPPER: 1 probe, client 16, server 1"
    )


SPODES = {"interfaceType": "HDLC", "clientAddress": 32, "authentication": "LOW",
          "logicalAddress": 1, "physicalAddress": 16}  # fmt: skip
SPODES_OBJECTS = [
    Obis.parse(code)
    for code in (
        *("0-0:96.1.0", "1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0", "1-0:31.7.0", "1-0:51.7.0"),
        *("1-0:71.7.0", "1-0:14.7.0", "1-0:1.7.0", "1-0:1.8.0", "1-0:1.8.1", "1-0:1.8.2"),
        *("1-0:1.8.3", "1-0:1.8.4", "1-0:2.8.0"),
    )
]


def test_a_preset_fits_if_addresses_and_objects_agree() -> None:
    assert "spodes-reader" in fitting(SPODES, SPODES_OBJECTS, None)
    assert "spodes-reader" not in fitting({**SPODES, "clientAddress": 1}, SPODES_OBJECTS, None)
    assert fitting(SPODES, SPODES_OBJECTS[2:], None) == ()


def test_presets_of_other_makers_do_not_fit() -> None:
    public = {**SPODES, "clientAddress": 16, "authentication": "NONE"}
    five = ("1-0:0.0.0", "1-1:32.7.0", "1-1:31.7.0", "1-1:14.7.0", "1-1:1.7.0", "1-1:1.8.0")
    there = [Obis.parse(code) for code in five]
    assert "microstar" in fitting(public, there, "XYZ0012345678901")
    assert fitting(public, there, "KAM0012345678901") == ()
    names = fitting(SPODES, SPODES_OBJECTS, "KAM0012345678901")
    assert names
    assert all(not name.startswith(("landisgyr", "milur", "mercury")) for name in names)


def test_a_reply_header_in_the_other_byte_order_is_understood() -> None:
    line = Connection([Meter(MeterOptions(framing="WRAPPER"))])

    def peer(sent: bytes) -> bytes:
        reply = line.feed(sent)
        fields = [reply[at : at + 2][::-1] for at in range(0, 8, 2)] if reply else []
        return b"".join(fields) + reply[8:]

    attempt = drive(greet(PORT), peer)
    assert attempt.kind == "accepted"
    assert attempt.found == PORT.needing({"wrapperByteOrder": "littleReplies"})


def test_an_accepted_greeting_of_the_other_referencing_is_released() -> None:
    options = MeterOptions(framing="WRAPPER", referencing="SN", faults={"own-context": 1})
    meter = Meter(options)
    attempt = drive(greet(PORT), Connection([meter]).feed)
    assert attempt.found is not None
    assert attempt.found.referencing == "SN"
    assert attempt.is_decisive
    assert meter.seen["rlrq"] == 1
