"""One run: the connector with everything around it, and what befalls it."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dlms_connector.config import Device
from dlms_connector.connector import DLMSConnector
from dlms_connector.fleet import Fleet
from dlms_connector.gateway import garbage, parts
from dlms_connector.link import Link
from dlms_connector.protocol.association import association
from dlms_connector.push import push
from dlms_connector.records import alone
from dlms_connector.state import counters
from tests.simulation import disk as disks
from tests.simulation.calls import Caller
from tests.simulation.disk import Disk
from tests.simulation.hub import Hub, Process
from tests.simulation.journal import Journal
from tests.simulation.judge import Judge
from tests.simulation.line import Place, SimulatedMeter, WireLink
from tests.simulation.platform import Gateway, Platform
from tests.simulation.power import Platter
from tests.simulation.pushes import Pushes
from tests.simulation.scenario import Fault, Plan, make, options_of
from tests.simulation.substitutes import VirtualLoop, World

#: How often the connector looks at the gateway's session: ten times a second would be most of
#: what a simulated day costs. It looks more often for some time after something has happened.
_LOOK_S, _QUIET_LOOK_S = 20.0, 60.0
_NEWS_S = 900.0
#: Meters that are remembered of one site; of those that were there before, nothing comes any more.
_AT_SITE = 4
#: Objects that are made until Python searches the youngest of them for garbage.
_GARBAGE = 100_000

_DISK = Disk()
_INSTALLED = False


class _Log(logging.Handler):
    """Takes the connector's log into the journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.INFO)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        thread = World.hub.current
        if thread is not None and not thread.process.alive:
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" | {record.exc_info[1]!r}"
            self._journal.note("exception", record.levelname, text, record.exc_info[1])
        self._journal.note("log", record.levelname, text)


class _NoSearch:
    """Stands for Python's search for garbage where the connector calls it."""

    def __getattr__(self, name: str) -> Callable[..., bool]:
        return lambda *_: False


