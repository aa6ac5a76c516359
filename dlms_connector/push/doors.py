"""The TCP and UDP ports and serial ports where meters push.

Whoever is not in the allowed networks is gone at once. A caller is a stranger until it has sent a
push that was taken: strangers are few, and have little time. There is no task for a connection:
what arrives is handled as it comes, and one look per second (`sweep`) ends what takes too long.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from math import inf
from typing import Protocol, cast

from dlms_connector.config import PushListener, SerialConnection
from dlms_connector.errors import ConnectError, DlmsError, LinkError
from dlms_connector.link import Link, make_link, plain, room_for_strangers
from dlms_connector.protocol.datalink import Arrival, Arrivals, make_arrivals, wrapper
from dlms_connector.push.pace import Pace
from dlms_connector.push.receiver import Caller, Taken

#: Connections that have pushed and stay open; more meters call again for each push.
MOST_KNOWN = 4096
#: A stranger's time for a first push, a push's time to arrive, and a known caller's silence.
STRANGER_S, UNFINISHED_S, IDLE_S = 60.0, 30.0, 7200.0
#: APDUs that were not taken until a connection is closed.
MOST_REFUSED = 20
#: Octets and APDUs per second of one sender, and how much it may send at once.
OCTETS, APDUS = Pace(64 * 1024, 1 << 20), Pace(20, 200)
#: Datagrams per second of all senders together, and senders that are remembered.
DATAGRAMS, MOST_SENDERS = Pace(1000, 5000), 1024
#: A serial line that is silent for so long within a push has lost its rest.
GAP_S = 5.0
_RETRY_S = 10.0

#: Takes an APDU, and returns what became of it.
Take = Callable[[bytes, Caller, bytes], Taken]
#: Tells about a sender: who, the kind of news, and a sentence.
Tell = Callable[[str, str, str], None]


class Door(Protocol):
    """A place where meters push."""

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        ...

    def sweep(self, now: float) -> None:
        """End what takes too long; called about once per second."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


def make_door(listener: PushListener, take: Take, tell: Tell) -> Door:
    """Return the closed door of a listener."""
    if listener.type == "tcp":
        return TcpDoor(listener, take, tell)
    return (UdpDoor if listener.type == "udp" else SerialDoor)(listener, take, tell)


class _Allowed:
    """The networks that may push."""

    def __init__(self, listener: PushListener) -> None:
        self._networks = [ip_network(each) for each in listener.allow]

    def __contains__(self, peer: object) -> bool:
        if not isinstance(peer, str) or not peer:
            return False
        address = ip_address(peer)
        return any(address in network for network in self._networks)


def _caller(listener: PushListener, peer: str = "", *, answers: bool = False) -> Caller:
    return Caller(listener.door, peer, listener.device, listener.auto_create, answers)


def _answer(arrival: Arrival, apdu: bytes) -> bytes:
    """Return an APDU in a wrapper frame back to the sender."""
    source, destination = (int.from_bytes(each, "big") for each in arrival[1:])
    return wrapper.encode(destination, source, apdu)


