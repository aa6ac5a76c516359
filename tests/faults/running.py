"""Runs cells, all at once in one loop: one fleet, a proxy before each meter, and healthy meters."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from dlms_connector.config import Device, Profile
from dlms_connector.config.loading import load
from dlms_connector.errors import DlmsError
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.sink import Kept, MeterState
from dlms_connector.history import Row, last
from dlms_connector.interpret import options_of
from dlms_connector.obis import Obis
from dlms_connector.reading import Poll, Reading
from dlms_connector.records import Slice
from dlms_connector.simulator import frame_notification, push
from dlms_connector.simulator.serving.server import Endpoint
from tests.faults.cells import FRAMINGS, SECURITIES, Cell
from tests.faults.effects import FAULTS, of_another
from tests.faults.proxy import Proxy
from tests.faults.stages import TRIGGERS
from tests.faults.victims import (
    EPOCH,
    HERE,
    PERIOD_S,
    PROFILE,
    TIMEOUT_S,
    configured,
    keys_of,
    make_meter,
    rows,
    to_it,
    wrong,
)
from tests.support import warped_time

LOG = logging.getLogger("test.faults")
#: When a poll is over, what follows it in the same period is done.
_BEHIND_S = 20.0
#: A push that is not there by then does not come.
_PUSHED_S = 10.0
#: The results of a cell are there by then, in the time of the loop.
_PATIENCE_S = 40 * PERIOD_S
#: Who has cost the other meters of its line time is tried less often.
_PERIODS_ON_A_LINE = 3


@dataclass(frozen=True)
class Attempt:
    """A poll, call or push: when it ended, and the class of its error; "" if it gave values."""

    at: float
    error: str = ""


@dataclass
class Result:
    """What became of a cell: `once` and `lasting` are "ok", or the class of the error.

    `back_s` is how long after the end of the lasting fault values came again. `problems` are
    sentences; a cell without any is good.
    """

    once: str = ""
    lasting: str = ""
    back_s: float = 0.0
    problems: list[str] = field(default_factory=list)


class Victim:
    """The meter of a cell, and what was heard of it."""

    def __init__(self, cell: Cell, serial: int, seed: int) -> None:
        loop = asyncio.get_running_loop()
        self.cell, self.serial = cell, serial
        self.name = f"{serial} {cell.name}"
        self.meter = make_meter(cell, serial, loop.time)
        #: Another meter on the same line.
        self.beside: Victim | None = None
        meters = [self.meter]
        if cell.stage == "line":
            beside = replace(cell, fault="none", stage="read")
            self.beside = Victim(beside, serial + 1000, seed)
            self.beside.meter = make_meter(beside, serial + 1000, loop.time, place=2)
            meters.append(self.beside.meter)
        self.endpoint = Endpoint(meters, HERE, 0)
        self.result = Result()
        self.attempts: list[Attempt] = []
        self.outages = 0
        self.log: list[logging.LogRecord] = []
        self._told = asyncio.Event()
        self._rng = Random(f"{seed} {cell.name}")
        self.proxy: Proxy | None = None

    async def start(self) -> list[dict[str, Any]]:
        """Let meter and proxy listen; return the devices' configuration."""
        cell, pushed = self.cell, self.cell.stage == "push"
        await self.endpoint.start()
        fault, other = FAULTS[cell.fault], of_another(cell.framing)
        stranger = make_meter(cell, 999, asyncio.get_running_loop().time)
        self.proxy = Proxy(
            cell.framing,
            TRIGGERS[cell.stage][cell.framing],
            fault.effect,
            self.endpoint.port,
            self._rng,
            on_request=fault.on_request,
            pushed=pushed,
            unasked=lambda: frame_notification(self.meter),
            foreign=(lambda _: frame_notification(stranger)) if pushed else other,
            concerns=to_it(cell.framing) if self.beside else lambda octets: True,
        )
        await self.proxy.start()
        on_line = [one for one in (self, self.beside) if one is not None]
        port = self.proxy.port
        return [configured(one.cell, one.name, one.serial, port, one.meter) for one in on_line]

    async def stop(self) -> None:
        """End meter and proxy."""
        if self.proxy is not None:
            await self.proxy.stop()
        await self.endpoint.stop()

    # What is told of it

    def attempted(self, error: DlmsError | str = "") -> None:
        name = error if isinstance(error, str) else type(error).__name__
        self.attempts.append(Attempt(asyncio.get_running_loop().time(), name))
        self._told.set()

    def polled(self, poll: Poll) -> None:
        readings = poll.readings
        self.result.problems += filter(None, (wrong(one, self.serial) for one in readings))
        wanted = keys_of(self.cell)
        came = wanted & {one.key for one in readings}
        if came or poll.failures:
            self.told("" if came == wanted else f"only {sorted(came)}")

    def told(self, error: DlmsError | str) -> None:
        if self.cell.stage != "profile":
            self.attempted(error)
        self._told.set()

    def state(self, state: MeterState, error: DlmsError | None) -> None:
        if error is not None and state != "online" and not self.outages_open:
            self.outages += 1
            self.outages_open = True
            self.told(error)
        elif state == "online":
            self.outages_open = False

    outages_open = False

    # What is done

    async def live(self, fleet: Fleet, device: Device) -> None:
        """Let the fault act, once and lastingly, and look what becomes of it."""
        helper = None
        if self.cell.stage == "push":
            helper = asyncio.create_task(self._push())
        elif self.cell.stage == "profile":
            helper = asyncio.create_task(self._call(fleet, device))
        try:
            await asyncio.wait_for(self._suffer(), _PATIENCE_S)
        except asyncio.TimeoutError:
            self.result.problems.append(
                f"it hangs: once {self.result.once!r}, lasting {self.result.lasting!r}, "
                f"the last attempts {self.attempts[-3:]}"
            )
        finally:
            if helper is not None:
                await _end(helper)

    async def _suffer(self) -> None:
        loop, proxy, result = asyncio.get_running_loop(), self.proxy, self.result
        assert proxy is not None
        await self._until(lambda: self._good >= 3)
        proxy.arm(1)
        result.once = await self.struck(proxy)
        await proxy.end()
        await self._recovered()
        proxy.arm()
        result.lasting = await self.struck(proxy)
        ended = loop.time()
        await proxy.end()
        await self._recovered()
        result.back_s = self.attempts[-1].at - ended
        if result.back_s > PERIOD_S * (_PERIODS_ON_A_LINE if self.beside else 1):
            result.problems.append(f"back only {result.back_s:.0f} s after the end of the fault")
        await self._until(lambda: not any(one.error for one in self.attempts[-2:]))

    async def struck(self, proxy: Proxy) -> str:
        """Wait for the fault to act; return what became of the attempt that it met."""
        hits = proxy.hits
        while proxy.hits == hits:
            proxy.changed.clear()
            await proxy.changed.wait()
        done = len(self.attempts)
        await self._until(lambda: len(self.attempts) > done)
        return self.attempts[done].error or "ok"

    async def _recovered(self) -> None:
        """Wait for values; what began before the end of the fault may fail yet."""
        lost, done = bool(self.attempts[-1].error), len(self.attempts)
        await self._until(lambda: len(self.attempts) > done)
        if not lost and self.attempts[done].error:
            self.result.problems.append(f"{self.attempts[done]} after the end of the fault")
        await self._until(lambda: not self.attempts[-1].error)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._told.clear()
            await self._told.wait()

    @property
    def _good(self) -> int:
        return sum(not one.error for one in self.attempts)

    async def _push(self) -> None:
        """Push once in a period; it is an attempt that failed if no values came of it."""
        assert self.proxy is not None
        while True:
            await asyncio.sleep(PERIOD_S - _PUSHED_S)
            done = len(self.attempts)
            with suppress(OSError):
                await push(self.meter, HERE, self.proxy.port)
            await asyncio.sleep(_PUSHED_S)
            if len(self.attempts) == done:
                self.attempted("lost")

    async def _call(self, fleet: Fleet, device: Device) -> None:
        """Read rows behind each poll."""
        options = options_of(device.dlms)
        obis = Obis.parse(PROFILE)
        await asyncio.sleep(PERIOD_S + _BEHIND_S)
        while True:
            start = asyncio.get_running_loop().time()
            try:
                found = await fleet.submit(
                    self.name, lambda client: last(client, obis, 3, options), timeout_s=PERIOD_S / 2
                )
            except DlmsError as error:
                self.attempted(error)
            else:
                self._check(found)
                self.attempted()
            await asyncio.sleep(start + PERIOD_S - asyncio.get_running_loop().time())

    def _check(self, found: Sequence[Row]) -> None:
        shown = [(row.at.timestamp() if row.at else None, dict(row.values)) for row in found]
        held = rows(self.meter)
        if shown not in (held[-3:], held[-4:-1]):  # one may have come meanwhile
            self.result.problems.append(f"rows {shown} where {held[-4:]} were held")