class Simulated:
    """The world of one run."""

    def __init__(self, plan: Plan, faults: Sequence[Fault] = ()) -> None:
        """Make the world of a plan; `faults` come beside those that its seed draws."""
        self.plan = plan
        self.hub = World.hub = Hub(plan.seed)
        World.random = random.Random(f"secrets {plan.seed}")
        World.wall_off_s = 0.0
        random.seed(plan.seed)
        VirtualLoop.living.clear()
        self.disk = _disk()
        World.disk_s = self.disk.job_s
        self.journal = Journal()
        self.scenario = make(plan)
        self.scenario.faults += faults
        self.chance = random.Random(f"world {plan.seed}")
        self.meters = [
            SimulatedMeter(site.name, options_of(site, site.serial), self.journal)
            for site in self.scenario.sites
        ]
        by_name = {meter.name: meter for meter in self.meters}
        #: The meter of each device, and before it those that were there lately, the newest first.
        self.at_site = {meter.name: deque([meter], maxlen=_AT_SITE) for meter in self.meters}
        self.places = [
            Place(f"place {number}", [by_name[site.name] for site in sites], self.journal,
                  f"{plan.seed} {number}")
            for number, sites in enumerate(self.scenario.places)
        ]  # fmt: skip
        self.platform = Platform(self.journal, f"{plan.seed}", receipts=self.scenario.receipts)
        self.folder = Path(tempfile.mkdtemp(prefix="simulated-", dir=disks.memory()))
        self.journal.hidden.append((str(self.folder), "…"))
        (self.folder / "config").mkdir()
        self._platter = self.disk.platter = Platter(self.folder, f"power {plan.seed}")
        self._platter.sync_names(self.folder)
        self.process: Process | None = None
        self.gateway: Gateway | None = None
        self.connector: DLMSConnector | None = None
        self.starts = 0
        #: Since when the process runs, None while it does not.
        self.up_since: float | None = None
        # Not of the gateway's class, whose logger a connector that closes makes silent.
        self.log = logging.Logger("simulated", logging.INFO)  # noqa: LOG001
        self.log.addHandler(_Log(self.journal))
        library = logging.getLogger("dlms_connector")
        library.propagate, library.handlers = False, [_Log(self.journal)]
        self.judge = Judge(self)
        self.caller = Caller(self)
        self.pushes = Pushes(self)
        self.hub.crash = partial(self.crash, 1.0)
        self._quiet_at = 0.0

    def run(self) -> None:
        """Run to the end, and judge it. Raises Violation."""
        self._next(iter(sorted(self.scenario.faults, key=lambda fault: fault.at)))
        self.start()
        try:
            self.hub.run(self.plan.end_s)
            self.judge.finish()
        finally:
            self.end()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The process

    def start(self) -> None:
        """Start the connector in a process of its own."""
        if self.process is not None:
            return
        self.starts += 1
        self._news()
        process = self.process = Process(self.starts)
        self.up_since = self.hub.now
        self.journal.note("start", self.starts)
        self.gateway = Gateway(process, self.platform, self.folder)
        self.hub.spawn(process, "gateway", partial(self._open, process, self.gateway), 0.0)
        self.hub.call_later(0.3, self.gateway.connect)

    def _open(self, process: Process, gateway: Gateway) -> None:
        world = self

        class Connector(DLMSConnector):
            fleet_factory = staticmethod(world._fleet)

            def _logger(self, *args: Any, **kind: Any) -> logging.Logger:
                return world.log

        connector = Connector(gateway, self.scenario.configuration, "custom")
        gateway.connector = self.connector = connector
        connector.open()

    def _fleet(self, *args: Any, **keys: Any) -> Fleet:
        return Fleet(*args, **keys, link_of=self._link, room_for=lambda devices, log: None)

    def _link(self, device: Device) -> Link:
        site = next(one for one in self.scenario.sites if one.name == device.device_name)
        return WireLink(self.places[site.place], device.connection.connect_timeout_ms / 1000)

    def crash(self, down_s: float) -> None:
        """Let the process die at once, and start another one later."""
        self.journal.note("crash")
        self._kill()
        self.hub.call_later(down_s, self.start)

    def fail_power(self, down_s: float) -> None:
        """Let the process die, and with it what is not on the disk."""
        self.journal.note("power cut")
        left = self._platter.cut()
        self._kill()
        self._platter.restore(left)
        self.hub.call_later(down_s, self.start)

    def close(self, down_s: float) -> None:
        """Have the gateway close the connector, and start again."""
        process, connector = self.process, self.connector
        if process is None or connector is None:
            return

        def body() -> None:
            began = self.hub.now
            connector.close()
            self.journal.note("closed", f"{self.hub.now - began:.3f}")
            self.hub.call_later(0.0, over)

        def over() -> None:
            if self.process is process:
                self._kill()
                self.hub.call_later(down_s, self.start)

        self.hub.spawn(process, "closing", body, 0.0)

    def _kill(self) -> None:
        process = self.process
        assert process is not None
        self.judge.died()
        self.hub.steps_left = 0
        self.process = self.connector = self.gateway = None
        self.up_since = None
        loops = list(VirtualLoop.living.values())
        tasks = [task for loop in loops for task in asyncio.all_tasks(loop)]
        self.journal.silent = True
        for loop in loops:
            loop.dead = True
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.hub.kill(process)
        for task in tasks:
            _end(task)
        for loop in loops:
            if not loop.is_closed():
                loop.close()
        self.disk.close(process.number)
        _forget()
        self.journal.silent = False

    # Faults

    def _next(self, faults: Iterator[Fault]) -> None:
        """Let the next fault begin in its time, and then those behind it."""
        if (fault := next(faults, None)) is not None:
            self.hub.call_at(fault.at, self._begin, fault)
            self.hub.call_at(fault.at, self._next, faults)

    def _news(self) -> None:
        """Let the connector look more often for some time."""
        parts.IDLE_S = _LOOK_S
        self._quiet_at = self.hub.now + _NEWS_S
        self.hub.call_at(self._quiet_at, self._quiet)

    def _quiet(self) -> None:
        if self.hub.now >= self._quiet_at:
            parts.IDLE_S = _QUIET_LOOK_S

    def _begin(self, fault: Fault) -> None:
        self._news()
        self.journal.note("fault", fault.kind, fault.where, fault.detail, f"{fault.lasts_s:.0f} s")
        undo = self._do(fault)
        if undo is not None:
            self.hub.call_later(fault.lasts_s, self._undo, fault, undo)

    def _undo(self, fault: Fault, undo: Callable[[], object]) -> None:
        self._news()
        self.journal.note("mended", fault.kind, fault.where)
        undo()

    def _do(self, fault: Fault) -> Callable[[], object] | None:
        if fault.kind in _OF_PLACE:
            place = self.places[fault.where]
            self.judge.disturbed(place, fault.lasts_s)
            return _OF_PLACE[fault.kind](place, self.chance)
        if fault.kind in ("meter", "replaced", "finer"):
            meter = self.meters[fault.where]
            place = next(one for one in self.places if meter in one.meters)
            self.judge.disturbed(place, fault.lasts_s)
            return self._do_to_meter(fault, meter, place)
        return self._do_to_host(fault)

    def _do_to_meter(
        self, fault: Fault, meter: SimulatedMeter, place: Place
    ) -> Callable[[], object] | None:
        match fault.kind:
            case "meter":
                name, value = fault.detail
                meter.faults.set(name, value)
                return partial(meter.faults.clear, name)
            case "replaced":
                return self._replace(fault, place)
            case _:
                # A meter that is set to another resolution: off, and on again.
                name = bytes((1, 0, 32, 7, 0, 255))
                place.cut()
                place.off += 1

                def on_again() -> None:
                    place.off -= 1
                    meter.finer[name] = 0 if meter.finer.get(name) else 1

                return on_again

    def _replace(self, fault: Fault, place: Place) -> Callable[[], object]:
        """Take a meter away, and put another one there."""
        place.cut()
        place.off += 1

        def new() -> None:
            site = self.scenario.sites[fault.where]
            before = self.meters[fault.where]
            serial = before.options.serial + 10_000
            meter = SimulatedMeter(site.name, options_of(site, serial), self.journal)
            meter.given = before.given
            self.meters[fault.where] = meter
            self.at_site[site.name].appendleft(meter)
            place.meters[place.meters.index(before)] = meter
            place.off -= 1
            self.judge.replaced(site.name)
            self.journal.note("replaced", site.name, serial)

        return new

    def _room(self) -> None:
        self.disk.full = False
        self.judge.room()

    def _do_to_host(self, fault: Fault) -> Callable[[], object] | None:
        platform, gateway = self.platform, self.gateway
        match fault.kind:
            case "away":
                platform.away = True
                if gateway is not None:
                    gateway.disconnect()
                return partial(setattr, platform, "away", False)
            case "restarted":
                platform.restart()
                if gateway is not None:
                    gateway.disconnect()
            case "receipts lost":
                platform.forgets_receipts = 0.5
                return partial(setattr, platform, "forgets_receipts", 0.0)
            case "slow platform":
                platform.saves_s = 1.5
                return partial(setattr, platform, "saves_s", 0.2)
            case "storage full":
                if gateway is not None:
                    gateway.full = True
                    return partial(setattr, gateway, "full", False)
            case "deleted":
                platform.delete(self.scenario.sites[fault.where].name)
            case "crash" | "power cut":
                die = self.crash if fault.kind == "crash" else self.fail_power
                self.hub.crash = partial(die, fault.lasts_s)
                self.hub.steps_left = int(fault.detail)
            case "restart":
                self.close(min(fault.lasts_s, 60.0))
            case "disk full":
                self.disk.full = True
                self.judge.disk_trouble(fault.lasts_s)
                return self._room
            case "disk slow":
                self.disk.slow_s = 3.0
                self.judge.disk_trouble(fault.lasts_s)
                return partial(setattr, self.disk, "slow_s", 0.0)
            case "clock":
                World.wall_off_s = fault.detail
                return partial(setattr, World, "wall_off_s", 0.0)
        return None


