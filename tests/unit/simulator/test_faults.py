"""Every fault of the simulated meter does what its row in the table says."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.simulator import FAULTS, Connection, Faults, Meter, MeterOptions
from dlms_connector.simulator.datalink import hdlc
from dlms_connector.simulator.datalink.hdlc_frames import Framer, make_frame
from dlms_connector.simulator.datalink.wrapper import make_packet
from dlms_connector.simulator.encoding.data import encode, u16
from tests.support.simulated import aarq, ask, get, make_meter, open_session, reference

VOLTAGE = b"\xc0\x01\xc1" + reference(3, "1-0:32.7.0", 2) + b"\x00"
LIST = b"\xc0\x03\xc1\x02" + VOLTAGE[3:] + reference(8, "0-0:1.0.0", 2) + b"\x00"
CLIENT, SERVER = b"\x21", b"\x02\x03"
SNRM = make_frame(SERVER, CLIENT, 0x93)


class Timer:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def wrapped(meter: Meter) -> Connection:
    """A connection with an association open."""
    connection = Connection([meter])
    connection.feed(make_packet(16, 1, aarq()))
    return connection


def asked(connection: Connection, apdu: bytes = VOLTAGE) -> bytes:
    return connection.feed(make_packet(16, 1, apdu))


def make(**options: Any) -> Meter:
    return make_meter(framing="WRAPPER", **options)


def information(send: int, receive: int, apdu: bytes) -> bytes:
    control = 0x10 | send << 1 | receive << 5
    return make_frame(SERVER, CLIENT, control, b"\xe6\xe6\x00" + apdu)


def hdlc_session(meter: Meter) -> Connection:
    connection = Connection([meter])
    connection.feed(SNRM)
    connection.feed(information(0, 0, aarq()))
    return connection


def test_faults_are_switched_by_name() -> None:
    faults = Faults(["delay=2.5", "silence"])
    assert faults["delay"] == 2.5
    assert "silence" in faults
    faults.clear("silence")
    assert "silence" not in faults
    faults.set("lose")
    assert [faults.every("lose") for _ in range(4)] == [False, True, False, True]
    faults.clear()
    assert not any(name in faults for name in FAULTS)


@pytest.mark.parametrize("text", ["nonsense", "delay=soon"])
def test_a_wrong_fault_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("=")[0]):
        Faults([text])


def test_silence_begins_and_ends_while_running() -> None:
    meter = make()
    connection = wrapped(meter)
    meter.faults.set("silence")
    assert asked(connection) == b""
    meter.faults.clear("silence")
    assert asked(connection)


def test_the_line() -> None:
    meter = make()
    connection = wrapped(meter)
    good = asked(connection)
    meter.faults.set("delay", 3)
    asked(connection)
    assert connection.delay_s == 3
    meter.faults.clear()
    meter.faults.set("garbage", 5)
    assert asked(connection)[5:] == good
    meter.faults.clear()
    meter.faults.set("echo")
    assert asked(connection) == make_packet(16, 1, VOLTAGE) + good
    meter.faults.clear()
    meter.faults.set("one-byte-fragments")
    assert connection.fragments


def test_the_connection_drops_after_so_many_octets() -> None:
    meter = make(faults={"drop-after": 60})
    connection = wrapped(meter)
    while not connection.closing:
        last = asked(connection)
    assert len(last) < 15
    assert asked(connection) == b""


def test_a_lost_answer_is_sent_when_asked_again() -> None:
    meter = make_meter(faults=["lose=3"])
    connection = hdlc_session(meter)
    request = information(1, 1, VOLTAGE)
    assert connection.feed(request) == b""
    assert b"\xc4\x01\xc1\x00\x12" in connection.feed(request)
    assert meter.seen["get"] == 1


def test_hdlc_faults() -> None:
    meter = make_meter()
    connection = hdlc_session(meter)
    good = connection.feed(information(1, 1, VOLTAGE))
    meter.faults.set("bad-fcs")
    assert list(Framer().feed(connection.feed(information(1, 1, VOLTAGE)))) == []
    meter.faults.clear()
    meter.faults.set("wrong-sequence")
    (frame,) = Framer().feed(connection.feed(information(1, 1, VOLTAGE)))
    assert frame.control >> 1 & 7 == 4
    meter.faults.clear()
    meter.faults.set("foreign-frames")
    other, ours = Framer().feed(connection.feed(information(1, 1, VOLTAGE)))
    assert (other.destination, ours.destination) == (b"\x7b", CLIENT)
    meter.faults.clear()
    meter.faults.set("flags", 3)
    assert connection.feed(information(1, 1, VOLTAGE)) == b"\x7e" * 3 + good


@pytest.mark.parametrize(("fault", "control"), [("dm-at", 0x1F), ("frmr-at", 0x97)])
def test_a_session_that_breaks(fault: str, control: int) -> None:
    meter = make_meter()
    connection = hdlc_session(meter)
    meter.faults.set(fault, 2)
    connection.feed(information(1, 1, VOLTAGE))
    (frame,) = Framer().feed(connection.feed(information(2, 2, VOLTAGE)))
    assert frame.control == control
    assert fault not in meter.faults


def test_sizes_that_nobody_proposed() -> None:
    meter = make_meter(faults=["fixed-sizes"], max_info=512)
    assert bytes.fromhex("05020200") in Connection([meter]).feed(SNRM)


def test_inactivity_and_quiet_after_an_unclean_end() -> None:
    timer = Timer()
    meter = make_meter(monotonic=timer, faults=["inactivity=180", "quiet-after-unclean=12"])
    connection = hdlc_session(meter)
    timer.now += 181
    (frame,) = Framer().feed(connection.feed(information(1, 1, VOLTAGE)))
    assert frame.control & ~hdlc.POLL == hdlc.DM
    connection.feed(SNRM)
    connection.close()
    again = Connection([meter])
    assert again.feed(SNRM) == b""
    timer.now += 13
    assert again.feed(SNRM)


def test_one_client_only() -> None:
    meter = make(faults=["single-client"])
    first = Connection([meter])
    assert Connection([meter]).closing
    assert not first.closing


def test_associations() -> None:
    meter = make(faults={"refuse-association": 13})
    assert b"\xa2\x03\x02\x01\x01\xa3\x05\xa1\x03\x02\x01\x0d" in asked(Connection([meter]), aarq())
    meter.faults.clear()
    meter.faults.set("keeps-association")
    connection = wrapped(meter)
    connection.close()
    again = Connection([meter])
    assert b"\xa2\x03\x02\x01\x01" in asked(again, aarq())
    assert asked(again, bytes.fromhex("6203800100"))[8:] == bytes.fromhex("6303800100")
    assert b"\xa2\x03\x02\x01\x00" in asked(again, aarq())


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_a_client_that_the_meter_does_not_know(framing: str) -> None:
    meter = make_meter(framing=framing, faults=["silent-to-wrong-sap"])
    connection = Connection([meter])
    strange = make_frame(SERVER, b"\x23", 0x93)
    assert connection.feed(strange if framing == "HDLC" else make_packet(17, 1, aarq())) == b""
    if framing == "WRAPPER":
        meter.faults.clear()
        meter.faults.set("close-on-wrong-sap")
        assert connection.feed(make_packet(17, 1, aarq())) == b""
        assert connection.closing


def test_goodbyes() -> None:
    release = bytes.fromhex("6203800100")
    meter = make(faults=["exception-to-release"])
    connection = wrapped(meter)
    assert asked(connection, release)[8:] == b"\xd8\x02\x02"
    meter.faults.clear()
    meter.faults.set("close-after-release")
    assert asked(connection, release)[8:] == bytes.fromhex("6303800100")
    assert connection.closing


def test_service_answers() -> None:
    meter = make_meter()
    session = open_session(meter)
    good, listed = ask(session, VOLTAGE), ask(session, LIST)
    clock = encode(get(session, 8, "0-0:1.0.0"))
    expected = {
        "exception": (VOLTAGE, b"\xd8\x02\x02"),
        "refuse-list": (LIST, b"\xd8\x02\x02"),
        "malformed-list": (LIST, listed[:-1]),
        "short-list": (LIST, listed[:3] + b"\x01" + listed[4 : -len(clock) - 1]),
        "double-wrapped-clock": (LIST, listed[: -len(clock)] + b"\x09\x0e" + clock),
        "wrong-invoke-id": (VOLTAGE, b"\xc4\x01\xc4" + good[3:]),
        "truncate": (VOLTAGE, good[:-1]),
    }
    for name, (request, answer) in expected.items():
        meter.faults.set(name)
        assert ask(session, request) == answer, name
        meter.faults.clear()


def test_endless_empty_blocks() -> None:
    meter = make_meter(faults=["empty-blocks"])
    session = open_session(meter)
    reply = ask(session, VOLTAGE)
    for number in range(1, 100):
        assert reply == b"\xc4\x02\xc1\x00" + number.to_bytes(4, "big") + b"\x00\x00"
        reply = ask(session, b"\xc0\x02\xc1" + number.to_bytes(4, "big"))


def test_stale_replies() -> None:
    meter = make(faults=["stale-replies"])
    connection = wrapped(meter)
    first = asked(connection)[-15:]
    meter.put(3, "1-0:32.7.0", 2, u16(1))
    second = asked(connection)
    assert second[:15] == first
    assert second[15:] == first[:-2] + b"\x00\x01"


def test_profiles_without_selection() -> None:
    meter = make_meter(faults=["no-range", "no-entry"], profile_days=1)
    session = open_session(meter)
    request = b"\xc0\x01\xc1" + reference(7, "1-0:99.1.0", 2)
    by_entry = b"\x01\x02\x02\x04\x06\x00\x00\x00\x01\x06\x00\x00\x00\x02\x12\x00\x01\x12\x00\x01"
    assert ask(session, request + by_entry)[3:] == b"\x01\x0d"
    meter.faults.set("compressed-rows")
    rows = get(session, 7, "1-0:99.1.0").value
    assert rows[0].value[0].tag == 9
    assert {row.value[0].tag for row in rows[1:]} == {0}


def test_every_fault_is_described() -> None:
    assert all(row.effect and row.name == name for name, row in FAULTS.items())
    with pytest.raises(ValueError, match="is no fault"):
        Meter(MeterOptions(faults={"nonsense": 1}))
