"""One soak run: a fleet at rest, then polled under all kinds of trouble, then at rest again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_server import Platform
from tests.soak import fleet, ledger, watching
from tests.soak.ledger import Account
from tests.soak.meters import Meters
from tests.soak.slopes import Slope, least, theil_sen
from tests.soak.trouble import Pace, Trouble
from tests.soak.watching import Count, Sample, Watch
from tests.support.places import ROOT

TOKEN = "the-gateway-token"
#: Nothing takes longer, on a machine that is busy.
_PATIENCE_S = 300.0
_STOP_S = 60.0
_INSIDE = Path(__file__).parent / "inside"
#: Threads that are started when they are first needed and then kept, for all connectors of a
#: process: their number has a limit, and is not back where it was.
_KEPT = ("dlms-state_",)
#: What a connector of before has left behind goes within this time.
_GONE_S = 60.0
#: What waits for the platform is confirmed within this time, on a busy machine, too.
_WAITS_S = 120.0
#: Where memory is, is looked at behind this part of the time.
_WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Rest:
    """The gateway at rest: its process, and what it has counted.

    `restless` is what its metrics said if it was not at rest in time; else it is empty.
    """

    process: Sample
    counted: Count
    restless: str = ""


@dataclass(frozen=True)
class Result:
    """What a run came to. `before` and `after` are the gateway at rest, with the same meters."""

    account: Account
    stored: int
    unconfirmed: int
    before: Rest
    after: Rest
    memory: Slope
    threads: Slope
    files: Slope
    objects: Slope
    blocks: Slope
    in_use: Slope
    more_objects: Counter[str]
    measured_s: float
    cores: float
    done: Counter[str]
    meters_did: Counter[str]
    recoveries: Sequence[float]
    #: Faults of meters behind which no value came any more.
    unrecovered: int
    connects: int
    tracebacks: int
    load: float

    @property
    def threads_left(self) -> Counter[str]:
        """Threads that were not there before, by name."""
        left = self.after.counted.threads - self.before.counted.threads
        return Counter({name: count for name, count in left.items() if name not in _KEPT})

    @property
    def unaccounted(self) -> int:
        """Values that were read and are neither on the platform nor counted; or the contrary."""
        return self.account.values - self.stored


async def soak(
    folder: Path,
    *,
    meters: int,
    seconds: float,
    period_s: float,
    seed: int,
    pace: Pace,
    receipts: bool = False,
    count_every_s: float = 10.0,
) -> Result:
    """Run once; `receipts` tells whether the platform sends receipts.

    The gateway's objects and threads are counted every `count_every_s`.
    """
    manners = Manners(telemetry_s=0.1, attributes_s=0.05, receipts=receipts)
    with Meters([fleet.options(number) for number in range(meters)]) as simulated:
        (port,) = _free_ports(1)  # it is free a while: nobody else may have it then
        async with Platform(
            {TOKEN: "Gateway"}, port=port, packets=1000, manners=manners
        ) as platform:
            run = _Run(folder, simulated, platform, period_s, seed, pace, count_every_s)
            return await run.through(seconds)


class _Run:
    def __init__(
        self,
        folder: Path,
        meters: Meters,
        platform: Platform,
        period_s: float,
        seed: int,
        pace: Pace,
        count_every_s: float,
    ) -> None:
        self._meters, self._platform, self._period_ms = meters, platform, round(period_s * 1000)
        self._metrics_port, push_port = _free_ports(2)
        self._objects = folder / "objects.txt"
        configuration = fleet.configuration(
            fleet.REST_MS, push_port=push_port, metrics_port=self._metrics_port
        )
        self._gateway = GatewayProcess(
            folder,
            platform_port=platform.port,
            token=TOKEN,
            configuration=configuration,
            remote_configuration=True,
            environment={
                "PYTHONPATH": os.pathsep.join(map(str, (_INSIDE, ROOT, ROOT / "converters"))),
                "SOAK_OBJECTS": str(self._objects),
                "SOAK_EVERY_S": str(count_every_s),
            },
        )
        self._trouble = Trouble(
            meters, platform, self._gateway, configuration,
            push_port=push_port, seed=seed, pace=pace,
        )  # fmt: skip
        self._trouble.write_table()

    async def through(self, seconds: float) -> Result:
        async with self._gateway:
            await self._until(self._logged("Remote Configurator started"))
            before = await self._at_rest()
            watch = Watch(self._gateway.pid)
            watching_ = asyncio.create_task(watch.run())
            await self._configured(pollPeriod=self._period_ms)
            began = time.time()
            await self._trouble.rage(seconds)
            watching_.cancel()
            with suppress(asyncio.CancelledError):
                await watching_
            self._trouble.write_table()
            await self._configured(pollPeriod=fleet.REST_MS)
            after = await self._at_rest()
            did = await self._meters.counts()
            unconfirmed = int((await self._look()).get(("dlms_unconfirmed_rows",), -1))
            await self._gateway.stop(signal.SIGINT, within_s=_STOP_S)
        log, store = self._gateway.log(), self._platform.store
        late = [one for one in watch.samples if one.at >= began + seconds * _WARM_UP]
        counted = watching.counts(self._objects)
        judged = [one for one in counted if late and late[0].at <= one.at <= late[-1].at]

        def growth(of: Callable[[Count], float]) -> Slope:
            return theil_sen(least([(one.at, of(one)) for one in judged], _WAITS_S))

        recoveries = ledger.recoveries(store, self._trouble.mended)
        return Result(
            account=ledger.account(log),
            stored=ledger.stored(store),
            unconfirmed=unconfirmed,
            before=before,
            after=after,
            memory=theil_sen([(one.at, one.own_mb) for one in late]),
            threads=theil_sen([(one.at, one.threads) for one in late]),
            files=theil_sen([(one.at, one.files) for one in late]),
            objects=growth(lambda one: one.objects),
            blocks=growth(lambda one: one.blocks),
            in_use=growth(lambda one: one.in_use_mb),
            more_objects=watching.became_more(counted),
            measured_s=late[-1].at - late[0].at if late else 0.0,
            cores=_cores(late),
            done=self._trouble.done,
            meters_did=did,
            recoveries=recoveries,
            unrecovered=len(self._trouble.mended) - len(recoveries),
            connects=self._platform.connects,
            tracebacks=log.count("Traceback (most recent call last)"),
            load=sum(watch.loads) / max(1, len(watch.loads)),
        )

    async def _configured(self, **defaults: int) -> None:
        """Let the platform change the defaults of devices, and wait until it is so."""
        ended = self._gateway.log().count("closed within")
        await self._until(lambda: self._platform.sessions > 0)
        # The platform may have just come back: what is not taken is told again.
        changed = {"defaults": {"allowWrite": True, **defaults}}
        ends = time.monotonic() + _PATIENCE_S
        while self._gateway.log().count("closed within") == ended:
            if time.monotonic() > ends:
                raise AssertionError(f"not configured:\n{self._gateway.log()[-4000:]}")
            self._trouble.configure(**changed)
            for _ in range(40):
                await asyncio.sleep(0.25)
                if self._gateway.log().count("closed within") > ended:
                    break

    async def _at_rest(self) -> Rest:
        """Wait until all meters were polled and let go of, and all is on the platform.

        Then the gateway is looked at when it has no more files and threads than the least of a
        while: what ends in the background has ended.
        """
        count = len(self._meters.ports)
        reconnected: set[str] = set()

        async def still() -> bool:
            found = await self._look()
            if not found:
                return False
            if found.get(("dlms_meters", "refused"), 0):
                await self._ask_refused(reconnected)
            return (
                found.get(("dlms_meters", "online"), 0) == count
                and not found.get(("dlms_uplink_waiting",), 0)
                and not found.get(("dlms_gateway_storage_messages",), 0)
                and not found.get(("dlms_unconfirmed_rows",), 0)
                and not found.get(("dlms_history_unread_intervals",), 0)
            )

        ends, restless = time.monotonic() + _PATIENCE_S, ""
        while not await still():
            if time.monotonic() > ends:
                restless = f"not at rest: {await self._look()}"
                break
            await asyncio.sleep(0.5)
        least = watching.sample(self._gateway.pid)
        for _ in range(12):
            await asyncio.sleep(0.25)
            now = watching.sample(self._gateway.pid)
            if (now.files, now.threads) < (least.files, least.threads):
                least = now
        return Rest(least, await self._counted(least.at), restless)

    async def _counted(self, behind: float) -> Count:
        """Return what the gateway counts when all of a configuration before has gone."""
        counted: list[Count] = []

        def seen() -> bool:
            counted[:] = [one for one in watching.counts(self._objects) if one.at > behind]
            return bool(counted)

        await self._until(seen)
        ends = time.monotonic() + _GONE_S
        while counted[-1].parts > 1 and time.monotonic() < ends:
            await asyncio.sleep(0.5)
            seen()
        return counted[-1]

    async def _ask_refused(self, asked: set[str]) -> None:
        """Have meters tried again that refused us: they are left alone for minutes."""
        for number in range(len(self._meters.ports)):
            name = fleet.name_of(number)
            state = self._platform.store.attributes(name).get("dlmsState")
            if state == "refused" and name not in asked:
                asked.add(name)
                await self._trouble._rpc(name, "reconnect")

    async def _look(self) -> dict[tuple[str, ...], float]:
        return await watching.metrics(self._metrics_port)

    def _logged(self, text: str) -> Callable[[], bool]:
        return lambda: text in self._gateway.log()

    async def _until(self, look: Callable[[], bool]) -> None:
        ends = time.monotonic() + _PATIENCE_S
        while not look():
            if time.monotonic() > ends:
                raise AssertionError(
                    f"not within {_PATIENCE_S:g} s:\n{self._gateway.log()[-4000:]}"
                )
            await asyncio.sleep(0.1)


def _cores(samples: Sequence[Sample]) -> float:
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    return (last.cpu_s - first.cpu_s) / (last.at - first.at)


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and lie where the system gives none of its own."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(31_500, 32_700)  # not of the seed: others run, too
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found
