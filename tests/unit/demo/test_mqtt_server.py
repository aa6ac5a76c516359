"""The MQTT side of the platform stand-in: sessions, receipts, and what breaks them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import mqtt5
import pytest
import pytest_asyncio

from dlms_connector.demo.mqtt_packets import message, write
from dlms_connector.demo.mqtt_session import matches
from dlms_connector.demo.platform_server import Platform
from tests.support.mqtt_client import connection, gateway

CONNECT_311 = bytes.fromhex("10 15 0004 4D515454 04 82 003C 0002 6964 0005") + b"token"


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform({"token": "Gateway", "other": "Other gateway"}) as platform:
        yield platform


async def test_an_unknown_token_is_refused(platform: Platform) -> None:
    async with connection(platform) as client:
        assert await client.connect("wrong") == mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
        assert await client.closed()
    assert platform.connects == 1
    assert platform.sessions == 0


async def test_a_client_without_a_name_is_given_one(platform: Platform) -> None:
    async with connection(platform) as client:
        client.send(mqtt5.ConnectPacket("", username="token"))
        assert (await client.receive()).assigned_client_id == "client-1"


async def test_a_second_session_of_a_token_closes_the_first(platform: Platform) -> None:
    async with gateway(platform) as first, gateway(platform, "other") as bystander:
        async with gateway(platform):
            packet = await first.receive()
            assert packet.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
            assert await first.closed()
            assert platform.sessions == 2
        await bystander.acknowledged("v1/devices/me/telemetry", {"a": 1})
    [closed] = platform.journal.select("Closed", direction="out")
    assert closed.session == 1


async def test_an_old_client_is_served_and_loses_its_session_without_a_word(
    platform: Platform,
) -> None:
    async with connection(platform) as old:
        old.write(CONNECT_311)
        assert await old.read(4) == bytes.fromhex("20020000")
        old.write(bytes.fromhex("32 1E 0017") + b"v1/devices/me/telemetry" + b"\x00\x05{}x"[:5])
        assert await old.read(4) == bytes.fromhex("40020005")
        async with gateway(platform):
            assert await old.closed()


async def test_another_protocol_is_refused_in_words_of_3_1_1(platform: Platform) -> None:
    async with connection(platform) as client:
        client.write(bytes.fromhex("10 0E 0006 4D5149736470 03 02 003C 0000"))
        assert await client.read(4) == bytes.fromhex("20020001")
        assert await client.closed()


async def test_messages_are_acknowledged_and_told(platform: Platform) -> None:
    async with gateway(platform) as client:
        await client.acknowledged("v1/devices/me/telemetry", {"a": 1})
        client.send(message("v1/devices/me/telemetry", b'{"b": 2}'))  # QoS 0
        client.send(mqtt5.PingReqPacket())
        assert isinstance(await client.receive(), mqtt5.PingRespPacket)
    assert platform.messages == 2
    assert {point.key: point.value for point in platform.store.latest()} == {"a": 1, "b": 2}


async def test_a_message_that_comes_octet_by_octet(platform: Platform) -> None:
    packet = message("v1/devices/me/telemetry", b'{"a": 1}', 1)
    async with gateway(platform) as client:
        for octet in write(packet):
            client.write(bytes((octet,)))
            await asyncio.sleep(0)
        assert isinstance(await client.receive(), mqtt5.PubAckPacket)


async def test_what_is_unsubscribed_is_not_delivered(platform: Platform) -> None:
    async with gateway(platform) as client:
        client.send(mqtt5.UnsubscribePacket(3, ["v1/devices/me/#"]))
        assert isinstance(await client.receive(), mqtt5.UnsubAckPacket)
        assert not platform.set_gateway_attributes({"a": 1})


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\xc0\x00", id="no CONNECT"),
        pytest.param(b"\x10\x00" + bytes(9), id="an empty CONNECT"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
    ],
)
async def test_whoever_does_not_introduce_himself_is_sent_away(
    platform: Platform, octets: bytes
) -> None:
    async with connection(platform) as client:
        client.write(octets)
        await client.read(4) if octets[0] == 0x10 else None
        assert await client.closed()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(write(mqtt5.ConnectPacket("again", username="token")), id="a second CONNECT"),
        pytest.param(b"\x30\x01\x00", id="a malformed packet"),
        pytest.param(write(mqtt5.PubRelPacket(1)), id="a packet of QoS 2"),
        pytest.param(b"\x30\xff\xff\xff\x7f" + bytes(70_000), id="a packet too large"),
    ],
)
async def test_a_breach_of_protocol_ends_the_session(platform: Platform, octets: bytes) -> None:
    async with gateway(platform) as client:
        client.write(octets)
        await platform.wait_for(lambda: platform.journal.select("Lost"))
    assert platform.sessions == 0


async def test_a_goodbye_ends_the_session(platform: Platform) -> None:
    async with gateway(platform) as client:
        client.send(mqtt5.DisconnectPacket())
        assert await client.closed()
    assert not platform.journal.select("Lost")


async def test_silence_beyond_the_keep_alive_ends_the_session(platform: Platform) -> None:
    async with connection(platform) as client:
        await client.connect("token", keep_alive=1)
        assert await client.closed()
    [lost] = platform.journal.select("Lost")
    assert "Timeout" in lost.detail


async def test_while_stalled_nothing_is_acknowledged(platform: Platform) -> None:
    async with gateway(platform) as client:
        platform.stall()
        client.publish("v1/devices/me/telemetry", {"a": 1})
        await asyncio.sleep(0.02)
        assert platform.messages == 0
        platform.resume()
        assert isinstance(await client.receive(), mqtt5.PubAckPacket)


async def test_cut_off_and_back(platform: Platform) -> None:
    async with gateway(platform) as client:
        platform.cut()
        with pytest.raises(OSError):  # noqa: PT011  # reset or closed, as the system has it
            await client.receive()
    async with gateway(platform) as client:
        await client.acknowledged("v1/devices/me/telemetry", {"a": 1})


async def test_offline_and_back_at_the_same_port(platform: Platform) -> None:
    port = platform.port
    async with gateway(platform):
        await platform.go_offline()
        with pytest.raises(OSError):  # noqa: PT011  # refused
            async with connection(platform):
                pass
    await platform.go_online()
    assert platform.port == port
    async with gateway(platform) as client:
        await client.acknowledged("v1/devices/me/telemetry", {"a": 1})


async def test_offline_in_the_very_moment_in_which_something_arrives(platform: Platform) -> None:
    for turns in range(6):
        async with connection(platform) as client:
            await client.connect("token", keep_alive=60)
            client.send(mqtt5.PingReqPacket())
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.wait_for(platform.go_offline(), 30)
            assert platform.sessions == 0
        await platform.go_online()


@pytest.mark.parametrize(
    ("pattern", "topic", "covered"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("+/b", "a/b", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("b/#", "a/b", False),
    ],
)
def test_topic_filters(pattern: str, topic: str, covered: bool) -> None:
    assert matches(pattern, topic) is covered
