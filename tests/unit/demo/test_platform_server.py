"""The platform stand-in's device and gateway API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from time import time
from typing import Any

import mqtt5
import pytest
import pytest_asyncio

from dlms_connector.demo.journal import Packet
from dlms_connector.demo.platform_rules import REAL_MANNERS, Manners
from dlms_connector.demo.platform_server import Platform, RpcError
from tests.support.mqtt_client import MqttClient, gateway

ME, GATEWAY = "v1/devices/me", "v1/gateway"


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform({"token": "Gateway"}) as platform:
        yield platform


@pytest_asyncio.fixture
async def client(platform: Platform) -> AsyncIterator[MqttClient]:
    async with gateway(platform) as client:
        yield client


async def test_a_device_is_connected_and_disconnected(
    platform: Platform, client: MqttClient
) -> None:
    await client.acknowledged(f"{GATEWAY}/connect", {"device": "A", "type": "meter"})
    await client.acknowledged(f"{GATEWAY}/connect", {"device": "B"})
    assert platform.connected == {"A", "B"}
    assert platform.store.devices() == {"A": "meter", "B": "default"}
    await client.acknowledged(f"{GATEWAY}/disconnect", {"device": "A"})
    assert platform.connected == {"B"}


async def test_devices_go_with_their_gateway(platform: Platform) -> None:
    async with gateway(platform) as client:
        await client.acknowledged(f"{GATEWAY}/connect", {"device": "A"})
    await asyncio.sleep(0.01)
    assert platform.connected == frozenset()


async def test_telemetry_of_devices_is_kept_exactly_and_once(
    platform: Platform, client: MqttClient
) -> None:
    text = '{"A": [{"ts": 1790000000123, "values": {"v": 230.10}}]}'
    await client.acknowledged(f"{GATEWAY}/telemetry", text)
    await client.acknowledged(f"{GATEWAY}/telemetry", text)
    [point] = platform.telemetry("A", "v")
    assert (point.ts, point.value, str(point.value)) == (1790000000123, Decimal("230.1"), "230.1")
    assert platform.connected == {"A"}, "data of a device connects it"


async def test_values_without_a_timestamp_are_of_now(
    platform: Platform, client: MqttClient
) -> None:
    await client.acknowledged(f"{GATEWAY}/telemetry", {"A": [{"v": 1}, {"w": 2}]})
    await client.acknowledged(f"{ME}/telemetry", {"own": 3})
    await client.acknowledged(f"{ME}/telemetry", [{"ts": 7, "values": {"own": 4}}])
    for key in ("v", "w"):
        assert abs(platform.telemetry("A", key)[0].ts / 1000 - time()) < 60
    assert [point.value for point in platform.telemetry("Gateway", "own")] == [4, 3]


async def test_client_attributes(platform: Platform, client: MqttClient) -> None:
    await client.acknowledged(f"{GATEWAY}/attributes", {"A": {"serial": "7"}})
    await client.acknowledged(f"{ME}/attributes", {"version": "3"})
    assert platform.store.attributes("A") == {"serial": 7}
    assert platform.store.attributes("Gateway") == {"version": 3}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({}, {"shared": {"s": 1, "t": 2}, "client": {"c": 3}}),
        ({"sharedKeys": "s,unknown"}, {"shared": {"s": 1}}),
        ({"clientKeys": "c"}, {"client": {"c": 3}}),
        ({"sharedKeys": ""}, {"shared": {"s": 1, "t": 2}}),
        ({"sharedKeys": "unknown", "clientKeys": "unknown"}, {}),
    ],
)
async def test_a_gateway_asks_for_its_attributes(
    platform: Platform, client: MqttClient, asked: Any, answer: Any
) -> None:
    platform.store.set_attributes("Gateway", "shared", {"s": 1, "t": 2})
    platform.store.set_attributes("Gateway", "client", {"c": 3})
    client.publish(f"{ME}/attributes/request/5", asked)
    assert await client.message() == (f"{ME}/attributes/response/5", answer)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"client": False, "key": "s"}, {"value": 1}),
        ({"client": True, "key": "s"}, {}),
        ({"client": True, "keys": ["s", "u"]}, {}),
        ({"client": False, "keys": ["s"]}, {"value": 1}),
        ({"client": False, "keys": ["s", "u"]}, {"values": {"s": 1}}),
        ({"client": True, "keys": ["c"]}, {"value": 3}),
    ],
)
async def test_a_gateway_asks_for_attributes_of_a_device(
    platform: Platform, client: MqttClient, asked: Any, answer: Any
) -> None:
    platform.store.set_attributes("A", "shared", {"s": 1})
    platform.store.set_attributes("A", "client", {"c": 3})
    client.publish(f"{GATEWAY}/attributes/request", {"id": 4, "device": "A", **asked})
    topic, content = await client.message()
    assert topic == f"{GATEWAY}/attributes/response"
    assert content == {"id": 4, "device": "A", **answer}


async def test_shared_attributes_reach_a_connected_device(
    platform: Platform, client: MqttClient
) -> None:
    assert not platform.set_shared_attributes("A", {"limit": 5})
    await client.acknowledged(f"{GATEWAY}/connect", {"device": "A"})
    assert platform.set_shared_attributes("A", {"limit": 6})
    update = {"device": "A", "data": {"limit": 6}}
    assert await client.message() == (f"{GATEWAY}/attributes", update)
    assert platform.delete_shared_attributes("A", "limit")
    update = {"device": "A", "data": {"deleted": ["limit"]}}
    assert await client.message() == (f"{GATEWAY}/attributes", update)
    assert platform.store.attributes("A", "shared") == {}


async def test_remote_configuration_reaches_the_gateway(
    platform: Platform, client: MqttClient
) -> None:
    assert platform.set_gateway_attributes({"active_connectors": ["DLMS"]})
    assert await client.message() == (f"{ME}/attributes", {"active_connectors": ["DLMS"]})
    await platform.wait_for(lambda: platform.journal.select("PubAck"))
    assert platform.store.attributes("Gateway", "shared") == {"active_connectors": ["DLMS"]}


async def test_the_limits_of_the_session(client: MqttClient) -> None:
    client.publish(f"{ME}/rpc/request/1", {"method": "getSessionLimits", "params": {}})
    topic, content = await client.message()
    assert topic == f"{ME}/rpc/response/1"
    assert content["maxPayloadSize"] == 65_536
    assert "payloadType" not in content
    assert set(content["rateLimits"].values()) == {None}
    client.publish(f"{ME}/rpc/request/2", {"method": "somethingElse"})
    assert await client.message() == (f"{ME}/rpc/response/2", {"error": "unsupported method"})


async def test_a_call_to_a_device(platform: Platform, client: MqttClient) -> None:
    await client.acknowledged(f"{GATEWAY}/connect", {"device": "A"})
    call = asyncio.create_task(platform.rpc("A", "readObject", {"obis": "1-0:1.8.0"}))
    topic, content = await client.message()
    number = content["data"].pop("id")
    data = {"method": "readObject", "params": {"obis": "1-0:1.8.0"}}
    assert (topic, content) == (f"{GATEWAY}/rpc", {"device": "A", "data": data})
    reply = {"device": "A", "id": number, "data": {"result": 1.5}}
    client.publish(f"{GATEWAY}/rpc", {**reply, "id": number + 1})
    client.publish(f"{GATEWAY}/rpc", reply)
    client.publish(f"{GATEWAY}/rpc", {**reply, "data": "again"})
    assert await call == {"result": Decimal("1.5")}
    for _ in range(3):
        assert isinstance(await client.receive(), mqtt5.PubAckPacket)


async def test_calls_that_cannot_be_sent_or_are_not_answered(
    platform: Platform, client: MqttClient
) -> None:
    with pytest.raises(RpcError, match="no gateway says that A is connected"):
        await platform.rpc("A", "readClock")
    await client.acknowledged(f"{GATEWAY}/connect", {"device": "A"})
    with pytest.raises(RpcError, match="was not answered within"):
        await platform.rpc("A", "readClock", timeout_s=0.01)


async def test_a_call_to_the_gateway(platform: Platform, client: MqttClient) -> None:
    call = asyncio.create_task(platform.gateway_rpc("gateway_ping"))
    topic, content = await client.message()
    assert content == {"method": "gateway_ping", "params": None}
    client.publish(topic.replace("request", "response"), {"code": 200})
    assert await call == {"code": 200}


async def test_a_platform_without_gateways() -> None:
    async with Platform({}) as platform:
        with pytest.raises(RpcError, match="no gateway is connected"):
            await platform.gateway_rpc("gateway_ping")


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("v1/gateway/telemetry", "{"),
        ("v1/gateway/telemetry", '{"A": [{"ts": 1, "values": {"v": NaN}}]}'),
        ("v1/gateway/telemetry", json.dumps({"A": {"v": 1}})),
        ("v1/gateway/connect", "{}"),
        ("v1/nowhere/1", "{}"),
        ("v1/devices/me/rpc/request/x", "{}"),
    ],
)
async def test_what_makes_no_sense_is_noted(
    platform: Platform, client: MqttClient, topic: str, text: str
) -> None:
    await client.acknowledged(topic, text)
    [invalid] = platform.journal.select("Invalid", direction="out")
    assert (invalid.topic, invalid.payload) == (topic, text.encode())
    assert platform.store.count() == 0


async def acknowledged(client: MqttClient, topic: str, content: Any) -> mqtt5.PubAckReasonCode:
    """Publish and return the reason code of the acknowledgement."""
    client.publish(topic, content)
    packet = await client.receive()
    assert isinstance(packet, mqtt5.PubAckPacket)
    return packet.reason_code


async def test_texts_that_parse_as_numbers_are_stored_as_numbers(
    platform: Platform, client: MqttClient
) -> None:
    values = {"a": "00000001", "b": "1.10", "c": "-00.50", "d": "1.", "e": None, "f": {"x": "01"}}
    await client.acknowledged(f"{GATEWAY}/attributes", {"A": values})
    await client.acknowledged(f"{GATEWAY}/telemetry", {"A": [{"ts": 1, "values": values}]})
    kept = {"a": 1, "b": Decimal("1.1"), "c": Decimal("-0.5"), "d": "1.", "f": {"x": "01"}}
    assert platform.store.attributes("A") == kept
    assert {point.key: point.value for point in platform.store.latest()} == kept


async def test_numbers_that_no_double_holds_change(platform: Platform, client: MqttClient) -> None:
    text = '{"A": {"a": 90071992547409.93, "b": 7e-18, "c": 18446744073709551615, "d": 1e-16}}'
    await client.acknowledged(f"{GATEWAY}/attributes", text)
    assert platform.store.attributes("A") == {
        "a": Decimal("90071992547409.94"),
        "b": "0.000000000000000007",
        "c": "18446744073709551615",
        "d": "0.00000000000000010",
    }


async def test_without_the_cast_such_a_number_costs_the_message() -> None:
    manners = Manners(cast=False)
    async with (
        Platform({"token": "Gateway"}, manners=manners) as platform,
        gateway(platform) as one,
    ):
        invalid = mqtt5.PubAckReasonCode.PAYLOAD_FORMAT_INVALID
        text = '{"A": [{"v": 1}, {"w": 7e-18}]}'
        assert await acknowledged(one, f"{GATEWAY}/telemetry", text) == invalid
        assert platform.store.count() == 0
        await one.acknowledged(f"{GATEWAY}/attributes", {"A": {"serial": "01"}})
        assert platform.store.attributes("A") == {"serial": "01"}


@pytest.mark.parametrize("key", ["a<b", "{{x}}", " ", "x" * 256])
async def test_a_bad_key_costs_its_message_without_a_word(
    platform: Platform, client: MqttClient, key: str
) -> None:
    success = mqtt5.PubAckReasonCode.SUCCESS
    entries = [{"ts": 1, "values": {"good": 1, key: 2}}, {"ts": 2, "values": {"good": 3}}]
    content = {"A": entries, "B": [{"other": 1}]}
    assert await acknowledged(client, f"{GATEWAY}/telemetry", content) == success
    assert await acknowledged(client, f"{GATEWAY}/attributes", {"A": {"a": 1, key: 2}}) == success
    assert [point.ts for point in platform.telemetry("A", "good")] == [2]
    assert len(platform.telemetry("B", "other")) == 1
    assert platform.store.attributes("A") == {}
    assert len(platform.journal.select("Dropped", direction="out")) == 2
    with pytest.raises(ValueError, match="key is malformed"):
        platform.set_shared_attributes("A", {key: 1})


async def test_a_bad_device_name_is_refused_after_a_while(
    platform: Platform, client: MqttClient
) -> None:
    name, refused = "N-2 <Haus>", mqtt5.PubAckReasonCode.UNSPECIFIED_ERROR
    assert await acknowledged(client, f"{GATEWAY}/connect", {"device": name}) == refused
    told = {name: [{"v": 1}], "good": [{"v": 1}]}
    assert await acknowledged(client, f"{GATEWAY}/telemetry", told) == refused
    assert await acknowledged(client, f"{GATEWAY}/attributes", {name: {"v": 1}}) == refused
    assert platform.store.devices() == {"good": "default"}
    assert platform.connected == {"good"}


async def test_a_bad_device_profile_becomes_default_after_a_while(
    platform: Platform, client: MqttClient
) -> None:
    first = client.publish(f"{GATEWAY}/connect", {"device": "A", "type": "Meter <b>"})
    client.publish(f"{GATEWAY}/connect", {"device": "B", "type": "Meter"})
    assert (await client.receive()).packet_id == first + 1
    assert (await client.receive()).packet_id == first
    assert platform.store.devices() == {"A": "default", "B": "Meter"}
    assert platform.connected == {"A", "B"}


async def test_a_packet_above_the_limit_ends_the_session(
    platform: Platform, client: MqttClient
) -> None:
    topic = f"{ME}/attributes"
    fits = 65_536 - len(topic) - 2 - 2 - 1 - len('{"a": ""}')  # lengths, packet id, no properties
    await client.acknowledged(topic, {"a": "x" * fits})
    client.publish(topic, {"a": "x" * (fits + 1)})
    assert await client.closed()
    assert len(platform.store.attributes("Gateway")["a"]) == fits


async def test_a_call_is_waited_for_longer_than_its_caller_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    async def wait_for(answer: Any, timeout_s: float) -> Any:
        waited.append(timeout_s)
        answer.cancel()
        raise asyncio.TimeoutError

    manners = REAL_MANNERS
    async with (
        Platform({"token": "Gateway"}, manners=manners) as platform,
        gateway(platform) as one,
    ):
        await one.acknowledged(f"{GATEWAY}/connect", {"device": "A"})
        monkeypatch.setattr("dlms_connector.demo.platform_server.asyncio.wait_for", wait_for)
        with pytest.raises(RpcError):
            await platform.rpc("A", "readClock", timeout_s=0.5)
        monkeypatch.undo()
    assert waited == [5.0]


def receipts(platform: Platform) -> list[Packet]:
    return platform.journal.select("PubAck", direction="out")


async def test_what_is_acknowledged_later_does_not_hold_up_the_rest(
    platform: Platform, client: MqttClient
) -> None:
    client.publish(f"{GATEWAY}/connect", {"device": "<b>"})
    second = client.publish(f"{GATEWAY}/connect", {"device": "A"})
    assert (await client.receive()).packet_id == second
    assert (await client.receive()).packet_id == second - 1
    assert [packet.detail for packet in receipts(platform)] == ["SUCCESS", "UNSPECIFIED_ERROR"]
