"""The MQTT side of the platform stand-in: sessions by access token, QoS 0 and 1.

ThingsBoard's transport is no broker: what a session publishes goes to the platform, and
only the platform publishes to sessions. Section numbers are those of MQTT 5.0 (OASIS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

import mqtt5

from dlms_connector.demo.journal import Journal
from dlms_connector.demo.mqtt_dialect import UnknownProtocolError, recognise, remaining_length
from dlms_connector.demo.mqtt_packets import patterns_of, payload_of
from dlms_connector.demo.mqtt_session import Receipt, Session
from dlms_connector.within import within

#: Octets behind the fixed header. A larger packet closes the connection, as in ThingsBoard's
#: codec (`netty.max_payload_size`).
MAX_PACKET = 65_536

#: By their numbers: the library's codes are no numbers.
_REASONS = {
    int(code): code
    for code in (
        mqtt5.PubAckReasonCode.SUCCESS,
        mqtt5.PubAckReasonCode.UNSPECIFIED_ERROR,
        mqtt5.PubAckReasonCode.PAYLOAD_FORMAT_INVALID,
    )
}

#: Time to wait for a CONNECT in seconds; then the connection is closed.
_PATIENCE_S = 10.0


class MqttServer:
    """Accepts clients by their token; a second session of a token closes the first.

    `published` is called for every message and returns how it is acknowledged, `went` is called
    for every session that ended.
    """

    def __init__(
        self,
        tokens: Collection[str],
        journal: Journal,
        published: Callable[[Session, str, bytes], Receipt],
        went: Callable[[Session], None],
    ) -> None:
        self.journal = journal
        self.sessions: dict[str, Session] = {}
        self.port = 0
        self._tokens = tokens
        self._published, self._went = published, went
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._count = 0
        self._open: dict[asyncio.Task[None], Session] = {}
        self._later: set[asyncio.TimerHandle] = set()
        self._server: asyncio.Server | None = None
        self._handlers: Mapping[type, Callable[[Session, Any], None]] = {
            mqtt5.ConnectPacket: self._connect,
            mqtt5.PublishPacket: self._publish,
            mqtt5.PubAckPacket: lambda session, _: session.note("in", "PubAck"),
            mqtt5.SubscribePacket: self._subscribe,
            mqtt5.UnsubscribePacket: self._unsubscribe,
            mqtt5.PingReqPacket: self._ping,
            mqtt5.DisconnectPacket: self._disconnect,
        }

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Start to listen; a port of 0 means any free port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        server, self._server = self._server, None
        if server:
            server.close()
        for timer in self._later:
            timer.cancel()
        self._later.clear()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close

    def cut(self) -> None:
        """Cut every connection; the clients may connect again."""
        for session in self._open.values():
            session.abort()

    def stall(self) -> None:
        """Stop reading, and so acknowledging, until `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Continue after `stall`."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._count += 1
        session = self._open[task] = Session(self._count, writer, self.journal)
        try:
            await self._read(session, reader)
        except UnknownProtocolError as error:
            session.refuse_protocol(str(error))
        except (OSError, asyncio.TimeoutError, ValueError) as error:
            session.note("in", "Lost", detail=f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            session.abort()  # not raised again: a stream server would log it
        finally:
            del self._open[task]
            if self.sessions.get(session.token) is session:
                del self.sessions[session.token]
            self._went(session)
            session.close()

    async def _read(self, session: Session, reader: asyncio.StreamReader) -> None:
        """Handle packets until the session ends; raises ValueError on a protocol error."""
        buffer = b""
        while not session.over:
            # Section 3.1.2.10: silence for one and a half times the keep-alive ends a session.
            patience = session.keep_alive_s * 1.5 if session.token else _PATIENCE_S
            data = await within(patience or None, reader.read(65_536))
            await self._flowing.wait()
            if not data:
                return
            buffer = self._take(session, buffer + data)

    def _take(self, session: Session, buffer: bytes) -> bytes:
        """Handle the packets in a buffer; return what is left of it."""
        while buffer and not session.over:
            if (remaining_length(buffer) or 0) > MAX_PACKET:
                raise ValueError(f"a packet of more than {MAX_PACKET} octets")
            session.dialect = session.dialect or recognise(buffer)
            read = session.dialect.read(buffer) if session.dialect else None
            if read is None:
                break
            packet, used = read
            buffer = buffer[used:]
            handle = self._handlers.get(type(packet))
            if handle is None:
                raise ValueError(f"a {type(packet).__name__} is not served")
            handle(session, packet)
        return buffer

    def _connect(self, session: Session, packet: mqtt5.ConnectPacket) -> None:
        token = packet.username or ""
        if session.token:
            raise ValueError("a second CONNECT in one session")
        session.note("in", "Connect", detail=token)
        if token not in self._tokens:
            refused = mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
            session.send(mqtt5.ConnAckPacket(reason_code=refused), detail="not authorised")
            session.over = True
            return
        if earlier := self.sessions.get(token):
            earlier.take_over()
        session.token, session.client_id = token, packet.client_id
        session.keep_alive_s = packet.keep_alive
        self.sessions[token] = session
        assigned = None if packet.client_id else f"client-{session.number}"
        session.send(mqtt5.ConnAckPacket(assigned_client_id=assigned))

    def _publish(self, session: Session, packet: mqtt5.PublishPacket) -> None:
        payload = payload_of(packet)
        session.note("in", "Publish", packet.topic, payload)
        receipt = self._published(session, packet.topic, payload)
        number = packet.packet_id if packet.qos == mqtt5.QoS.AT_LEAST_ONCE else None

        def acknowledge() -> None:
            receipt.then()
            if number is not None:
                reason = _REASONS[receipt.reason]
                session.send(mqtt5.PubAckPacket(number, reason_code=reason), detail=reason.name)

        if receipt.after_s:
            loop = asyncio.get_running_loop()
            self._later.add(loop.call_later(receipt.after_s, acknowledge))
        else:
            acknowledge()

    def _subscribe(self, session: Session, packet: mqtt5.SubscribePacket) -> None:
        patterns = patterns_of(packet)
        session.note("in", "Subscribe", " ".join(patterns))
        session.filters.update(patterns)
        granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(patterns)
        session.send(mqtt5.SubAckPacket(packet.packet_id, granted))

    def _unsubscribe(self, session: Session, packet: mqtt5.UnsubscribePacket) -> None:
        session.note("in", "Unsubscribe", " ".join(packet.patterns))
        session.filters.difference_update(packet.patterns)
        done = [mqtt5.UnsubAckReasonCode.SUCCESS] * len(packet.patterns)
        session.send(mqtt5.UnsubAckPacket(packet.packet_id, done))

    def _ping(self, session: Session, packet: mqtt5.PingReqPacket) -> None:
        session.note("in", "PingReq")
        session.send(mqtt5.PingRespPacket())

    def _disconnect(self, session: Session, packet: mqtt5.DisconnectPacket) -> None:
        session.note("in", "Disconnect")
        session.over = True