class _Ledger(logging.Handler):
    """Takes what the fleet tells, and gives it to whom it is about."""

    def __init__(self, victims: Sequence[Victim]) -> None:
        super().__init__()
        self._victims = {victim.name: victim for victim in victims}
        self.faults: list[str] = []

    def polled(self, device: Device, poll: Poll) -> None:
        if victim := self._victims.get(device.device_name):
            victim.polled(poll)

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        if victim := self._victims.get(device.device_name):
            victim.state(state, error)

    def history(
        self,
        device: Device,
        profile: Profile,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        raise AssertionError("no profile is configured")

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.faults.append(text)
        if victim := self._victims.get(text.partition(":")[0]):
            victim.log.append(record)


def run(cells: Sequence[Cell], folder: Path, seed: int) -> dict[str, Result]:
    """Return the results by the cells' names, and those of the healthy meters."""
    with _files(len(cells)):
        return warped_time.run(_run(cells, folder, seed))


@contextmanager
def _files(count: int) -> Iterator[None]:
    """Allow as many open files as so many cells need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, max(soft, 10 * count + 256))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _end(task: asyncio.Task[None]) -> None:
    """End a task; raises what it has failed by before."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _run(cells: Sequence[Cell], folder: Path, seed: int) -> dict[str, Result]:
    loop = asyncio.get_running_loop()
    victims = [Victim(cell, number + 1, seed) for number, cell in enumerate(cells)]
    healthy = [
        Victim(Cell("none", framing, security, "list"), 2000 + number, seed)
        for number, (framing, security) in enumerate(
            (framing, security) for framing in FRAMINGS for security in SECURITIES
        )
    ]
    devices = [device for victim in victims for device in await victim.start()]
    neighbours = [victim.beside for victim in victims if victim.beside is not None]
    for one in healthy:
        await one.endpoint.start()
        devices.append(configured(one.cell, one.name, one.serial, one.endpoint.port, one.meter))
    doors = {framing: _lasting_port() for framing in FRAMINGS}
    for victim in victims:
        if victim.cell.stage == "push" and victim.proxy is not None:
            victim.proxy.beyond = doors[victim.cell.framing]
    loaded = load(
        {
            "devices": devices,
            "push": [
                {
                    "type": "tcp", "host": HERE, "port": port, "interfaceType": framing,
                    "allow": ["127.0.0.0/8"],
                }
                for framing, port in doors.items()
            ],
        },
        base=folder,
    )  # fmt: skip
    assert loaded.every_problem == (), loaded.every_problem
    ledger = _Ledger([*victims, *neighbours, *healthy])
    LOG.addHandler(ledger)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    fleet = Fleet(
        loaded.configuration.devices,
        ledger,
        LOG,
        state_dir=folder,
        now_ms=lambda: round((EPOCH + loop.time()) * 1000),
        listeners=loaded.configuration.push,
        room_for=lambda devices, log: None,
    )
    running = asyncio.create_task(fleet.run())
    by_name = {device.device_name: device for device in loaded.configuration.devices}
    try:
        await asyncio.gather(*(victim.live(fleet, by_name[victim.name]) for victim in victims))
    finally:
        running.cancel()
        await asyncio.wait({running})
        LOG.removeHandler(ledger)
        for victim in (*victims, *healthy):
            await victim.stop()
    await _end(running)
    results = {victim.cell.name: victim.result for victim in victims}
    results["healthy"] = undisturbed(healthy, loop.time())
    results["healthy"].problems += ledger.faults
    for victim in victims:
        _check_log(victim)
        _check_line(victim)
    return results


def _lasting_port() -> int:
    """Return a free port that no outgoing connection is given meanwhile."""
    for port in Random().sample(range(15_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HERE, port))
            return port
    raise AssertionError("no port is free")


def undisturbed(healthy: Sequence[Victim], end: float) -> Result:
    """Return what became of the meters that nothing disturbed."""
    result = Result()
    for one in healthy:
        failed = [each.error for each in one.attempts if each.error]
        times = [each.at for each in one.attempts if not each.error]
        told = [*one.result.problems, *failed]
        result.problems += [f"the healthy {one.name}: {each}" for each in told]
        gap = max(second - first for first, second in pairwise([0.0, *times, end]))
        result.back_s = max(result.back_s, gap)
        if gap > PERIOD_S + 1:
            result.problems.append(f"{one.name}: a gap of {gap:.1f} s")
    return result


def _check_line(victim: Victim) -> None:
    """Who has the same line waits for one timeout at most, unless the fault takes the line."""
    if (beside := victim.beside) is None:
        return
    times = [one.at for one in beside.attempts if not one.error]
    gap = max(second - first for first, second in pairwise(times))
    whole = victim.cell.fault in ("refuse", "silent")
    if gap > (3 * PERIOD_S if whole else PERIOD_S + 2 * TIMEOUT_S):
        victim.result.problems.append(f"the other meter of its line had to wait for {gap:.0f} s")
    if beside.outages and not whole:
        victim.result.problems.append("the other meter of its line had an outage")
    victim.result.problems += beside.result.problems


def _check_log(victim: Victim) -> None:
    """Each outage is told in one line; what was refused beside the true answer too."""
    warnings = [one for one in victim.log if one.levelno >= logging.WARNING]
    lines = [one for one in warnings if "beside the true answer" not in one.getMessage()]
    if len(warnings) - len(lines) > 1:
        victim.result.problems.append(f"told {len(warnings) - len(lines)} times")
    if victim.cell.stage != "push" and len(lines) != victim.outages:
        texts = [line.getMessage() for line in lines]
        victim.result.problems.append(f"{victim.outages} outages, but these lines: {texts}")
