"""What befalls an installation, at random from a seed: meters, platform, users, tables."""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.demo.gateway_process import CONNECTOR_FILE, CONNECTOR_NAME, GatewayProcess
from dlms_connector.demo.platform_server import Platform, RpcError
from tests.soak import fleet
from tests.soak.meters import Meters


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of meters; `of` is the framing or `ciphered` of those that can have it.

    `begin` and `end` are what the meter is told, instead of faults that are switched on and off.
    """

    name: str
    share: int
    faults: Mapping[str, float] = field(default_factory=dict)
    of: str = ""
    begin: str = "set"
    end: str = "clear"
    refuses: bool = False


FAULTS = (
    Fault("dead", 4, begin="stop", end="start"),
    Fault("silent", 4, {"silence": 1}),
    Fault("slow", 4, {"delay": 0.3}),
    Fault("wavering", 2, {"jitter": 0.5}),
    Fault("line dropped", 6, begin="drop", end=""),
    Fault("exchanged", 2, begin="exchange", end="exchange"),
    Fault("hangs up", 3, {"drop-after": 150}),
    Fault("noise", 3, {"garbage": 20}),
    Fault("damaged", 3, {"bad-fcs": 2}, of="HDLC"),
    Fault("lost frames", 3, {"lose": 3}, of="HDLC"),
    Fault("cut short", 2, {"truncate": 1}),
    Fault("exceptions", 2, {"exception": 1}),
    Fault("text", 1, {"text-replies": 1}),
    Fault("refusing", 2, {"refuse-association": 1}, refuses=True),
    Fault("wrong tags", 2, {"bad-tag": 1}, of="ciphered"),
    Fault("replayed", 1, {"replayed-counter": 1}, of="ciphered"),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two events of each kind, in the middle, and how long a fault is at most.

    `fault_s` is that of one meter.
    """

    fault_s: float = 90.0
    fault_takes_s: float = 12.0
    outage_s: float = 75.0
    outage_takes_s: float = 15.0
    table_s: float = 100.0
    remote_s: float = 140.0
    call_s: float = 1.0
    attribute_s: float = 2.0
    push_s: float = 1.0


