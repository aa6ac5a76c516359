"""What meters say unasked: a push now and then, twice if the way is bad, and one of before."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from dlms_connector.obis import Obis
from dlms_connector.simulator.datalink.wrapper import make_packet
from dlms_connector.simulator.serving.notification import make_notification
from tests.simulation.line import Held
from tests.simulation.scenario import ENERGY, Site
from tests.simulation.substitutes import EPOCH_S, VirtualLoop, World

if TYPE_CHECKING:
    from tests.simulation.world import Simulated

#: Seconds between pushes of a meter, about.
_PAUSE_S = 3600.0
_ENERGY = Obis.parse(ENERGY).octets
#: Pushes that somebody has recorded, of each meter.
_RECORDED = 5


class Pushes:
    """Lets the meters with keys push; somebody plays back what he has recorded."""

    def __init__(self, world: Simulated) -> None:
        self._world = world
        self._chance = random.Random(f"pushes {world.plan.seed}")
        self._recorded: dict[str, deque[bytes]] = {}
        for site in world.scenario.sites:
            if site.ciphered:
                self._later(site)

    def _later(self, site: Site) -> None:
        pause_s = _PAUSE_S * (0.5 + self._chance.random())
        World.hub.call_later(pause_s, self._push, site)

    def _push(self, site: Site) -> None:
        self._later(site)
        meter = self._world.at_site[site.name][0]
        if self._world.places[site.place].off or meter.faults.any:
            return
        raw, now = meter.value(3, _ENERGY, 2).value, World.hub.now
        for wall_off_s in {0.0, World.wall_off_s}:
            meter.gave(_ENERGY, Held(now, raw, meter.scaler(_ENERGY), wall_off_s))
        options = meter.options
        data = make_packet(options.logical_address, options.client_address,
                           make_notification(meter))  # fmt: skip
        recorded = self._recorded.setdefault(site.name, deque(maxlen=_RECORDED))
        self._world.judge.pushed(site.name, int(EPOCH_S + now) * 1000)
        self._send(site, data)
        if self._chance.random() < 0.3:
            self._send(site, data)
        if recorded and self._chance.random() < 0.3:
            self._send(site, self._chance.choice(recorded))
        recorded.append(data)

    def _send(self, site: Site, data: bytes) -> None:
        World.hub.call_later(0.1 + self._chance.random(), self._arrive, site, data)

    def _arrive(self, site: Site, data: bytes) -> None:
        self._world.journal.mix(data)
        host = site.section["connection"]["host"]
        for loop in list(VirtualLoop.living.values()):
            if loop.ear is not None:
                loop.ear.hear(data, host)
