"""One client's connection to the platform stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mqtt5

from dlms_connector.demo.journal import Direction, Journal, Packet
from dlms_connector.demo.mqtt_dialect import REFUSE_PROTOCOL, Dialect
from dlms_connector.demo.mqtt_packets import message


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a message is acknowledged: by which reason code (MQTT 5, 3.4.2.1), and when.

    `then` is called right before the acknowledgement, if the connection lasts so long or not.
    """

    reason: int = 0
    after_s: float = 0.0
    then: Callable[[], None] = lambda: None


class Session:
    """A connection, and a session once a token is accepted; `over` if it must end."""

    def __init__(self, number: int, writer: asyncio.StreamWriter, journal: Journal) -> None:
        self.number = number
        self.token = ""
        self.client_id = ""
        self.keep_alive_s = 0
        self.filters: set[str] = set()
        self.dialect: Dialect | None = None
        self.over = False
        self._writer = writer
        self._journal = journal
        self._packet_id = 0

    def send(self, packet: Any, topic: str = "", payload: bytes = b"", detail: str = "") -> None:
        """Send and record a packet; a lost connection is detected by reading, not here."""
        assert self.dialect is not None
        octets = self.dialect.write(packet)
        if octets and not self._writer.is_closing():
            self.note("out", type(packet).__name__.removesuffix("Packet"), topic, payload, detail)
            self._writer.write(octets)

    def deliver(self, topic: str, payload: bytes) -> bool:
        """Publish to the client at QoS 1, if it subscribed to the topic."""
        if self.over or not any(matches(pattern, topic) for pattern in self.filters):
            return False
        self._packet_id = self._packet_id % 0xFFFF + 1
        self.send(message(topic, payload, self._packet_id), topic, payload)
        return True

    def take_over(self) -> None:
        """End the session because another session uses its token.

        A client of MQTT 3.1.1 receives no packet. It reports the lost connection as code 7.
        """
        self.over = True
        self.note("out", "Closed", detail="another session with the same token")
        reason = mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        self.send(mqtt5.DisconnectPacket(reason_code=reason), detail="session taken over")
        self.close()

    def refuse_protocol(self, protocol: str) -> None:
        """Send a CONNACK of MQTT 3.1.1 that refuses the client's protocol."""
        self.note("out", "ConnAck", detail=f"unacceptable protocol version: {protocol}")
        self._writer.write(REFUSE_PROTOCOL)

    def note(
        self,
        direction: Direction,
        kind: str,
        topic: str = "",
        payload: bytes = b"",
        detail: str = "",
    ) -> None:
        """Record an entry in the journal."""
        at = asyncio.get_running_loop().time()
        self._journal.note(Packet(at, self.number, direction, kind, topic, payload, detail))

    def close(self) -> None:
        """Close the connection; data already written is still sent."""
        self._writer.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


def matches(pattern: str, topic: str) -> bool:
    """Return whether a topic filter matches a topic (MQTT 5.0, 4.7)."""
    filters, levels = pattern.split("/"), topic.split("/")
    for index, part in enumerate(filters):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(filters) == len(levels)
