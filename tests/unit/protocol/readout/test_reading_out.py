"""Reading a meter out: modes A, B, C and D, parity, block checks, and what breaks off."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.protocol.directive import LineSettings
from dlms_connector.protocol.readout import data_sets, read_out
from dlms_connector.protocol.readout.reading_out import crc16
from tests.support.talks import DRIBBLED, WHOLE, Way, drive

LINES = "0.0.0(00012345)\r\n1.8.0(0001240.1*kWh)\r\n!\r\n"
WAYS = pytest.mark.parametrize("way", [WHOLE, DRIBBLED], ids=str)


def block(lines: str = LINES) -> bytes:
    content = lines.encode() + b"\x03"
    return b"\x02" + content + bytes((reduce(xor, content, 0),))


def parity(text: bytes) -> bytes:
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in text)


class Meter:
    """Answers the request and the acknowledgement; remembers what it heard."""

    def __init__(self, identification: bytes, data: list[bytes], *, asked: bytes) -> None:
        self.identification, self.data, self.asked = identification, data, asked
        self.heard: list[bytes] = []

    def __call__(self, sent: bytes) -> bytes:
        self.heard.append(sent)
        if sent.startswith(b"/?"):
            return self.identification
        if sent in (self.asked, b"\x15") and self.data:
            return self.data.pop(0)
        return b""


@WAYS
def test_mode_c_acknowledges_the_offered_rate_and_checks_the_block(way: Way) -> None:
    meter = Meter(b"/ABC5NAME\r\n", [block()], asked=b"\x06050\r\n")
    text = drive(read_out(), meter, way)
    assert [one.code for one in data_sets(text)] == ["0.0.0", "1.8.0"]
    assert meter.heard[0] == b"/?!\r\n"


@WAYS
def test_characters_with_their_parity_are_read(way: Way) -> None:
    meter = Meter(parity(b"/ABC5NAME\r\n"), [parity(block())], asked=b"\x06050\r\n")
    assert "1.8.0(0001240.1*kWh)" in drive(read_out(), meter, way)


def test_the_rate_is_limited_and_the_address_is_asked() -> None:
    meter = Meter(b"/ABC5NAME\r\n", [block()], asked=b"\x06030\r\n")
    drive(read_out("123", max_baudrate=2400), meter)
    assert meter.heard[0] == b"/?123!\r\n"


def test_a_damaged_block_is_asked_for_again() -> None:
    damaged = block().replace(b"1240", b"1241")
    meter = Meter(b"/ABC5NAME\r\n", [damaged, block()], asked=b"\x06050\r\n")
    assert "1240.1" in drive(read_out(), meter)
    assert meter.heard[-1] == b"\x15"


def test_a_block_that_stays_damaged_gives_no_value() -> None:
    damaged = block().replace(b"1240", b"1241")
    meter = Meter(b"/ABC5NAME\r\n", [damaged] * 9, asked=b"\x06050\r\n")
    with pytest.raises(ProtocolError, match="block check"):
        drive(read_out(), meter)


def test_a_character_with_the_wrong_parity_is_never_a_digit() -> None:
    octets = bytearray(parity(b"/ABC5NAME\r\n1.8.0(17*kWh)\r\n!\r\n"))
    octets[octets.index(parity(b"7"))] ^= 1
    text = drive(read_out(), lambda sent: bytes(octets) if sent[:2] == b"/?" else b"")
    assert "17" not in text
    assert "16" not in text


def test_mode_b_follows_the_announced_rate() -> None:
    talk = read_out()
    first = next(talk)
    assert talk.send(b"") == b"/?!\r\n"
    second = talk.send(b"/ABCCNAME\r\n")
    assert isinstance(first, LineSettings)
    assert isinstance(second, LineSettings)
    assert (first.baudrate, second.baudrate) == (300, 2400)
    assert talk.send(b"") == b""
    with pytest.raises(StopIteration, match=r"0001240\.1"):
        talk.send(block())


@WAYS
def test_a_customer_port_talks_unasked_and_its_crc_is_checked(way: Way) -> None:
    body = b"/ABC5\\2NAME\r\n\r\n1-3:0.2.8(50)\r\n1-0:1.8.1(000123.456*kWh)\r\n!"
    telegram = body + b"%04X\r\n" % crc16(body)
    answer = lambda sent: telegram if sent[:2] == b"/?" else b""  # noqa: E731
    if way is WHOLE:
        assert "1-0:1.8.1(000123.456*kWh)" in drive(read_out(), answer, way)
        wrong = telegram.replace(b"123.456", b"123.457")
        with pytest.raises(ProtocolError, match="block check"):
            drive(read_out(), lambda sent: wrong if sent[:2] == b"/?" else b"", way)
    else:
        assert "1-0:1.8.1(000123.456*kWh)" in drive(read_out(), answer, way)


def test_the_crc_is_that_of_customer_ports() -> None:
    assert crc16(b"123456789") == 0xBB3D


@pytest.mark.parametrize(
    ("answers", "error", "match"),
    [
        ([], LinkTimeoutError, "asked 3 times"),
        ([b"/ABC5NAME\r\n"], ProtocolError, "broke off"),
        ([b"/ABC5NAME\r\n", b"\x02" + b"1.8.0(1)\r\n" * 9000], ProtocolError, "not ended"),
        ([b"x" * 70_000], ProtocolError, "no identification"),
    ],
)
def test_silence_and_endless_text_are_told(
    answers: list[bytes], error: type[Exception], match: str
) -> None:
    left = list(answers)
    with pytest.raises(error, match=match):
        drive(read_out(), lambda sent: left.pop(0) if sent and left else b"")
