"""Differences between versions of the `mqtt5` library: 0.3 is the last for Python 3.10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mqtt5

_library: Any = mqtt5
_OLD = not hasattr(_library, "TopicFilter")


def read(octets: bytes) -> Any:
    """Return the packet in the octets; raises ValueError."""
    try:
        packet, used = _library.read(bytearray(octets) if _OLD else memoryview(octets))
    except IndexError as error:
        raise ValueError(f"a packet that ends too early: {error}") from None
    if used != len(octets):
        raise ValueError(f"a packet of {used} octets in a frame of {len(octets)}")
    return packet


def write(packet: Any) -> bytes:
    """Return a packet's octets."""
    if not _OLD:
        return bytes(packet.write())
    size = 1024
    while True:
        buffer = bytearray(size)
        try:
            return bytes(buffer[: packet.write(buffer)])
        except IndexError:  # the buffer is too small
            size *= 4


def message(topic: str, payload: bytes, number: int | None = None) -> mqtt5.PublishPacket:
    """Return a PUBLISH, with QoS 1 if a packet number is given."""
    if number is None:
        return mqtt5.PublishPacket(topic, payload=payload)
    qos = mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket(topic, payload=payload, qos=qos, packet_id=number)


def subscription(number: int, patterns: Sequence[str]) -> mqtt5.SubscribePacket:
    """Return a SUBSCRIBE with QoS 1."""
    kind = _library.Subscription if _OLD else _library.TopicFilter
    filters = [kind(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for pattern in patterns]
    return mqtt5.SubscribePacket(number, filters)


def patterns_of(packet: Any) -> list[str]:
    """Return the topic filters of a SUBSCRIBE."""
    return [one.pattern for one in (packet.subscriptions if _OLD else packet.topic_filters)]


def payload_of(packet: mqtt5.PublishPacket) -> bytes:
    """Return the payload of a PUBLISH."""
    return packet.payload or b""
