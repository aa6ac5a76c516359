"""MQTT 5 and 3.1.1 on the wire. The octets of 3.1.1 are written after the standard's figures."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.demo.mqtt_dialect import Mqtt5, Mqtt311, UnknownProtocolError, recognise
from dlms_connector.demo.mqtt_packets import (
    message,
    patterns_of,
    payload_of,
    subscription,
    write,
)

CONNECT_311 = bytes.fromhex("10 13 0004 4D515454 04 82 003C 0002 6964 0003 746F6B")
CONNECT_5 = write(mqtt5.ConnectPacket("id", username="tok", keep_alive=60))


def read_slowly(dialect: Mqtt311 | Mqtt5, octets: bytes) -> Any:
    """Read a packet that comes octet by octet."""
    for count in range(1, len(octets)):
        assert dialect.read(octets[:count]) is None
    read = dialect.read(octets + b"\xc0")
    assert read is not None
    packet, used = read
    assert used == len(octets)
    return packet


@pytest.mark.parametrize(("octets", "name"), [(CONNECT_311, "3.1.1"), (CONNECT_5, "5")])
def test_the_first_packet_tells_the_dialect(octets: bytes, name: str) -> None:
    for count in range(1, len(octets)):
        assert recognise(octets[:count]) is None
    dialect = recognise(octets)
    assert dialect is not None
    assert dialect.name == name
    read = dialect.read(octets)
    assert read is not None
    packet, _ = read
    assert (packet.client_id, packet.username, packet.keep_alive) == ("id", "tok", 60)


@pytest.mark.parametrize(
    "octets",
    [
        bytes.fromhex("10 0E 0006 4D5149736470 03 02 003C 0000"),  # MQTT 3.1
        bytes.fromhex("10 0C 0004 4D515454 06 02 003C 0000"),
        b"\x10\x00",
    ],
)
def test_other_protocols(octets: bytes) -> None:
    with pytest.raises(UnknownProtocolError):
        recognise(octets)


@pytest.mark.parametrize(
    "octets", [b"\xc0\x00", b"GET / HTTP/1.1\r\n", b"\x10\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_connect(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"CONNECT|length"):
        recognise(octets)


def test_a_will_of_3_1_1() -> None:
    octets = bytes.fromhex("10 18 0004 4D515454 04 06 0000 0002 6964 0003 612F62 0003 627965")
    packet = read_slowly(Mqtt311(), octets)
    assert packet.clean_start
    assert (packet.will.topic, packet.will.payload) == ("a/b", b"bye")


@pytest.mark.parametrize(
    ("octets", "topic", "payload", "number"),
    [("30 05 0001 61 7B7D", "a", b"{}", None), ("32 07 0001 61 0A0B 7B7D", "a", b"{}", 0x0A0B)],
)
def test_messages_of_3_1_1(octets: str, topic: str, payload: bytes, number: int | None) -> None:
    packet = read_slowly(Mqtt311(), bytes.fromhex(octets))
    assert (packet.topic, payload_of(packet), packet.packet_id) == (topic, payload, number)


def test_subscriptions_of_3_1_1() -> None:
    packet = read_slowly(Mqtt311(), bytes.fromhex("82 0B 0007 0001 61 01 0002 2F2B 00"))
    assert packet.packet_id == 7
    assert patterns_of(packet) == ["a", "/+"]
    packet = read_slowly(Mqtt311(), bytes.fromhex("A2 05 0008 0001 61"))
    assert (packet.packet_id, packet.patterns) == (8, ["a"])


@pytest.mark.parametrize("octets", ["30 02 0005", "32 03 0001 61", "10 02 0004"])
def test_packets_that_end_too_early(octets: str) -> None:
    with pytest.raises(ValueError, match=r"early|length"):
        Mqtt311().read(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("packet", "octets"),
    [
        (mqtt5.ConnAckPacket(assigned_client_id="x"), "20 02 00 00"),
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED), "20 02 00 05"),
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_UNAVAILABLE), "20020003"),
        (mqtt5.PubAckPacket(0x0102), "40 02 0102"),
        (
            mqtt5.SubAckPacket(7, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]),
            "90 03 0007 01",
        ),
        (mqtt5.UnsubAckPacket(7, [mqtt5.UnsubAckReasonCode.SUCCESS]), "B0 02 0007"),
        (mqtt5.PingRespPacket(), "D0 00"),
        (mqtt5.DisconnectPacket(), ""),
    ],
)
def test_answers_in_3_1_1(packet: Any, octets: str) -> None:
    assert Mqtt311().write(packet) == bytes.fromhex(octets)


@given(st.binary(max_size=300), st.integers(1, 0xFFFF))
def test_a_message_in_3_1_1_is_read_back(payload: bytes, number: int) -> None:
    packet = message("v1/ü", payload, number)
    octets = Mqtt311().write(packet)
    read = Mqtt311().read(octets)
    assert read is not None
    again, used = read
    assert used == len(octets)
    assert (again.topic, payload_of(again), again.packet_id) == ("v1/ü", payload, number)


@pytest.mark.parametrize(
    "packet",
    [
        message("v1/gateway/telemetry", bytes(70_000), 7),
        message("v1/gateway/telemetry", b""),
        subscription(3, ["a/+", "b/#"]),
        mqtt5.DisconnectPacket(),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_packets_of_5_are_read_back(packet: Any) -> None:
    octets = Mqtt5().write(packet)
    for count in {1, 2, len(octets) // 2, len(octets) - 1} - {len(octets)}:
        assert Mqtt5().read(octets[:count]) is None
    read = Mqtt5().read(octets + b"\xc0")
    assert read is not None
    again, used = read
    assert used == len(octets)
    assert Mqtt5().write(again) == octets


@given(st.binary(min_size=1, max_size=60))
def test_noise_is_refused_with_a_value_error(noise: bytes) -> None:
    framed = noise[:1] + bytes((len(noise) - 1,)) + noise[1:]
    for read in (Mqtt311().read, Mqtt5().read, recognise):
        for octets in (noise, framed):
            with suppress(ValueError):
                read(octets)
