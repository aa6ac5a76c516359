"""The simulated meter's HDLC end: real frames, sequence, segments, windows, strangers."""

from __future__ import annotations

import pytest

from dlms_connector.simulator import Connection, Faults, Meter, MeterOptions
from dlms_connector.simulator.datalink import hdlc
from dlms_connector.simulator.datalink.hdlc import Sizes, Station
from dlms_connector.simulator.datalink.hdlc_frames import (
    Frame,
    Framer,
    address_matches,
    make_address,
    make_frame,
)

SNRM = bytes.fromhex("7EA0070303938C117E")
AARQ = bytes.fromhex(
    "7EA046030310" + "13ADE6E6006036A1090607608574050801018A0207808B0760857405080201AC0C800A"
    "32323232323232323232BE10040E01000000065F1F0400007E1F04B090B67E"
)
SNRM_WIDE = bytes.fromhex("7EA00A00020023219318717E")
AARQ_WIDE = bytes.fromhex(
    "7EA02E0002002321107ECBE6E600601DA109060760857405080101BE10040E0100000006"
    "5F1F040000301DFFFFD4C57E"
)
CLIENT, SERVER = b"\x21", b"\x03"


def only(octets: bytes) -> Frame:
    """The one frame in the octets."""
    (frame,) = Framer().feed(octets)
    return frame


def make_station(answer: bytes = b"\xc4", **sizes: int) -> Station:
    return Station(Sizes(**sizes), Faults(), lambda apdu, client: answer, lambda: None)


def command(control: int, information: bytes = b"", *, more: bool = False) -> Frame:
    return only(make_frame(SERVER, CLIENT, control, information, more))


def test_frames_of_a_real_installation() -> None:
    options = MeterOptions(
        client_address=1, logical_address=0, authentication="LOW", password=b"2222222222"
    )
    connection = Connection([Meter(options)])
    assert only(connection.feed(SNRM)).control == 0x73
    accepted = only(connection.feed(AARQ))
    assert accepted.information.startswith(
        bytes.fromhex("E6E7006129A109060760857405080101A203020100")
    )


def test_four_octet_addresses_of_a_real_installation() -> None:
    connection = Connection([Meter(MeterOptions(logical_address=1, physical_address=17))])
    agreed = only(connection.feed(SNRM_WIDE))
    assert (agreed.control, agreed.destination, agreed.source) == (0x73, b"\x21", SNRM_WIDE[3:7])
    accepted = only(connection.feed(AARQ_WIDE))
    assert accepted.information.startswith(bytes.fromhex("E6E7006129A109060760857405080101A203"))
    assert accepted.information.endswith(bytes.fromhex("0800065F1F040000101DFFFF0007"))


@pytest.mark.parametrize(
    ("address", "logical", "physical", "matches"),
    [
        ("03", 0, 1, True),
        ("03", 1, 99, True),
        ("0203", 1, 1, True),
        ("0023", 0, 17, True),
        ("00020023", 1, 17, True),
        ("00000291", 0, 200, True),
        ("0291", 0, 200, True),
        ("0205", 1, 1, False),
        ("05", 0, 1, False),
    ],
)
def test_addresses(address: str, logical: int, physical: int, matches: bool) -> None:
    assert address_matches(bytes.fromhex(address), logical, physical) is matches


def test_addresses_are_as_short_as_can_be() -> None:
    assert make_address(1, 1) == bytes.fromhex("0203")
    assert make_address(1, 200) == bytes.fromhex("00020291")
    assert address_matches(make_address(16383, 16383), 16383, 16383)


def test_sizes_are_the_smaller_of_both_wishes() -> None:
    proposed = bytes.fromhex("81801205020080060140070400000001080400000007")
    assert Sizes(512, 512, 7, 7).negotiate(proposed) == Sizes(64, 128, 7, 1)
    assert Sizes(512, 512).negotiate(b"") == Sizes(128, 128)
    assert Sizes(512, 128).encode() == bytes.fromhex("81801305020200060180070400000001080400000001")


def test_a_long_reply_in_segments() -> None:
    station = make_station(bytes(300))
    station.take(command(0x93))
    parts = [only(station.take(command(0x10, b"\xe6\xe6\x00\xc0")))]
    while parts[-1].segmented:
        expected = (parts[-1].control >> 1 & 7) + 1
        parts.append(only(station.take(command(0x11 | expected << 5))))
    assert b"".join(part.information for part in parts) == b"\xe6\xe7\x00" + bytes(300)
    assert [part.control >> 1 & 7 for part in parts] == [0, 1, 2]
    assert [len(part.information) for part in parts] == [128, 128, 47]


