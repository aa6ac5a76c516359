"""MQTT 5 and 3.1.1 on the wire, both as packets of the `mqtt5` library.

ThingsBoard serves both: the gateway uses 5, old installations use 3.1.1. Version 5 added only
properties to the packets used here. So a 3.1.1 packet becomes one of version 5 by inserting an
empty list of properties. "5" and "3.1.1" in comments are the OASIS standards of MQTT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import mqtt5

from dlms_connector.demo import mqtt_packets

_CONNECT, _PUBLISH, _SUBSCRIBE, _UNSUBSCRIBE = 1, 3, 8, 10
_NO_PROPERTIES = b"\x00"
_WILL = 0x04

_NAME = b"\x00\x04MQTT"

#: 3.1.1, 3.2.2.3: connect return code 1, unacceptable protocol version.
REFUSE_PROTOCOL = b"\x20\x02\x00\x01"

#: Connect return codes of 3.1.1 (3.2.2.3) by reason code of 5.
_RETURN_CODES = {
    int(mqtt5.ConnAckReasonCode.SUCCESS): 0,
    int(mqtt5.ConnAckReasonCode.CLIENT_ID_NOT_VALID): 2,
    int(mqtt5.ConnAckReasonCode.SERVER_UNAVAILABLE): 3,
    int(mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD): 4,
}
_NOT_AUTHORIZED = 5


class UnknownProtocolError(ValueError):
    """A client uses a protocol that is not served."""


class Dialect(Protocol):
    """How packets look on the wire."""

    name: str

    def read(self, buffer: bytes) -> tuple[Any, int] | None:
        """Return the first packet and its length; None while it is incomplete.

        Raises ValueError.
        """
        ...

    def write(self, packet: Any) -> bytes:
        """Return the packet's octets; b"" if the dialect has no such packet."""
        ...


class Mqtt5:
    """MQTT 5: packets are not converted."""

    name = "5"

    def read(self, buffer: bytes) -> tuple[Any, int] | None:
        """Return the first packet and its length; None while it is incomplete."""
        frame = _frame(buffer)
        return (mqtt_packets.read(buffer[: frame[1]]), frame[1]) if frame else None

    def write(self, packet: Any) -> bytes:
        """Return the packet's octets."""
        return mqtt_packets.write(packet)


class Mqtt311:
    """MQTT 3.1.1: no properties, and no DISCONNECT from the server."""

    name = "3.1.1"

    def read(self, buffer: bytes) -> tuple[Any, int] | None:
        """Return the first packet, as one of version 5, and its length."""
        frame = _frame(buffer)
        if frame is None:
            return None
        body, used = frame
        if upgrade := _UPGRADES.get(buffer[0] >> 4):
            try:
                body = upgrade(buffer[0], body)
            except IndexError:
                raise ValueError("a packet that ends too early") from None
        return mqtt_packets.read(buffer[:1] + _length(len(body)) + body), used

    def write(self, packet: Any) -> bytes:
        """Return the packet's octets; b"" if 3.1.1 has no such packet."""
        downgrade = _DOWNGRADES.get(type(packet))
        return downgrade(packet) if downgrade else b""


def recognise(buffer: bytes) -> Dialect | None:
    """Return the dialect of a CONNECT, the first packet; None while it is incomplete.

    Raises ValueError for another packet, UnknownProtocolError for a protocol not served.
    """
    if buffer[0] >> 4 != _CONNECT:
        raise ValueError("the first packet is no CONNECT")
    frame = _frame(buffer)
    if frame is None:
        return None
    dialect = _DIALECTS.get(frame[0][:7])
    if dialect is None:
        raise UnknownProtocolError(f"the CONNECT begins with {frame[0][:9].hex(' ')}")
    return dialect()


#: By protocol name and level, the first octets of a CONNECT (5, 3.1.2; 3.1.1, 3.1.2).
_DIALECTS: Mapping[bytes, Callable[[], Dialect]] = {
    _NAME + b"\x04": Mqtt311,
    _NAME + b"\x05": Mqtt5,
}


