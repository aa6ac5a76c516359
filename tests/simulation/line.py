"""Lines and meters in memory: bytes take their time, get lost, or arrive in pieces.

A `Place` is what a host and a port lead to. It has one meter, or several that share the line. The
meters are those of `dlms_connector.simulator`; they note what they were asked and told.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.link.inbox import Inbox
from dlms_connector.obis import Obis
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.encoding.data import Data
from dlms_connector.simulator.objects import Role
from dlms_connector.simulator.serving.connection import Connection
from tests.simulation.journal import Journal
from tests.simulation.substitutes import EPOCH_S, VirtualLoop, World

#: How long answers of a meter are remembered: a journal keeps values for two days.
_REMEMBERED_S = 4 * 86_400.0
_REGISTER = 3
_LOAD_PROFILE = Obis.parse("1-0:99.1.0").octets


@dataclass(slots=True)
class Held:
    """A value that a meter gave: when, as a whole number, and with which scaler it stood."""

    at: float
    raw: int
    scaler: int
    wall_off_s: float


class SimulatedMeter(Meter):
    """A meter that notes what it gave, what was written to it, and what it was told to do."""

    def __init__(self, name: str, options: MeterOptions, journal: Journal) -> None:
        super().__init__(options)
        self.name, self.journal = name, journal
        self.given: dict[bytes, deque[Held]] = {}
        self.last_given = -1.0
        #: Digits by which registers are finer than those of the simulator.
        self.finer: dict[bytes, int] = {}
        #: Whether it is the meter itself that reads.
        self._own = 0

    def value(self, class_id: int, name: bytes, attribute: int) -> Data:
        self._own += 1
        try:
            return super().value(class_id, name, attribute)
        finally:
            self._own -= 1

    def read(self, class_id: int, name: bytes, attribute: int, role: Role) -> Data:
        value = super().read(class_id, name, attribute, role)
        if class_id != _REGISTER or attribute not in (2, 3):
            return value
        if attribute == 3:
            return self._scaler(name, value)
        value = self._finer(name, value)
        if isinstance(value.value, int) and not self._own:
            now = World.hub.now
            self.gave(name, Held(now, value.value, self.scaler(name), World.wall_off_s))
            self.last_given = now
        return value

    def gave(self, name: bytes, held: Held) -> None:
        """Note what was given of a register."""
        known = self.given.setdefault(name, deque())
        known.append(held)
        while known[0].at < held.at - _REMEMBERED_S:
            known.popleft()

    def scaler(self, name: bytes) -> int:
        """Return the scaler of a register as it stands now."""
        source = self._objects[_REGISTER, name].attributes[3]
        scaler: int = (source(self) if callable(source) else source).value[0].value
        return scaler - self.finer.get(name, 0)

    def rows_held(self) -> Sequence[float]:
        """Return the instants of the rows of its load profile, in Unix time."""
        table = self._objects[7, _LOAD_PROFILE].table
        assert table is not None
        return table.times(self)

    def write(self, class_id: int, name: bytes, attribute: int, value: Data, role: Role) -> None:
        super().write(class_id, name, attribute, value, role)
        self.journal.note("written", self.name, Obis(name), attribute, value.value)

    def invoke(self, class_id: int, name: bytes, method: int, argument: Data, role: Role) -> Data:
        result = super().invoke(class_id, name, method, argument, role)
        self.journal.note("done", self.name, Obis(name), method)
        return result

    def _scaler(self, name: bytes, value: Data) -> Data:
        if not (finer := self.finer.get(name)) or not isinstance(value.value, tuple | list):
            return value
        scaler, unit = value.value
        return Data(value.tag, (Data(scaler.tag, scaler.value - finer), unit))

    def _finer(self, name: bytes, value: Data) -> Data:
        if not (finer := self.finer.get(name)) or not isinstance(value.value, int):
            return value
        return Data(value.tag, value.value * 10**finer)


class Place:
    """Where meters are, with all that can happen to the way there."""

    def __init__(
        self, name: str, meters: Sequence[SimulatedMeter], journal: Journal, seed: str
    ) -> None:
        self.name, self.meters, self.journal = name, list(meters), journal
        self.random = random.Random(seed)
        #: Seconds one way, and how much that varies.
        self.way_s, self.jitter_s = 0.05, 0.05
        #: Faults of the way, each with a chance or a switch.
        self.refuses = self.swallows = False
        self.loses = self.damages = self.doubles = self.breaks = self.splits = 0.0
        #: How many fitters are at work, so that the meters are off.
        self.off = 0
        self.conversations: list[Conversation] = []
        #: Since when nobody gets there.
        self.dead_since: float | None = None
        #: When connections were tried.
        self.tries: deque[float] = deque(maxlen=10_000)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong with the way."""
        chances = self.loses + self.damages + self.doubles + self.breaks + self.splits
        return not (self.refuses or self.swallows or self.off or chances)

    def heal(self) -> None:
        """Mend the way."""
        self.refuses = self.swallows = False
        self.loses = self.damages = self.doubles = self.breaks = self.splits = 0.0

    def delay_s(self) -> float:
        """Return how long something is on its way."""
        return self.way_s + self.jitter_s * self.random.random()

    def cut(self) -> None:
        """Break all connections."""
        for each in list(self.conversations):
            each.end()


