"""What users do: calls and shared attributes, some of them twice, some of them not allowed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.simulation.scenario import DAY_S, ENERGY, LIMITER, RELAY, Site
from tests.simulation.substitutes import World

if TYPE_CHECKING:
    from tests.simulation.world import Simulated

#: How long a caller waits who says nothing of it.
PATIENCE_S = 10.0
#: A relay is not switched again before the last call to it is over in any case.
_RELAY_REST_S = 120.0
#: Calls that are remembered, and values of a shared attribute of one device.
_REMEMBERED = 2000


@dataclass(slots=True)
class Call:
    """A call that was made, and what came of it."""

    number: int
    site: Site
    method: str
    kind: Literal["write", "relay", "read"]
    at: float
    value: int = 0
    replies: int = 0
    done: int = 0


class Caller:
    """Makes calls and sets attributes at times that the seed tells."""

    def __init__(self, world: Simulated) -> None:
        self._world = world
        self._chance = random.Random(f"calls {world.plan.seed}")
        self.calls: dict[int, Call] = {}
        #: Calls that write, by the value that they write.
        self.writing: dict[int, Call] = {}
        #: The call that may switch the relay of a device now.
        self.switching: dict[str, Call] = {}
        #: Values of the shared attribute, by device, and how often each was written.
        self.wanted: dict[str, dict[int, int]] = {}
        self._next = 1000
        rate = world.plan.calls * max(1.0, world.plan.meters / 4)
        self._pause_s = DAY_S / rate if rate else 0.0
        if rate:
            self._later()

    def _later(self) -> None:
        World.hub.call_later(self._chance.expovariate(1 / self._pause_s), self._act)

    def _act(self) -> None:
        site = self._chance.choice(self._world.scenario.sites)
        action = self._chance.choice(("write", "relay", "read", "attribute"))
        if World.hub.now < self._world.plan.end_s - 3600:
            if action == "attribute":
                self._set(site)
            else:
                self._call(site, action)
        self._later()

    def _set(self, site: Site) -> None:
        self._next += 1
        wanted = self.wanted.setdefault(site.name, {})
        wanted[self._next] = 0
        if len(wanted) > _REMEMBERED:
            del wanted[next(iter(wanted))]
        values = {"emergencyLimit": self._next}
        self._world.journal.note("shared", site.name, self._next)
        # The platform repeats shared attributes when a device connects, and whenever it likes.
        for _ in range(self._chance.choice((1, 1, 2))):
            self._world.platform.tell(site.name, dict(values))

    def _call(self, site: Site, kind: Any) -> None:
        self._next += 1
        number = self._next
        method, params = self._content(kind, number)
        if kind == "relay":
            last = self.switching.get(site.name)
            if last is not None and World.hub.now - last.at < _RELAY_REST_S:
                return
        call = Call(number, site, method, kind, World.hub.now, number)
        self.calls[number] = call
        if len(self.calls) > _REMEMBERED:
            self._forget(next(iter(self.calls)))
        if kind == "write":
            self.writing[number] = call
        if kind == "relay":
            self.switching[site.name] = call
        self._world.journal.note("call", site.name, number, method)
        self._world.platform.call(site.name, number, method, params)
        if self._chance.random() < 0.3:  # the broker sends it once more
            again_s = 3 * self._chance.random()
            World.hub.call_later(
                again_s, self._world.platform.call, site.name, number, method, params
            )

    def _forget(self, number: int) -> None:
        self.calls.pop(number)
        self.writing.pop(number, None)

    def _content(self, kind: str, number: int) -> tuple[str, Any]:
        if kind == "write":
            return "writeObject", {
                "obis": LIMITER, "class": "limiter", "attribute": 4, "value": number,
            }  # fmt: skip
        if kind == "relay":
            return self._chance.choice(("disconnectRelay", "reconnectRelay")), {"obis": RELAY}
        return "readObject", {"obis": ENERGY, "class": "register", "attribute": 2}