def remaining_length(buffer: bytes) -> int | None:
    """Return the number of octets behind the fixed header; None while it is incomplete."""
    header = _header(buffer)
    return header and header[0]


def _header(buffer: bytes) -> tuple[int, int] | None:
    """Return the remaining length and the length of the fixed header (3.1.1, 2.2.3)."""
    length = 0
    for index in range(1, 5):
        if index >= len(buffer):
            return None
        length |= (buffer[index] & 0x7F) << 7 * (index - 1)
        if buffer[index] < 0x80:
            return length, index + 1
    raise ValueError("a remaining length of more than four octets")


def _frame(buffer: bytes) -> tuple[bytes, int] | None:
    """Return the octets after the fixed header, and the packet's length."""
    header = _header(buffer)
    if header is None:
        return None
    end = sum(header)
    return (buffer[header[1] : end], end) if len(buffer) >= end else None


def _length(number: int) -> bytes:
    """Write a remaining length."""
    octets = bytearray()
    while True:
        number, low = divmod(number, 0x80)
        octets.append(low | (0x80 if number else 0))
        if not number:
            return bytes(octets)


def _behind_text(body: bytes, at: int) -> int:
    """Return the end position of the length-prefixed text at `at`."""
    return at + 2 + (body[at] << 8 | body[at + 1])


def _upgrade_connect(_: int, body: bytes) -> bytes:
    flags, after_keep_alive = body[7], 10
    rest = body[after_keep_alive:]
    if flags & _WILL:  # 5, 3.1.3.2: the will has its own properties, after the client id
        will = _behind_text(rest, 0)
        rest = rest[:will] + _NO_PROPERTIES + rest[will:]
    return _NAME + b"\x05" + body[7:after_keep_alive] + _NO_PROPERTIES + rest


def _upgrade_publish(header: int, body: bytes) -> bytes:
    end = _behind_text(body, 0) + (2 if header & 0x06 else 0)
    return body[:end] + _NO_PROPERTIES + body[end:]


def _upgrade_filters(_: int, body: bytes) -> bytes:
    return body[:2] + _NO_PROPERTIES + body[2:]


_UPGRADES: Mapping[int, Callable[[int, bytes], bytes]] = {
    _CONNECT: _upgrade_connect,
    _PUBLISH: _upgrade_publish,
    _SUBSCRIBE: _upgrade_filters,
    _UNSUBSCRIBE: _upgrade_filters,
}


def _packet(header: int, body: bytes) -> bytes:
    return bytes((header,)) + _length(len(body)) + body


def _downgrade_publish(packet: mqtt5.PublishPacket) -> bytes:
    topic = packet.topic.encode()
    number = packet.packet_id.to_bytes(2, "big") if packet.packet_id is not None else b""
    body = len(topic).to_bytes(2, "big") + topic + number + mqtt_packets.payload_of(packet)
    return _packet(_PUBLISH << 4 | int(packet.qos) << 1, body)


def _downgrade_connack(packet: mqtt5.ConnAckPacket) -> bytes:
    code = _RETURN_CODES.get(int(packet.reason_code), _NOT_AUTHORIZED)
    return _packet(0x20, bytes((packet.session_present, code)))


_DOWNGRADES: Mapping[type, Callable[[Any], bytes]] = {
    mqtt5.ConnAckPacket: _downgrade_connack,
    mqtt5.PublishPacket: _downgrade_publish,
    mqtt5.PubAckPacket: lambda packet: _packet(0x40, packet.packet_id.to_bytes(2, "big")),
    mqtt5.SubAckPacket: lambda packet: _packet(
        0x90, packet.packet_id.to_bytes(2, "big") + bytes(int(code) for code in packet.reason_codes)
    ),
    mqtt5.UnsubAckPacket: lambda packet: _packet(0xB0, packet.packet_id.to_bytes(2, "big")),
    mqtt5.PingRespPacket: mqtt_packets.write,
}