class Conversation:
    """One connection between a process and a place."""

    def __init__(self, place: Place, link: WireLink, loop: VirtualLoop) -> None:
        self._place, self._link, self._loop = place, link, loop
        self._there = Connection(place.meters)
        self._arrives = self._comes_back = 0.0
        self.open = True
        thread = World.hub.current
        assert thread is not None
        self._process = thread.process
        place.conversations.append(self)
        self._process.at_death.append(self._died)

    def send(self, data: bytes) -> None:
        """Send bytes to the meters."""
        place, hub = self._place, World.hub
        self._arrives = max(self._arrives, hub.now + place.delay_s())
        hub.call_at(self._arrives, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        place, chance = self._place, self._place.random.random
        if not self.open or place.swallows:
            return
        if place.breaks and chance() < place.breaks:
            self.end()
            return
        if place.loses and chance() < place.loses:
            return
        place.journal.mix(data)
        reply = self._there.feed(data)
        if reply:
            place.journal.mix(reply)
            self._answer(reply, self._there.delay_s)
        if self._there.closing:
            World.hub.call_later(place.delay_s() + self._there.delay_s, self.end)

    def _answer(self, reply: bytes, after_s: float) -> None:
        place, chance, hub = self._place, self._place.random, World.hub
        if place.loses and chance.random() < place.loses:
            return
        if place.damages and chance.random() < place.damages:
            at = chance.randrange(len(reply))
            reply = reply[:at] + bytes((reply[at] ^ 1 << chance.randrange(8),)) + reply[at + 1 :]
        if place.doubles and chance.random() < place.doubles:
            reply += reply
        pieces = [reply]
        if place.splits and chance.random() < place.splits and len(reply) > 1:
            at = chance.randrange(1, len(reply))
            pieces = [reply[:at], reply[at:]]
        for piece in pieces:
            at_s = hub.now + after_s + place.delay_s()
            self._comes_back = max(self._comes_back, at_s)
            hub.call_at(self._comes_back, self._come_back, piece)

    def _come_back(self, piece: bytes) -> None:
        if self.open and not self._place.swallows and self._process.alive:
            self._loop.call_soon_threadsafe(self._link.arrived, self, piece)

    def end(self) -> None:
        """Break the connection from the other side."""
        if self._close() and self._process.alive and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._link.broken, self)

    def close(self) -> None:
        """Close the connection from the connector's side; the meters hear of it later."""
        World.hub.call_later(self._place.delay_s(), self._close)

    def _close(self) -> bool:
        if not self.open:
            return False
        self.open = False
        self._place.conversations.remove(self)
        if self._process.alive:
            self._process.at_death.remove(self._died)
        self._there.close()
        return True

    def _died(self) -> None:
        World.hub.call_later(self._place.delay_s(), self._close)


class WireLink:
    """The connector's end; a `Link`."""

    def __init__(self, place: Place, connect_timeout_s: float) -> None:
        self.bytes_in = self.bytes_out = 0
        self._place, self._connect_timeout_s = place, connect_timeout_s
        self._conversation: Conversation | None = None
        self._inbox: Inbox | None = None

    @property
    def is_open(self) -> bool:
        return self._conversation is not None and self._conversation.open

    async def open(self) -> None:
        await self.close()
        place = self._place
        place.tries.append(World.hub.now)
        if not (place.refuses or place.swallows or place.off):
            place.dead_since = None
        elif place.dead_since is None:
            place.dead_since = World.hub.now
        place.journal.note("connect", place.name)
        if place.swallows:
            await asyncio.sleep(self._connect_timeout_s)
            reason = f"no answer within {self._connect_timeout_s:g} s"
            raise ConnectError(place.name, reason)
        await asyncio.sleep(2 * place.delay_s())
        if place.refuses or place.off:
            raise ConnectError(place.name, "Connection refused")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._inbox = Inbox(_nothing, _nothing)
        self._conversation = Conversation(place, self, loop)

    def send(self, data: bytes) -> None:
        if self._conversation is None or not self._conversation.open:
            raise LinkClosedError
        self.bytes_out += len(data)
        self._conversation.send(bytes(data))

    async def receive(self, deadline: float) -> bytes:
        if self._inbox is None:
            raise LinkClosedError
        data = await self._inbox.get(deadline)
        self.bytes_in += len(data)
        return data

    def drain(self) -> bytes:
        data = self._inbox.take() if self._inbox is not None else b""
        self.bytes_in += len(data)
        return data

    async def close(self) -> None:
        conversation, self._conversation = self._conversation, None
        inbox, self._inbox = self._inbox, None
        if conversation is not None:
            conversation.close()
        if inbox is not None:
            inbox.end()

    def arrived(self, conversation: Conversation, data: bytes) -> None:
        if conversation is self._conversation and self._inbox is not None:
            self._inbox.put(data)

    def broken(self, conversation: Conversation) -> None:
        if conversation is self._conversation and self._inbox is not None:
            self._inbox.end()


def _nothing() -> None:
    """Nothing is paused in memory."""


def true_time() -> float:
    """Return the true time, whatever the host's clock shows."""
    return EPOCH_S + World.hub.now


def meter_time() -> float:
    """Return a monotonic time."""
    return World.hub.now
