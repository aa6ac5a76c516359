"""A small MQTT client to try the platform stand-in with, in both dialects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import mqtt5

from dlms_connector.demo.mqtt_dialect import Mqtt5
from dlms_connector.demo.mqtt_packets import message, payload_of, subscription
from dlms_connector.demo.platform_server import Platform

WITHIN_S = 5.0


class MqttClient:
    """A connection; what it was sent comes from `receive`, in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._dialect = Mqtt5()
        self._buffer = b""
        self._packet_id = 0

    def write(self, octets: bytes) -> None:
        """Send whatever it is."""
        self._writer.write(octets)

    def send(self, packet: Any) -> None:
        """Send a packet."""
        self.write(self._dialect.write(packet))

    async def read(self, count: int) -> bytes:
        """Return so many octets as they came."""
        return await asyncio.wait_for(self._reader.readexactly(count), WITHIN_S)

    async def receive(self) -> Any:
        """Return the next packet."""
        while True:
            read = self._dialect.read(self._buffer) if self._buffer else None
            if read is None:
                data = await asyncio.wait_for(self._reader.read(4096), WITHIN_S)
                if not data:
                    raise ConnectionError("closed by the platform")
                self._buffer += data
            else:
                packet, used = read
                self._buffer = self._buffer[used:]
                return packet

    async def closed(self) -> bool:
        """Whether the platform closes the connection without another word."""
        return await asyncio.wait_for(self._reader.read(), WITHIN_S) == b"" == self._buffer

    async def connect(self, token: str, **options: Any) -> mqtt5.ConnAckReasonCode:
        """Connect and return the CONNACK's reason code."""
        self.send(mqtt5.ConnectPacket("test", username=token, **options))
        reason: mqtt5.ConnAckReasonCode = (await self.receive()).reason_code
        return reason

    async def subscribe(self, *patterns: str) -> None:
        """Subscribe and wait for the SUBACK."""
        self.send(subscription(9, patterns))
        assert isinstance(await self.receive(), mqtt5.SubAckPacket)

    def publish(self, topic: str, content: Any) -> int:
        """Publish JSON, or text as it is, at QoS 1; return the packet id."""
        text = content if isinstance(content, str) else json.dumps(content)
        self._packet_id += 1
        self.send(message(topic, text.encode(), self._packet_id))
        return self._packet_id

    async def acknowledged(self, topic: str, content: Any) -> None:
        """Publish and wait for the PUBACK, which must be the next packet."""
        number = self.publish(topic, content)
        packet = await self.receive()
        assert isinstance(packet, mqtt5.PubAckPacket)
        assert packet.packet_id == number

    async def message(self) -> tuple[str, Any]:
        """Return topic and content of the next message, past acknowledgements; acknowledge it."""
        while not isinstance(packet := await self.receive(), mqtt5.PublishPacket):
            assert isinstance(packet, mqtt5.PubAckPacket)
        assert packet.packet_id is not None
        self.send(mqtt5.PubAckPacket(packet.packet_id))
        return packet.topic, json.loads(payload_of(packet))


@asynccontextmanager
async def connection(platform: Platform) -> AsyncIterator[MqttClient]:
    """Open a connection, without a CONNECT."""
    reader, writer = await asyncio.open_connection("127.0.0.1", platform.port)
    try:
        yield MqttClient(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def gateway(platform: Platform, token: str = "token") -> AsyncIterator[MqttClient]:
    """Open a session of a gateway that has subscribed to everything."""
    async with connection(platform) as client:
        assert await client.connect(token) == mqtt5.ConnAckReasonCode.SUCCESS
        await client.subscribe("v1/devices/me/#", "v1/gateway/+", "v1/gateway/attributes/response")
        yield client
