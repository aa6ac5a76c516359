"""The MQTT 5 side of the platform stand-in: sessions by access token, QoS 0 and 1.

ThingsBoard's transport is no broker: what a session publishes goes to the platform, and
only the platform publishes to sessions. MQTT 5.0 (OASIS) is cited by section.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import mqtt5

from dlms_connector.demo.journal import Direction, Journal, Packet

#: A packet of a larger size closes the connection, as ThingsBoard's Netty codec does.
MAX_PACKET = 65_536

#: MQTT 3.1.1 section 3.2.2.3: unacceptable protocol version.
_REFUSE_OLD_PROTOCOL = b"\x20\x02\x00\x01"


class Session:
    """One connection that a token opened."""

    def __init__(self, number: int, writer: asyncio.StreamWriter, journal: Journal) -> None:
        self.number = number
        self.token = ""
        self.client_id = ""
        self.keep_alive_s = 0
        self.filters: set[str] = set()
        self._writer = writer
        self._journal = journal
        self._packet_id = 0

    def send(self, packet: Any, topic: str = "", payload: bytes = b"") -> None:
        """Send a packet and write it down."""
        self.note("out", type(packet).__name__.removesuffix("Packet"), topic, payload)
        with suppress(OSError, RuntimeError):  # a peer that is gone is found out by reading
            self._writer.write(packet.write())

    def deliver(self, topic: str, payload: bytes) -> bool:
        """Publish to the client at QoS 1, if it subscribed to the topic."""
        if not any(_matches(pattern, topic) for pattern in self.filters):
            return False
        self._packet_id = self._packet_id % 0xFFFF + 1
        packet = mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=self._packet_id
        )
        self.send(packet, topic, payload)
        return True

    def refuse_old_protocol(self) -> None:
        """Tell a client of MQTT 3.1.1 in its own words that it is not understood."""
        self.note("out", "ConnAck", detail="unacceptable protocol version")
        self._writer.write(_REFUSE_OLD_PROTOCOL)

    def note(
        self,
        direction: Direction,
        kind: str,
        topic: str = "",
        payload: bytes = b"",
        detail: str = "",
    ) -> None:
        """Write down what passed."""
        at = asyncio.get_running_loop().time()
        self._journal.note(Packet(at, self.number, direction, kind, topic, payload, detail))

    def close(self) -> None:
        """Close the connection without a word, which a client knows as code 7."""
        self._writer.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


def _matches(pattern: str, topic: str) -> bool:
    """Whether a topic filter covers a topic (section 4.7)."""
    filters, levels = pattern.split("/"), topic.split("/")
    for index, part in enumerate(filters):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(filters) == len(levels)


class MqttServer:
    """Accepts clients by their token; a second session of a token closes the first.

    `published` is told of every message, `went` of every session that ended.
    While `reading` is cleared, nothing is read and so nothing acknowledged.
    """

    def __init__(
        self,
        tokens: Collection[str],
        journal: Journal,
        published: Callable[[Session, str, bytes], None],
        went: Callable[[Session], None],
    ) -> None:
        self.journal = journal
        self.sessions: dict[str, Session] = {}
        self.reading = asyncio.Event()
        self.reading.set()
        self._tokens = tokens
        self._published, self._went = published, went
        self._count = 0
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; a port of 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut all sessions."""
        if self._server:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._server = None

    def cut(self) -> None:
        """Cut every connection; the clients may come back."""
        for session in tuple(self.sessions.values()):
            session.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._count += 1
        session = Session(self._count, writer, self.journal)
        try:
            await self._read(session, reader)
        except (OSError, asyncio.TimeoutError, ValueError) as error:
            session.note("in", "Lost", detail=f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            pass  # the server closes; a stream server would log the cancellation
        finally:
            self._open.discard(task)
            if self.sessions.get(session.token) is session:
                del self.sessions[session.token]
            self._went(session)
            session.abort()

    async def _read(self, session: Session, reader: asyncio.StreamReader) -> None:
        """Handle packets until the peer closes or breaks the protocol."""
        buffer = b""
        while True:
            await self.reading.wait()
            # Section 3.1.2.10: silence for one and a half times the keep-alive ends a session.
            patience = session.keep_alive_s * 1.5 if session.token else 10.0
            data = await asyncio.wait_for(reader.read(65_536), patience or None)
            if not data:
                return
            buffer += data
            while buffer:
                try:
                    packet, used = mqtt5.read(memoryview(buffer))
                except IndexError:  # more is to come
                    if len(buffer) > MAX_PACKET:
                        raise ValueError(f"a packet of more than {MAX_PACKET} octets") from None
                    break
                except ValueError as error:
                    if not session.token and "protocol version" in str(error):
                        session.refuse_old_protocol()
                    raise
                buffer = buffer[used:]
                if not self._take(session, packet):
                    return

    def _take(self, session: Session, packet: Any) -> bool:
        """Handle one packet; false ends the session."""
        if isinstance(packet, mqtt5.ConnectPacket):
            return self._connect(session, packet)
        if not session.token:
            raise ValueError("the first packet is no CONNECT")
        if isinstance(packet, mqtt5.PublishPacket):
            session.note("in", "Publish", packet.topic, packet.payload)
            # First what it means, then the receipt: an acknowledged message is stored.
            self._published(session, packet.topic, packet.payload)
            if packet.packet_id is not None and packet.qos == mqtt5.QoS.AT_LEAST_ONCE:
                session.send(mqtt5.PubAckPacket(packet.packet_id))
        elif isinstance(packet, mqtt5.SubscribePacket):
            patterns = [one.pattern for one in packet.topic_filters]
            session.note("in", "Subscribe", " ".join(patterns))
            session.filters.update(patterns)
            granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(patterns)
            session.send(mqtt5.SubAckPacket(packet.packet_id, granted))
        elif isinstance(packet, mqtt5.UnsubscribePacket):
            session.note("in", "Unsubscribe", " ".join(packet.patterns))
            session.filters.difference_update(packet.patterns)
            done = [mqtt5.UnsubAckReasonCode.SUCCESS] * len(packet.patterns)
            session.send(mqtt5.UnsubAckPacket(packet.packet_id, done))
        elif isinstance(packet, mqtt5.PingReqPacket):
            session.note("in", "PingReq")
            session.send(mqtt5.PingRespPacket())
        elif isinstance(packet, mqtt5.DisconnectPacket):
            session.note("in", "Disconnect")
            return False
        return True

    def _connect(self, session: Session, packet: mqtt5.ConnectPacket) -> bool:
        token = packet.username or ""
        session.note("in", "Connect", detail=token)
        if session.token:
            raise ValueError("a second CONNECT in one session")
        if token not in self._tokens:
            refused = mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
            session.send(mqtt5.ConnAckPacket(reason_code=refused))
            return False
        if earlier := self.sessions.get(token):
            earlier.note("out", "Closed", detail="another session with the same token")
            earlier.close()
        session.token, session.client_id = token, packet.client_id
        session.keep_alive_s = packet.keep_alive
        self.sessions[token] = session
        assigned = None if packet.client_id else f"client-{session.number}"
        session.send(mqtt5.ConnAckPacket(assigned_client_id=assigned, max_packet_size=MAX_PACKET))
        return True
