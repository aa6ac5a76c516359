"""Many meters behind the real gateway process, with the stand-in for the platform."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_server import Platform
from dlms_connector.fleet.schedule import spread
from tests.benchmarks import meters

TOKEN = "the-gateway-token"
_START_S = 400.0
_PER_PROCESS = 500
_SETTLING_S = 5.0
_LOOK_S = 0.5
#: The simulated meters' processes give way to the gateway's and to the stand-in's.
_STEPPING_BACK = 5
#: Meters whose lines begin within a few ms: their grids begin together.
_NEIGHBOURS = 50
_POLLS = "dlmsPollsOk"
#: The file with a row for each meter, and what differs from meter to meter.
_TABLE = "fleet.csv"
_OWN = ("deviceName", "connection.port", "dlms.serverSystemTitle", "dlms.blockCipherKey")


@dataclass(frozen=True)
class Run:
    """What a gateway process took.

    `lateness_p99_ms` is that of values behind the grid of their meter. `lost` are values that
    meters have given, as the connector counts, and that the platform has not.
    """

    start_s: float
    half_s: float
    cores: float
    rss_mb: float
    lateness_p99_ms: float
    missed: int
    values: int
    lost: int
    stop_s: float
    load: float


def run(count: int, period_s: float, seconds: float, folder: Path) -> Run:
    """Poll so many ciphered meters with five registers each."""
    folder.mkdir(parents=True)
    options = [meters.options(n, "WRAPPER", ciphered=True, profile_days=1) for n in range(count)]
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for at in range(0, count, _PER_PROCESS):
            some = options[at : at + _PER_PROCESS]
            ports += stack.enter_context(meters.Simulated(some, stepping_back=_STEPPING_BACK))
        return asyncio.run(_polling(ports, period_s, seconds, folder))


def idle(count: int, seconds: float, folder: Path) -> tuple[float, float]:
    """Return percent of a core and MB of a gateway whose meters are connected and not due."""
    folder.mkdir(parents=True)
    options = [meters.options(n, "WRAPPER", ciphered=False, profile_days=1) for n in range(count)]
    if not count:
        return asyncio.run(_idle([], seconds, folder))
    with meters.Simulated(options) as ports:
        return asyncio.run(_idle(ports, seconds, folder))


async def _polling(ports: Sequence[int], period_s: float, seconds: float, folder: Path) -> Run:
    period_ms = round(period_s * 1000)
    sections = [
        meters.section(n, port, "WRAPPER", ciphered=True, pollPeriod=period_ms)
        for n, port in enumerate(ports)
    ]
    names = [each["deviceName"] for each in sections]
    async with _gateway(sections, folder) as (platform, gateway):
        process = psutil.Process(gateway.pid)
        half_s, start_s = await _started(platform, len(names))
        await asyncio.sleep(_SETTLING_S)
        cpu, begun = _cpu_s(process), time.monotonic()
        since_ms = time.time() * 1000
        await asyncio.sleep(seconds)
        cpu, took = _cpu_s(process) - cpu, time.monotonic() - begun
        rss = process.memory_info().rss / 1e6
        until_ms = time.time() * 1000
        await asyncio.sleep(_SETTLING_S)  # what was read last is on its way
        stamps = platform.store.instants(meters.REGISTERS[0])
        # The first values of a fleet come when they can.
        inside = {
            name: [at for at in stamps.get(name, ()) if since_ms <= at <= until_ms]
            for name in names
        }
        late = sorted(_behind_grid(inside, period_s))
        expected = int(seconds // period_s) - 1
        missed = sum(max(0, expected - len(each)) for each in inside.values())
        stopping = time.monotonic()
        await gateway.stop(within_s=120.0)
        return Run(
            start_s=start_s,
            half_s=half_s,
            cores=cpu / took,
            rss_mb=rss,
            lateness_p99_ms=late[len(late) * 99 // 100] if late else float("nan"),
            missed=missed,
            values=sum(map(len, stamps.values())) * len(meters.REGISTERS),
            lost=_lost(platform, names),
            stop_s=time.monotonic() - stopping,
            load=psutil.getloadavg()[1],
        )


async def _started(platform: Platform, count: int) -> tuple[float, float]:
    """Wait for the first value of each meter; return seconds until half of them and all had one."""
    start = time.monotonic()
    half_s = 0.0
    # Not after each packet: the looking would take longer than the packets.
    while (found := platform.store.devices_with(meters.REGISTERS[0])) < count:
        took = time.monotonic() - start
        if took > _START_S:
            raise TimeoutError(f"{found} of {count} meters had a value after {took:.0f} s")
        half_s = half_s or (took if found >= count / 2 else 0.0)
        await asyncio.sleep(_LOOK_S)
    took = time.monotonic() - start
    return half_s or took, took


def _behind_grid(stamps: Mapping[str, Sequence[int]], period_s: float) -> Iterable[float]:
    """Yield how many ms each value is late.

    The grids of meters whose lines began together differ by what is known of their names, so the
    earliest of all their values tells where these grids begin.
    """
    period_ms, names = period_s * 1000, list(stamps)
    spread_ms = min(period_s, max(1.0, len(names) / 100)) * 1000
    for first in range(0, len(names), _NEIGHBOURS):
        offsets = [
            (at - spread(name) * spread_ms) % period_ms
            for name in names[first : first + _NEIGHBOURS]
            for at in stamps[name]
        ]
        if not offsets:
            continue
        # Offsets around the end of a period: turn them so that they do not wrap.
        middle = sorted(offsets)[len(offsets) // 2]
        turned = [(offset - middle + period_ms / 2) % period_ms for offset in offsets]
        earliest = min(turned)
        yield from (offset - earliest for offset in turned)


def _lost(platform: Platform, names: Iterable[str]) -> int:
    """Return how many values the connector has counted and the platform does not have."""
    counted = {
        name: (points[-1].ts, int(points[-1].value))
        for name in names
        if (points := platform.telemetry(name, _POLLS))
    }
    lost = 0
    for key in meters.REGISTERS:
        stamps = platform.store.instants(key)
        for name, (until, polls) in counted.items():
            lost += max(0, polls - sum(at <= until for at in stamps.get(name, ())))
    return lost


async def _idle(ports: Sequence[int], seconds: float, folder: Path) -> tuple[float, float]:
    keeps = {"connection": {"keepOpen": True}}
    sections = []
    for n, port in enumerate(ports):
        section = meters.section(n, port, "WRAPPER", ciphered=False, pollPeriod=3_600_000)
        sections.append(section | {"connection": section["connection"] | keeps["connection"]})
    async with _gateway(sections, folder) as (platform, gateway):
        process = psutil.Process(gateway.pid)
        for section in sections:
            came = partial(platform.telemetry, section["deviceName"], meters.REGISTERS[0])
            await platform.wait_for(came, _START_S)
        await asyncio.sleep(2 * _SETTLING_S)
        cpu, begun = _cpu_s(process), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, took = _cpu_s(process) - cpu, time.monotonic() - begun
        return cpu / took * 100, process.memory_info().rss / 1e6


@contextlib.asynccontextmanager
async def _gateway(
    sections: Sequence[dict[str, Any]], folder: Path
) -> AsyncIterator[tuple[Platform, GatewayProcess]]:
    configuration = {"id": "bench", "name": "DLMS", "logLevel": "ERROR", **_fleet(sections)}
    async with Platform({TOKEN: "Gateway"}, packets=1000) as platform:
        gateway = GatewayProcess(
            folder, platform_port=platform.port, token=TOKEN, configuration=configuration
        )
        (gateway.config_dir / _TABLE).write_text(_table(sections), encoding="utf-8")
        async with gateway:
            yield platform, gateway


def _fleet(sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the sections have in common, as a fleet is configured: a template and a table."""
    if not sections:
        return {"devices": []}
    first = sections[0]
    template = {key: value for key, value in first.items() if key != "deviceName"}
    for part in ("connection", "dlms"):
        own = [key for key in _OWN if key.startswith(f"{part}.")]
        template[part] = {k: v for k, v in first[part].items() if f"{part}.{k}" not in own}
    return {
        "templates": {"meter": template},
        "defaults": {"template": "meter"},
        "devicesFile": _TABLE,
    }


def _table(sections: Sequence[dict[str, Any]]) -> str:
    """Return the rest of the sections, a row each."""
    if not sections:
        return ""
    parts = [key.partition(".") for key in _OWN]
    present = [(key, inner) for key, _, inner in parts if not inner or inner in sections[0][key]]
    rows = [",".join(".".join(filter(None, each)) for each in present)]
    rows += [
        ",".join(str(one[key][inner] if inner else one[key]) for key, inner in present)
        for one in sections
    ]
    return "\n".join(rows) + "\n"


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