def test_a_window_of_several_frames() -> None:
    station = make_station(bytes(1000), transmit_window=3)
    station.take(command(0x93, bytes.fromhex("818009070400000001080103")))
    frames = list(Framer().feed(station.take(command(0x10, b"\xe6\xe6\x00\xc0"))))
    assert [frame.control & 0x10 for frame in frames] == [0, 0, 0x10]


def test_a_long_request_in_segments() -> None:
    heard: list[bytes] = []

    def answer(apdu: bytes, client: int) -> bytes:
        heard.append(apdu)
        return b"\xc5"

    station = Station(Sizes(), Faults(), answer, lambda: None)
    station.take(command(0x93))
    assert only(station.take(command(0x10, b"\xe6\xe6\x00\xc1", more=True))).control == 0x31
    assert only(station.take(command(0x12, b"\x01\x02"))).control == 0x50
    assert heard == [b"\xc1\x01\x02"]


def test_what_was_lost_is_sent_again() -> None:
    station = make_station(b"\xc4\x01")
    station.take(command(0x93))
    request = command(0x10, b"\xe6\xe6\x00\xc0")
    first = station.take(request)
    assert station.take(request) == first
    assert station.take(command(0x11)) == first
    assert only(station.take(command(0x31))).control == 0x31


def test_disconnected_mode() -> None:
    station = make_station()
    assert only(station.take(command(0x10, b"\xe6\xe6\x00\xc0"))).control == hdlc.DM | 0x10
    assert only(station.take(command(0x53))).control == hdlc.DM | 0x10
    station.take(command(0x93))
    assert only(station.take(command(0x53))).control == hdlc.UA | 0x10
    assert only(station.take(command(0x53))).control == hdlc.DM | 0x10


@pytest.mark.parametrize("at", range(1, 9))
def test_a_frame_with_a_wrong_bit_is_not_answered(at: int) -> None:
    damaged = bytearray(SNRM)
    damaged[at] ^= 0x10
    connection = Connection([Meter(MeterOptions(client_address=1, logical_address=0))])
    assert connection.feed(bytes(damaged)) == b""


def test_frames_are_found_whatever_lies_between() -> None:
    framer = Framer()
    stream = b"\x7e" * 10_000 + b"\x00\x7e\xff" + SNRM + b"noise" + SNRM + SNRM[1:]
    found = [frame for octet in stream for frame in framer.feed(bytes((octet,)))]
    assert len(found) == 3


def test_several_meters_on_one_line() -> None:
    meters = [Meter(MeterOptions(physical_address=address)) for address in (1, 2)]
    connection = Connection(meters)
    connection.feed(make_frame(b"\x02\x05", CLIENT, 0x93))
    assert [meter.seen["snrm"] for meter in meters] == [0, 1]
    assert connection.feed(make_frame(b"\x02\x07", CLIENT, 0x93)) == b""
    assert connection.feed(make_frame(b"\x02\xff", CLIENT, 0x53)) == b""
    assert only(connection.feed(make_frame(b"\x02\x05", CLIENT, 0x53))).control == 0x1F


def test_a_meter_that_wants_no_snrm() -> None:
    connection = Connection([Meter(MeterOptions(skip_snrm=True))])
    request = make_frame(b"\x02\x03", CLIENT, 0x10, b"\xe6\xe6\x00\xc0")
    assert only(connection.feed(request)).information[:4] == b"\xe6\xe7\x00\xd8"


def test_an_unpolled_frame_out_of_order_is_not_answered() -> None:
    station = make_station()
    station.take(command(0x93))
    assert station.take(command(0x04, b"\xe6\xe6\x00\xc0")) == b""


def test_another_client_does_not_talk_in_a_session_that_is_not_its_own() -> None:
    station = make_station()
    station.take(command(0x93))
    stranger = only(make_frame(SERVER, b"\x41", 0x10, b"\xe6\xe6\x00\xc0"))
    refused = only(station.take(stranger))
    assert (refused.control, refused.destination) == (0x1F, b"\x41")
    assert only(station.take(command(0x10, b"\xe6\xe6\x00\xc0"))).information[3:] == b"\xc4"


def test_more_than_was_agreed_is_rejected() -> None:
    station = make_station(receive=64)
    station.take(command(0x93))
    assert only(station.take(command(0x10, b"\xe6\xe6\x00" + bytes(62)))).control == 0x97
    assert only(station.take(command(0x10, b"\xe6\xe6\x00" + bytes(61)))).information[3:] == b"\xc4"


@pytest.mark.parametrize("faults", [[], ["keeps-association"]])
def test_a_connection_that_is_gone_ends_the_association(faults: list[str]) -> None:
    meter = Meter(MeterOptions(physical_address=17, faults=faults))
    connection = Connection([meter])
    connection.feed(SNRM_WIDE)
    connection.feed(AARQ_WIDE)
    assert meter.association_held
    connection.close()
    assert meter.association_held is bool(faults)