class Trouble:
    """Causes it while `rage` runs; `done` counts it by name."""

    def __init__(
        self,
        meters: Meters,
        platform: Platform,
        gateway: GatewayProcess,
        configuration: Mapping[str, Any],
        *,
        push_port: int,
        seed: int,
        pace: Pace,
    ) -> None:
        self._meters, self._platform, self._gateway = meters, platform, gateway
        self._configuration = copy.deepcopy(dict(configuration))
        self._ports = dict(enumerate(meters.ports))
        self._push_port, self._seed, self.pace = push_port, seed, pace
        self.done: Counter[str] = Counter()
        self._free = set(self._ports)
        self._pushed: dict[int, float] = {}
        #: When a fault of a meter that refused nobody ended, by meter; in s since 1970.
        self.mended: list[tuple[int, float]] = []

    async def rage(self, seconds: float) -> None:
        """Cause trouble so long, then let everything be well again."""
        ends = asyncio.get_running_loop().time() + seconds
        count = len(self._ports)
        streams: Mapping[str, tuple[Callable[[random.Random], Awaitable[None]], float]] = {
            "meters": (self._fault, self.pace.fault_s / count),
            "platform": (self._outage, self.pace.outage_s),
            "tables": (self._change_table, self.pace.table_s),
            "remote": (self._configure, self.pace.remote_s),
            "calls": (self._call, self.pace.call_s),
            "attributes": (self._set_attribute, self.pace.attribute_s),
            "pushes": (self._push, self.pace.push_s),
        }
        await asyncio.gather(
            *(
                self._stream(name, cause, pause_s, ends)
                for name, (cause, pause_s) in streams.items()
            )
        )

    def configure(self, **keys: Any) -> bool:
        """Change the configuration as the platform does; false if no gateway is there."""
        self._configuration.update(keys)
        entry = {
            "name": CONNECTOR_NAME,
            "type": "custom",
            "class": "DLMSConnector",
            "configuration": CONNECTOR_FILE,
            "logLevel": "INFO",
            "enableRemoteLogging": False,
            "configVersion": "3.8.5",
            "configurationJson": self._configuration,
            "ts": int(time.time() * 1000) + 1,  # what is older than the file is passed over
        }
        try:
            self._platform.set_gateway_attributes({"active_connectors": [CONNECTOR_NAME]})
            return self._platform.set_gateway_attributes({CONNECTOR_NAME: entry})
        except RpcError:
            return False

    def write_table(self, *without: int) -> None:
        """Write the table of devices, without some of them."""
        path = self._gateway.config_dir / fleet.TABLE
        draft = path.with_suffix(".new")
        draft.write_text(fleet.table(self._ports, without), encoding="utf-8")
        draft.replace(path)

    async def _stream(
        self,
        name: str,
        cause: Callable[[random.Random], Awaitable[None]],
        pause_s: float,
        ends: float,
    ) -> None:
        """Cause one kind of trouble; faults of meters overlap, others come one after another."""
        rng = random.Random(f"{self._seed} {name}")
        loop = asyncio.get_running_loop()
        lasting: list[asyncio.Future[None]] = []
        while loop.time() + (pause := rng.uniform(0.5, 1.5) * pause_s) < ends:
            await asyncio.sleep(pause)
            if name in ("meters", "calls"):
                lasting = [one for one in lasting if not one.done() or one.exception()]
                lasting.append(asyncio.ensure_future(cause(rng)))
            else:
                await cause(rng)
        await asyncio.gather(*lasting)

    async def _fault(self, rng: random.Random) -> None:
        fault = rng.choices(FAULTS, [one.share for one in FAULTS])[0]
        takes_s = rng.uniform(1.0, self.pace.fault_takes_s)
        able = sorted(number for number in self._free if fault.of in ("", *_traits(number)))
        if not able:
            return
        meter = rng.choice(able)
        self._free.discard(meter)
        self.done[f"meter {fault.name}"] += 1
        try:
            arguments = [fault.faults] if fault.begin == "set" else []
            self._meters.tell(fault.begin, meter, *arguments)
            if fault.refuses:
                self._meters.tell("drop", meter)
            if fault.end:
                await asyncio.sleep(takes_s)
                self._meters.tell(fault.end, meter)
            if fault.refuses:  # it is left alone for minutes, unless somebody asks
                await self._rpc(fleet.name_of(meter), "reconnect")
            else:
                self.mended.append((meter, time.time()))
        finally:
            self._free.add(meter)

    async def _outage(self, rng: random.Random) -> None:
        kind = rng.choice(["away", "away", "cut", "stalled"])
        takes_s = rng.uniform(1.0, self.pace.outage_takes_s)
        self.done[f"platform {kind}"] += 1
        if kind == "away":
            await self._platform.go_offline()
            await asyncio.sleep(takes_s)
            await self._platform.go_online()
        elif kind == "cut":
            self._platform.cut()
        else:
            self._platform.stall()
            await asyncio.sleep(takes_s)
            self._platform.cut()
            self._platform.resume()

    async def _change_table(self, rng: random.Random) -> None:
        few = max(1, len(self._ports) // 50)
        without = rng.sample(sorted(self._ports), rng.randint(1, few))
        self.done["table changed"] += 1
        self.write_table(*without)

    async def _configure(self, rng: random.Random) -> None:
        if self.configure(diagnosticsPeriod=rng.choice([15_000, 20_000, 25_000])):
            self.done["configured by the platform"] += 1

    async def _call(self, rng: random.Random) -> None:
        method, params = rng.choice(_CALLS)
        await self._rpc(fleet.name_of(rng.choice(sorted(self._ports))), method, params)

    async def _rpc(self, name: str, method: str, params: Any = None) -> None:
        try:
            answer = await self._platform.rpc(name, method, params, timeout_s=15.0)
        except RpcError:  # the platform or the gateway was away
            self.done["call unanswered"] += 1
        else:
            self.done["call refused" if "error" in (answer or {}) else "call answered"] += 1

    async def _set_attribute(self, rng: random.Random) -> None:
        name = fleet.name_of(rng.choice(sorted(self._ports)))
        if self._platform.set_shared_attributes(name, {fleet.LIMIT: rng.randint(1000, 9000)}):
            self.done["attribute set"] += 1

    async def _push(self, rng: random.Random) -> None:
        able = [number for number in self._ports if fleet.kind_of(number).pushes]
        # The meter's clock has whole seconds: two pushes in one would be one value.
        quiet = [
            one for one in able if time.time() - self._pushed.get(one, 0.0) > _BETWEEN_PUSHES_S
        ]
        if quiet:
            meter = rng.choice(quiet)
            self._pushed[meter] = time.time()
            self._meters.tell("push", meter, self._push_port)


_BETWEEN_PUSHES_S = 3.0
_VOLTS = {"obis": "1-0:32.7.0", "class": "register"}
_CALLS: tuple[tuple[str, Any], ...] = (
    ("readObject", _VOLTS),
    ("readObject", {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}),
    ("readClock", None),
    ("getStatistics", None),
    ("getRelayState", None),
    ("disconnectRelay", None),
    ("reconnectRelay", None),
    ("syncClock", None),
    ("readProfile", {"obis": fleet.LOAD, "last": 8}),
    ("reconnect", None),
)


def _traits(meter: int) -> tuple[str, ...]:
    kind = fleet.kind_of(meter)
    return (kind.framing, "ciphered") if kind.ciphered else (kind.framing,)
