from __future__ import annotations

import pytest

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.mode_e import Identification, ModeE, sign_on
from dlms_connector.protocol.directive import LineSettings, Pause
from tests.support.hdlc_meter import CLIENT, SERVER, HdlcMeter
from tests.support.talks import DRIBBLED, WHOLE, Script, Way, drive, trailed_by

IDENTIFICATION = b"/ISk5\\2MT174-0001\r\n"
WAYS = pytest.mark.parametrize(
    "way", [WHOLE, DRIBBLED, trailed_by(b"\xff\x00")], ids=lambda way: way.name
)


def with_parity(text: bytes) -> bytes:
    """Return 7E1 characters as a line without parity sees them."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in text)


def test_the_whole_sign_on() -> None:
    talk = sign_on()
    settings = next(talk)
    assert repr(settings) == "LineSettings(300 7E1)"
    assert talk.send(b"") == b"/?!\r\n"
    pause = talk.send(IDENTIFICATION)
    assert repr(pause) == "Pause(0.2)"
    settings = talk.send(b"")
    assert isinstance(settings, LineSettings)
    assert repr(settings) == "LineSettings(9600 8N1)"
    assert settings == b"\x06252\r\n"
    assert settings.hold_s == pytest.approx(0.2)
    assert isinstance(talk.send(b""), Pause)
    with pytest.raises(StopIteration) as done:
        talk.send(b"\x06252\r\n")
    assert done.value.value == Identification("ISk", "5", "2", "MT174-0001")


@WAYS
@pytest.mark.parametrize(
    "reply",
    [
        IDENTIFICATION,
        b"/?!\r\n" + IDENTIFICATION,  # the echo of an optical head
        b"\x00\xff\x7f" + IDENTIFICATION,
        with_parity(IDENTIFICATION),
        with_parity(b"/?!\r\n") + IDENTIFICATION,
    ],
    ids=["plain", "echo", "noise", "parity bits", "echo with parity bits"],
)
def test_identification_is_found(way: Way, reply: bytes) -> None:
    identification = drive(sign_on(), Script([reply]), way)
    assert identification == Identification("ISk", "5", "2", "MT174-0001")
    assert identification.baudrate == 9600


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"/APA5\\2NORAX30\r\n", Identification("APA", "5", "2", "NORAX30")),
        (b"/LGZ4\\2ZMD3104407.B14\r\n", Identification("LGZ", "4", "2", "ZMD3104407.B14")),
        (b"/KAM6\r\n", Identification("KAM", "6", "", "")),
        (b"/abc0\\@\\2x y\r\n", Identification("abc", "0", "@2", "x y")),
        (b"/?!\r\n", None),
        (b"/ISk5\\2MT174", None),
        (b"", None),
    ],
)
def test_identifications(reply: bytes, expected: Identification | None) -> None:
    assert Identification.find(reply) == expected


def test_device_address() -> None:
    script = Script([IDENTIFICATION])
    drive(sign_on("00012345"), script)
    assert script.heard[0] == b"/?00012345!\r\n"


@pytest.mark.parametrize(
    ("proposed", "ours", "agreed"),
    [("5", None, "5"), ("6", 9600, "5"), ("5", 19200, "5"), ("5", 5000, "4"), ("5", 110, "0")],
)
def test_rate(proposed: str, ours: int | None, agreed: str) -> None:
    script = Script([IDENTIFICATION.replace(b"5", proposed.encode(), 1)])
    drive(sign_on(max_baudrate=ours), script)
    assert script.heard[-1] == f"\x062{agreed}2\r\n".encode()


def test_a_rate_of_mode_b() -> None:
    with pytest.raises(ProtocolError, match="the meter ISk proposes the rate 'B'"):
        drive(sign_on(), Script([IDENTIFICATION.replace(b"5", b"B", 1)]))


def test_silence_is_repeated() -> None:
    script = Script([b"", b"/?!\r\n", IDENTIFICATION])
    drive(sign_on(), script)
    assert script.heard[:3] == [b"/?!\r\n"] * 3


def test_nobody_there() -> None:
    with pytest.raises(LinkTimeoutError) as caught:
        drive(sign_on(retries=1), Script([b"/?!\r\n"] * 9))
    assert (caught.value.tries, caught.value.received) == (2, 10)


def test_somebody_else_talks() -> None:
    with pytest.raises(ProtocolError, match="no identification in"):
        drive(sign_on(), Script([b"x" * 5000]), DRIBBLED)


@WAYS
def test_hdlc_follows(way: Way) -> None:
    """The confirmation that the meter sends after the change is noise to HDLC."""
    meter = HdlcMeter()
    heard = []

    def peer(sent: bytes) -> bytes:
        heard.append(sent)
        if sent.startswith(b"/?"):
            return IDENTIFICATION
        return with_parity(sent) if sent.startswith(b"\x06") else meter(sent)

    link = ModeE(Hdlc(CLIENT, SERVER))
    drive(link.connect(), peer, way)
    assert link.identification is not None
    assert drive(link.exchange(b"x"), peer, way) == b"<x>"
    drive(link.disconnect(), peer, way)
    assert not meter.connected
    with pytest.raises(ProtocolError):
        drive(link.receive(), meter)


class Sleeper:
    """A meter that is still in the binary mode of an earlier session until a DISC ends that."""

    def __init__(self) -> None:
        self.meter, self.heard = HdlcMeter(), list[bytes]()
        self.binary = True

    def __call__(self, sent: bytes) -> bytes:
        self.heard.append(sent)
        if sent.startswith(b"\x7e") and self.binary:
            self.binary = False
            return b""
        if sent.startswith(b"/?"):
            return b"" if self.binary else IDENTIFICATION
        return with_parity(sent) if sent.startswith(b"\x06") else self.meter(sent)


def test_a_session_left_behind_is_ended_when_the_sign_on_is_not_heard() -> None:
    peer = Sleeper()
    link = ModeE(Hdlc(CLIENT, SERVER), retries=1)
    drive(link.connect(), peer)
    assert [sent[:2] for sent in peer.heard[:3]] == [b"/?", b"\x7e\xa0", b"/?"]
    assert drive(link.exchange(b"x"), peer) == b"<x>"


def test_without_retries_silence_is_all_there_is() -> None:
    with pytest.raises(LinkTimeoutError):
        drive(ModeE(Hdlc(CLIENT, SERVER), retries=0).connect(), Sleeper())


def test_there_is_nothing_to_end_before_a_sign_on() -> None:
    peer = Sleeper()
    drive(ModeE(Hdlc(CLIENT, SERVER)).disconnect(), peer)
    assert peer.heard == []


def test_another_first_rate() -> None:
    talk = sign_on(start_baudrate=2400)
    settings = next(talk)
    assert repr(settings) == "LineSettings(2400 7E1)"
    talk.close()


READOUT = b"\x02F.F(00000000)\r\n0.0.0(12345678)\r\n1.8.0(0001240.1*kWh)\r\n!\r\n\x03\x11"


class Printer:
    """A meter without HDLC: it identifies itself, and sends an ASCII readout at some time."""

    def __init__(self, identification: bytes, *, at_once: bool, parity: bool) -> None:
        change = with_parity if parity else bytes
        readout = change(READOUT)
        self._first = change(identification) + (readout if at_once else b"")
        self._then = b"" if at_once else readout

    def __call__(self, sent: bytes) -> bytes:
        if sent.startswith(b"/?"):
            return self._first
        return self._then if sent.startswith(b"\x06") else b""


@WAYS
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("parity", [False, True])
@pytest.mark.parametrize("identification", [b"/ISk5MT174-0001\r\n", b"/APA5\\2NORAX30\r\n"])
def test_a_readout_in_place_of_hdlc_is_told(
    way: Way, at_once: bool, parity: bool, identification: bytes
) -> None:
    peer = Printer(identification, at_once=at_once, parity=parity)
    with pytest.raises(ProtocolError) as caught:
        drive(ModeE(Hdlc(CLIENT, SERVER)).connect(), peer, way)
    named = identification.decode().strip()
    assert f"the meter identified itself as {named}" in str(caught.value)
    assert ("offers no mode E" in str(caught.value)) is (b"\\2" not in identification)
    assert "F.F(00000000)" in str(caught.value)
    assert "ASCII" in caught.value.hint


def test_an_identification_without_mode_e_is_told() -> None:
    with pytest.raises(ProtocolError, match="/ISk5MT174-0001, which offers no mode E"):
        drive(ModeE(Hdlc(CLIENT, SERVER)).connect(), Script([b"/ISk5MT174-0001\r\n"]))


def test_a_meter_that_signed_on_and_is_silent_is_named() -> None:
    with pytest.raises(LinkTimeoutError) as caught:
        drive(ModeE(Hdlc(CLIENT, SERVER)).connect(), Script([IDENTIFICATION]))
    assert "identified itself as /ISk5\\2MT174-0001" in caught.value.hint


def test_text_that_is_no_identification_is_shown() -> None:
    with pytest.raises(ProtocolError, match="the text 'NO CARRIER'"):
        drive(ModeE(Hdlc(CLIENT, SERVER)).connect(), Script([b"/?!\r\nNO CARRIER\r\n"]))
