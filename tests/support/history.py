"""A load profile on its way to the platform, while everything on the way is broken at random."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_server import RpcError
from dlms_connector.obis import Obis
from dlms_connector.simulator import MeterOptions
from dlms_connector.simulator.meter import Meter
from tests.support.site import Configuration, Site, site

LOAD = Obis.parse("1-0:99.1.0")
DAY_MS = 86_400_000
#: The keys of the columns behind the clock, in the order in which the meter captures them.
KEYS = ("lp_status", "lp_import", "lp_export", "lp_reactive")
_COLUMNS = ("0-0:96.10.1", "1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0")
#: How long nothing may arrive before a run counts as stuck.
STUCK_S = 120.0
#: How often the ledger is looked at, and how much of it at once: it tells a year at most.
_LOOKS, _MOST_MS = 60, 300 * DAY_MS


def with_profile(days: int, **keys: Any) -> Callable[[Configuration], None]:
    """Return what gives every device of a configuration the load profile, back for so many days."""

    def configure(configuration: Configuration) -> None:
        configuration.update({"confirmPeriod": 1000, **keys})
        for device in configuration["devices"]:
            device["profiles"] = [
                {
                    "obis": str(LOAD),
                    "backfill": f"P{days}D",
                    "columns": [
                        {"obis": obis, "key": key} for obis, key in zip(_COLUMNS, KEYS, strict=True)
                    ],
                }
            ]

    return configure


def held(meter: Meter, start_ms: int, end_ms: int) -> dict[int, tuple[int, ...]]:
    """Return the rows that a meter holds from `start_ms` to before `end_ms`, by their instant."""
    table = meter.objects[7, LOAD.octets].table
    assert table is not None
    return {
        int(at * 1000): tuple(cell.value for cell in table.row(meter, at)[1:])
        for at in table.times(meter)
        if start_ms <= at * 1000 < end_ms
    }


def stored(running: Site, device: str) -> dict[int, tuple[Any, ...]]:
    """Return the rows that the platform has, by their instant; a missing cell is None."""
    series = [
        {point.ts: point.value for point in running.platform.telemetry(device, key)} for key in KEYS
    ]
    instants = sorted(set().union(*series))
    return {ts: tuple(one.get(ts) for one in series) for ts in instants}


@dataclass
class Fire:
    """Faults at random, one after another, from a seed; `done` counts them by name."""

    running: Site
    rng: random.Random
    done: dict[str, int] = field(default_factory=dict)

    async def rage(self, faults: int, pause_s: tuple[float, float]) -> None:
        """Cause so many faults, each some time after the one before was over."""
        ways: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("gateway killed", lambda: self._gateway(signal.SIGKILL)),
            ("gateway terminated", lambda: self._gateway(signal.SIGTERM)),
            ("gateway interrupted", lambda: self._gateway(signal.SIGINT)),
            ("platform stopped", self._platform),
            ("platform stopped, gateway killed", self._both),
            ("connection cut", self._cut),
            ("link stalled", self._stalled),
            ("meter power-cycled", self._meter),
        )
        for number in range(faults):
            name, cause = ways[number % len(ways)] if faults < len(ways) else self.rng.choice(ways)
            await cause()
            self.done[name] = self.done.get(name, 0) + 1
            await asyncio.sleep(self.rng.uniform(*pause_s))

    async def _gateway(self, how: signal.Signals) -> None:
        await self.running.gateway.stop(how)
        await self.running.gateway.start()

    async def _platform(self) -> None:
        await self.running.platform.go_offline()
        await asyncio.sleep(self.rng.uniform(0.2, 3))
        await self.running.platform.go_online()

    async def _both(self) -> None:
        await self.running.platform.go_offline()
        await asyncio.sleep(self.rng.uniform(0.2, 2))
        await self._gateway(signal.SIGKILL)
        await asyncio.sleep(self.rng.uniform(0.2, 3))
        await self.running.platform.go_online()

    async def _cut(self) -> None:
        self.running.platform.cut()

    async def _stalled(self) -> None:
        self.running.platform.stall()
        await asyncio.sleep(self.rng.uniform(0.5, 3))
        self.running.platform.cut()
        self.running.platform.resume()

    async def _meter(self) -> None:
        for endpoint in self.running.endpoints:
            await endpoint.stop()
        await asyncio.sleep(self.rng.uniform(0.2, 2))
        for endpoint in self.running.endpoints:
            await endpoint.start()


@dataclass(frozen=True)
class Result:
    """What a run under fire came to; `sent` counts rows as often as they were sent.

    `unconfirmed` counts the intervals that the ledger does not call confirmed, or says why that is
    not known.
    """

    expected: int
    missing: Sequence[int]
    wrong: Mapping[int, object]
    foreign: Sequence[int]
    sent: int
    faults: Mapping[str, int]
    unconfirmed: int | str


async def under_fire(
    folder: Path,
    *,
    faults: int,
    seed: int,
    pause_s: tuple[float, float] = (1.0, 4.0),
    **options: Any,
) -> Result:
    """Read a profile through the gateway while so many faults happen; `options` of `followed`."""

    async def rage(running: Site) -> Mapping[str, int]:
        fire = Fire(running, random.Random(seed))
        await fire.rage(faults, pause_s)
        return fire.done

    return await followed(folder, rage, **options)


async def followed(
    folder: Path,
    cause: Callable[[Site], Awaitable[Mapping[str, int]]],
    *,
    days: int,
    manners: Manners | None = None,
    meter: Mapping[str, Any] | None = None,
    storage: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Result:
    """Read a profile of so many days through the gateway while `cause` does what it does.

    It is told the site once the meter was polled, and returns what it did how often.
    """
    options = MeterOptions(serial=1, framing="WRAPPER", profile_days=days + 2, **(meter or {}))
    configure = with_profile(days, **keys)
    async with site(folder, [options], configure, manners=manners, storage=storage) as running:
        (device,) = running.devices
        simulated = running.endpoints[0].meter
        began_ms = int(simulated.clock() * 1000)
        await running.until_polled()
        done = await cause(running)
        # The day at the old end may be cut by the instant at which the reading began.
        start_ms, end_ms = began_ms - (days - 1) * DAY_MS, began_ms
        rows = held(simulated, start_ms, end_ms)
        await _until_still(running, lambda: rows.keys() <= stored(running, device).keys())
        there = stored(running, device)
        every = held(simulated, 0, int(simulated.clock() * 1000) + 1)
        unconfirmed = await _open_intervals(running, device, start_ms, end_ms)
        return Result(
            expected=len(rows),
            missing=sorted(rows.keys() - there.keys()),
            wrong={
                ts: (there[ts], every[ts]) for ts in there if ts in every and there[ts] != every[ts]
            },
            foreign=sorted(there.keys() - every.keys()),
            sent=rows_sent(running, device),
            faults=done,
            unconfirmed=unconfirmed,
        )


def rows_sent(running: Site, device: str) -> int:
    """Return how many rows of the profile were sent, each as often as it was."""
    return sum(
        KEYS[1] in entry["values"]
        for packet in running.published("v1/gateway/telemetry")
        for entry in packet.json.get(device, ())
    )


async def _until_still(running: Site, complete: Callable[[], bool]) -> None:
    """Wait until all is there, or nothing has arrived for a long time."""
    loop, store = asyncio.get_running_loop(), running.platform.store
    count, since = store.count(), loop.time()
    while not complete() and loop.time() - since < STUCK_S:
        await asyncio.sleep(1)
        if store.count() > count:
            count, since = store.count(), loop.time()


async def _open_intervals(running: Site, device: str, start_ms: int, end_ms: int) -> int | str:
    """Return how many intervals the ledger does not call confirmed, when that stays so."""
    told: int | str = "never asked"
    for _ in range(_LOOKS):
        try:
            told = 0
            for first_ms in range(start_ms, end_ms, _MOST_MS):
                span = {"from": first_ms, "to": min(first_ms + _MOST_MS, end_ms)}
                answer = await running.platform.rpc(
                    device, "getCompleteness", {"obis": str(LOAD), **span}
                )
                if "result" not in answer:
                    return str(answer)
                told += answer["result"]["expected"] - answer["result"]["confirmed"]
        except RpcError as error:  # the gateway may have just begun
            told = str(error)
        if told == 0:
            break
        await asyncio.sleep(1)
    return told