class TcpDoor:
    """A TCP port; a connection carries one push or many."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self.listener, self.take, self.tell = listener, take, tell
        self._allowed = _Allowed(listener)
        self._server: asyncio.Server | None = None
        self._all: set[_Connection] = set()
        self._strangers: Counter[str] = Counter()
        self._known = 0
        self._most = room_for_strangers()

    @property
    def port(self) -> int:
        """The port number, also if the system chose it."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        loop, listener = asyncio.get_running_loop(), self.listener
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self), listener.host, listener.port
            )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConnectError(listener.door, f"cannot listen: {reason}") from error

    def sweep(self, now: float) -> None:
        """Close connections whose time is over."""
        for one in tuple(self._all):
            one.sweep(now)

    async def close(self) -> None:
        """Stop listening and close all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for one in tuple(self._all):
            one.end()

    def admit(self, one: _Connection, peer: str) -> bool:
        """Whether a new caller may stay; if so, it is a stranger."""
        if self._server is None or peer not in self._allowed:
            self.tell(f"{peer or 'a caller'} at {self.listener.door}", "allow", "not allowed")
            return False
        of_one = self._strangers[peer] >= max(1, self._most // 2)
        if of_one or self._strangers.total() >= self._most:
            self.tell(self.listener.door, "strangers", "too many callers that have pushed nothing")
            return False
        self._strangers[peer] += 1
        self._all.add(one)
        return True

    def know(self, peer: str) -> bool:
        """Note that a stranger has pushed; whether it may stay connected."""
        self._strangers -= Counter((peer,))
        self._known += 1
        return self._known <= MOST_KNOWN

    def leave(self, one: _Connection, peer: str, *, known: bool) -> None:
        """Note that a connection is over."""
        if one not in self._all:
            return
        self._all.discard(one)
        if known:
            self._known -= 1
        else:
            self._strangers -= Counter((peer,))


class _Connection(asyncio.Protocol):
    """One connection to a TCP door."""

    def __init__(self, door: TcpDoor) -> None:
        self._door = door
        self._arrivals: Arrivals = make_arrivals(door.listener.interface_type)
        self._transport: asyncio.Transport | None = None
        self._peer, self._caller = "", _caller(door.listener)
        self._known = False
        self._refused = 0
        self._clock = asyncio.get_running_loop().time
        self._octets, self._apdus = OCTETS.begin(), APDUS.begin()
        self._until = self._clock() + STRANGER_S
        self._whole_until = inf
        self._resting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the caller, or hang up."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self._peer = plain(str(name[0])) if name else ""
        self._caller = _caller(
            self._door.listener,
            self._peer,
            answers=self._door.listener.interface_type == "WRAPPER",
        )
        if not self._door.admit(self, self._peer):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what is whole."""
        now = self._clock()
        try:
            for arrival in self._arrivals.feed(data):
                self._take(arrival, now)
        except LinkError as error:
            self._door.tell(self._caller.name, "framing", f"hung up: {error}")
            self.end()
            return
        waits = self._arrivals.begun or bool(self._caller.blocks)
        self._whole_until = min(self._whole_until, now + UNFINISHED_S) if waits else inf
        if not self._octets.spend(len(data), now):
            self._rest()

    def sweep(self, now: float) -> None:
        """Hang up if the time is over; read on after a rest."""
        if now >= self._until:
            self.end()
        elif now >= self._whole_until:
            if self._door.listener.interface_type == "WRAPPER":
                self.end()  # nothing marks where the next frame begins
            self._arrivals.reset()
            self._caller.blocks.clear()
            self._whole_until = inf
        elif self._resting and self._octets.spend(0, now) and self._apdus.spend(0, now):
            self._resting = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def end(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place free."""
        self._door.leave(self, self._peer, known=self._known)

    def _take(self, arrival: Arrival, now: float) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        taken = self._door.take(arrival.apdu, self._caller, arrival.source)
        if taken.answer:
            self._transport.write(_answer(arrival, taken.answer))
        if not self._apdus.spend(1, now):
            self._rest()
        if taken.device is not None:
            self._refused, self._until = 0, now + IDLE_S
            if not self._known:
                self._known = True
                if not self._door.know(self._peer):
                    self._transport.close()
        elif not taken.waits:
            self._refused += 1
            if self._refused >= MOST_REFUSED:
                self.end()

    def _rest(self) -> None:
        """Read no more for a while: the sender has to wait."""
        if not self._resting and self._transport is not None:
            self._resting = True
            self._transport.pause_reading()


class UdpDoor(asyncio.DatagramProtocol):
    """A UDP port; each datagram carries whole frames."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self.listener, self._take, self._tell = listener, take, tell
        self._allowed = _Allowed(listener)
        self._transport: asyncio.DatagramTransport | None = None
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._pace = DATAGRAMS.begin()
        self._clock: Callable[[], float] = lambda: 0.0

    @property
    def port(self) -> int:
        """The port number, also if the system chose it."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        loop, listener = asyncio.get_running_loop(), self.listener
        self._clock = loop.time
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, local_addr=(listener.host, listener.port)
            )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConnectError(listener.door, f"cannot listen: {reason}") from error

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram, unless there are too many."""
        peer, now = plain(str(addr[0])), self._clock()
        if peer not in self._allowed:
            self._tell(f"{peer} at {self.listener.door}", "allow", "not allowed")
            return
        if not self._pace.spend(1, now):
            self._tell(self.listener.door, "flood", "too many datagrams: some are dropped")
            return
        sender = self._sender(peer)
        if not sender.pace.spend(1, now):
            self._tell(sender.caller.name, "flood", "too many datagrams: some are dropped")
            return
        framing = self.listener.interface_type
        arrivals = make_arrivals(framing) if framing == "WRAPPER" else sender.arrivals
        try:
            found = arrivals.feed(data)
        except LinkError as error:
            self._tell(sender.caller.name, "framing", str(error))
            return
        for arrival in found:
            taken = self._take(arrival.apdu, sender.caller, arrival.source)
            if taken.answer and self._transport is not None:
                self._transport.sendto(_answer(arrival, taken.answer), addr)
        if framing == "WRAPPER" and not found:
            self._tell(sender.caller.name, "framing", "a datagram without a whole wrapper frame")

    def sweep(self, now: float) -> None:
        """Forget what was begun too long ago."""
        for sender in self._senders.values():
            waits = sender.arrivals.begun or bool(sender.caller.blocks)
            sender.until = min(sender.until, now + UNFINISHED_S) if waits else inf
            if now >= sender.until:
                sender.arrivals.reset()
                sender.caller.blocks.clear()

    async def close(self) -> None:
        """Stop listening."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _sender(self, peer: str) -> _Sender:
        sender = self._senders.pop(peer, None)
        if sender is None:
            sender = _Sender(self.listener, peer)
            if len(self._senders) >= MOST_SENDERS:
                self._senders.popitem(last=False)
        self._senders[peer] = sender
        return sender


class _Sender:
    """What is kept of one sender of datagrams."""

    def __init__(self, listener: PushListener, peer: str) -> None:
        self.caller = _caller(listener, peer, answers=listener.interface_type == "WRAPPER")
        self.arrivals = make_arrivals(listener.interface_type)
        self.pace = APDUS.begin()
        self.until = inf


class SerialDoor:
    """A serial port; it is opened again when it is lost."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self._listener, self._take, self._tell = listener, take, tell
        self._caller = _caller(listener)
        self._arrivals = make_arrivals(listener.interface_type)
        self._link: Link | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the port; raises ConnectError."""
        one = self._listener
        link = make_link(
            SerialConnection(
                type="serial",
                port=one.serial_port or "",
                baudrate=one.baudrate,
                bytesize=one.bytesize,
                parity=one.parity,
                stopbits=one.stopbits,
            )
        )
        await link.open()
        self._link = link
        self._reading = asyncio.ensure_future(self._read(link))

    def sweep(self, now: float) -> None:
        """Do nothing: the reader itself notices gaps."""

    async def close(self) -> None:
        """Close the port."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        if self._link is not None:
            await self._link.close()

    async def _read(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                if not link.is_open:
                    await link.open()
                data = await link.receive(loop.time() + GAP_S)
            except DlmsError as error:
                self._tell(self._listener.door, "lost", f"the port is lost: {error}")
                await link.close()
                await asyncio.sleep(_RETRY_S)
                continue
            if not data:
                self._arrivals.reset()
                self._caller.blocks.clear()
                continue
            for arrival in self._arrivals.feed(data):
                self._take(arrival.apdu, self._caller, arrival.source)
