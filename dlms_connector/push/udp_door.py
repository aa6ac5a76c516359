"""A UDP port where meters push; what is too much is dropped."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from time import thread_time

from dlms_connector.config import PushListener
from dlms_connector.errors import LinkError
from dlms_connector.link import plain, unheard
from dlms_connector.protocol.datalink import make_arrivals
from dlms_connector.push import door as limits
from dlms_connector.push.door import UNFINISHED_S, Allowed, Take, Tell, answer_to, caller_of
from dlms_connector.push.pace import Pace

#: Datagrams per second of all senders together, and how many at once.
DATAGRAMS = Pace(1000, 5000)
#: Senders that are remembered.
MOST_SENDERS = 1024
#: Senders of pushes that were taken, which are taken also while strangers send too much.
MOST_KNOWN = 65_536
#: Octets of pushes without their rest that are kept of all senders together.
MOST_HELD = 1 << 23


class UdpDoor(asyncio.DatagramProtocol):
    """A UDP port; each datagram carries whole frames."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self.listener, self._take, self._tell = listener, take, tell
        self._allowed = Allowed(listener)
        self._transport: asyncio.DatagramTransport | None = None
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._pace = DATAGRAMS.begin()
        self._held = 0
        #: Addresses from which a push was taken.
        self._known: set[str] = set()
        self._refused_work = limits.REFUSED_WORK.begin()
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
            raise unheard(listener.door, reason) from error

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
        if peer not in self._known and not self._refused_work.spend(0, now):
            self._tell(self.listener.door, "work", "senders that are not known send too much")
            return
        before, began = sender.held, thread_time()
        if not self._feed(sender, data, addr):
            self._refused_work.spend(thread_time() - began, now)
        else:
            sender.until = inf  # what has begun now is not what had begun before
            if len(self._known) < MOST_KNOWN:
                self._known.add(peer)
        self._held += sender.held - before
        while self._held > MOST_HELD:  # this sender has at most a small part of it
            self._forget(next(iter(self._senders)))

    def _feed(self, sender: _Sender, data: bytes, addr: tuple[str, int]) -> bool:
        """Take what is whole in a datagram; return whether a push was taken."""
        known = False
        framing = self.listener.interface_type
        arrivals = make_arrivals(framing) if framing == "WRAPPER" else sender.arrivals
        try:
            found = arrivals.feed(data)
        except LinkError as error:
            self._tell(sender.caller.name, "framing", str(error))
            return False
        for arrival in found:
            taken = self._take(arrival.apdu, sender.caller, arrival.source)
            known = known or taken.device is not None
            if taken.answer and self._transport is not None:
                self._transport.sendto(answer_to(arrival, taken.answer), addr)
        if framing == "WRAPPER" and not found:
            self._tell(sender.caller.name, "framing", "a datagram without a whole wrapper frame")
        return known

    def sweep(self, now: float) -> None:
        """Forget what was begun too long ago."""
        for sender in self._senders.values():
            waits = sender.arrivals.begun or bool(sender.caller.blocks)
            sender.until = min(sender.until, now + UNFINISHED_S) if waits else inf
            if now >= sender.until:
                self._held -= sender.held
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
                self._forget(next(iter(self._senders)))
        self._senders[peer] = sender
        return sender

    def _forget(self, peer: str) -> None:
        self._held -= self._senders.pop(peer).held


class _Sender:
    """What is kept of one sender of datagrams."""

    def __init__(self, listener: PushListener, peer: str) -> None:
        self.caller = caller_of(listener, peer, answers=listener.interface_type == "WRAPPER")
        self.arrivals = make_arrivals(listener.interface_type)
        self.pace = limits.APDUS.begin()
        self.until = inf

    @property
    def held(self) -> int:
        """How many octets are kept that wait for their rest."""
        return self.arrivals.held + self.caller.held
