"""A TCP port where meters push.

Whoever is not in the allowed networks is gone at once. A caller is a stranger until it has sent a
push that was taken: strangers are few, and have little time. There is no task for a connection:
what arrives is handled as it comes, and one look per second (`sweep`) ends what takes too long.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from math import inf
from time import thread_time
from typing import cast

from dlms_connector.config import PushListener
from dlms_connector.errors import LinkError
from dlms_connector.link import plain, room_for_strangers, unheard
from dlms_connector.protocol.datalink import Arrival, Arrivals, make_arrivals
from dlms_connector.push import door as limits
from dlms_connector.push.door import UNFINISHED_S, Allowed, Take, Tell, answer_to, caller_of
from dlms_connector.push.pace import Pace
from dlms_connector.receiving import Receiver

#: Connections that have pushed and stay open; more meters call again for each push.
MOST_KNOWN = 4096
#: Seconds of a stranger for its first push, and of silence of a caller that has pushed.
STRANGER_S, IDLE_S = 60.0, 7200.0
#: APDUs that were not taken until a connection is closed.
MOST_REFUSED = 20
#: Octets of pushes without their rest that are kept of all callers together.
MOST_HELD = 1 << 26
#: Octets per second of one caller, and how many it may send at once.
OCTETS = Pace(64 * 1024, 1 << 20)


class TcpDoor:
    """A TCP port; a connection carries one push or many."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self.listener, self.take, self.tell = listener, take, tell
        self._allowed = Allowed(listener)
        self._server: asyncio.Server | None = None
        self._all: set[_Connection] = set()
        self._strangers: Counter[str] = Counter()
        self._known = 0
        self._most = room_for_strangers()
        self.held = 0
        self.refused_work = limits.REFUSED_WORK.begin()

    @property
    def port(self) -> int:
        """The port number, also if the system chose it."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        loop, listener = asyncio.get_running_loop(), self.listener
        try:
            # In two steps: who is cancelled behind the first one has the socket, and closes it.
            self._server = await loop.create_server(
                lambda: _Connection(self), listener.host, listener.port, start_serving=False
            )
            await self._server.start_serving()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise unheard(listener.door, reason) from error

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


class _Connection(Receiver):
    """One connection to a TCP door."""

    def __init__(self, door: TcpDoor) -> None:
        super().__init__()
        self._door = door
        self._arrivals: Arrivals = make_arrivals(door.listener.interface_type)
        self._transport: asyncio.Transport | None = None
        self._peer, self._caller = "", caller_of(door.listener)
        self._known = False
        self._refused = self._held = 0
        self._clock = asyncio.get_running_loop().time
        self._octets, self._apdus = OCTETS.begin(), limits.APDUS.begin()
        self._until = self._clock() + STRANGER_S
        self._whole_until = inf
        self._resting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the caller, or hang up."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self._peer = plain(str(name[0])) if name else ""
        self._caller = caller_of(
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
        self._hold(self._arrivals.held + self._caller.held)
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
            self._hold(0)
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
        self._hold(0)
        self._door.leave(self, self._peer, known=self._known)

    def _take(self, arrival: Arrival, now: float) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        began = thread_time()
        taken = self._door.take(arrival.apdu, self._caller, arrival.source)
        if taken.answer:
            self._transport.write(answer_to(arrival, taken.answer))
        if not self._apdus.spend(1, now):
            self._rest()
        if taken.device is not None:
            # The line goes on: what has begun now is not what had begun before.
            self._refused, self._until, self._whole_until = 0, now + IDLE_S, inf
            if not self._known:
                self._known = True
                if not self._door.know(self._peer):
                    self._transport.close()
        elif not taken.waits:
            self._refused += 1
            fits = self._door.refused_work.spend(thread_time() - began, now)
            if self._refused >= MOST_REFUSED or not fits:
                self.end()

    def _hold(self, octets: int) -> None:
        """Note what is kept; hang up if that is too much with all others."""
        self._door.held += octets - self._held
        self._held = octets
        if octets and self._door.held > MOST_HELD:
            self._door.tell(self._door.listener.door, "held", "too many pushes are begun at once")
            self.end()

    def _rest(self) -> None:
        """Read no more for a while: the sender has to wait."""
        if not self._resting and self._transport is not None:
            self._resting = True
            self._transport.pause_reading()