def _refuse(place: Place, chance: random.Random) -> Callable[[], object]:
    place.cut()
    place.refuses = True
    return place.heal


def _swallow(place: Place, chance: random.Random) -> Callable[[], object]:
    place.swallows = True
    return place.heal


def _cut(place: Place, chance: random.Random) -> None:
    place.cut()


def _slow(place: Place, chance: random.Random) -> Callable[[], object]:
    place.way_s, place.jitter_s = 0.8, 1.0

    def fast() -> None:
        place.way_s, place.jitter_s = 0.05, 0.05

    return fast


def _with_chance(name: str) -> Callable[[Place, random.Random], Callable[[], object]]:
    def begin(place: Place, chance: random.Random) -> Callable[[], object]:
        setattr(place, name, 0.05 + 0.5 * chance.random())
        return partial(setattr, place, name, 0.0)

    return begin


_OF_PLACE: dict[str, Callable[[Place, random.Random], Callable[[], object] | None]] = {
    "refused": _refuse,
    "swallowed": _swallow,
    "cut": _cut,
    "slow": _slow,
    "lossy": _with_chance("loses"),
    "damaged": _with_chance("damages"),
    "doubled": _with_chance("doubles"),
    "breaking": _with_chance("breaks"),
    "split": _with_chance("splits"),
}


def _disk() -> Disk:
    """Return the disk: one for all runs of this process, as it stands in for that of Python."""
    global _INSTALLED
    if not _INSTALLED:
        _INSTALLED = True
        disks.install(_DISK)
        parts.STARTING_S, push._SWEEP_S = _LOOK_S, _QUIET_LOOK_S
        # Nobody waits here for a search that finds nothing.
        garbage.gc = _NoSearch()  # type: ignore[attr-defined,assignment]
        gc.set_threshold(_GARBAGE, 20, 50)
    _DISK.full, _DISK.slow_s = False, 0.0
    return _DISK


def _end(task: asyncio.Task[Any]) -> None:
    """End a task whose loop is gone, without running it."""
    for _ in range(10):
        try:
            task.get_coro().close()
        except Exception:
            continue
        return


def _forget() -> None:
    """Forget what a process knows of itself: the next one is another."""
    counters._numbers.clear()
    counters._heard.clear()
    counters._folders.clear()
    for descriptor, _ in alone._held.values():
        disks.close(descriptor)
    alone._held.clear()
    association._CHALLENGES = type(association._CHALLENGES)()
