"""Many meters behind the real gateway process, with the stand-in for the platform."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_server import Platform
from tests.benchmarks import meters

TOKEN = "the-gateway-token"
_START_S = 300.0
_PER_PROCESS = 500
_SETTLING_S = 5.0


@dataclass(frozen=True)
class Run:
    """What a gateway process took; `lateness_p99_ms` is that of polls behind their grid."""

    start_s: float
    cores: float
    rss_mb: float
    lateness_p99_ms: float
    missed: int


def run(count: int, period_s: float, seconds: float, folder: Path) -> Run:
    """Poll so many ciphered meters with five registers each."""
    folder.mkdir(parents=True)
    options = [meters.options(n, "WRAPPER", ciphered=True, profile_days=1) for n in range(count)]
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for at in range(0, count, _PER_PROCESS):
            ports += stack.enter_context(meters.Simulated(options[at : at + _PER_PROCESS]))
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
    key = meters.REGISTERS[0]
    async with _gateway(sections, folder) as (platform, process):
        start = time.monotonic()
        left = set(names)

        def all_came() -> bool:
            left.difference_update([name for name in left if platform.telemetry(name, key)])
            return not left

        await platform.wait_for(all_came, _START_S)
        start_s = time.monotonic() - start
        await asyncio.sleep(_SETTLING_S)
        cpu, begun = _cpu_s(process), time.monotonic()
        since_ms = time.time() * 1000
        await asyncio.sleep(seconds)
        cpu, took = _cpu_s(process) - cpu, time.monotonic() - begun
        rss = process.memory_info().rss / 1e6
        late: list[float] = []
        missed = 0
        for name in names:
            stamps = [point.ts for point in platform.telemetry(name, key) if point.ts > since_ms]
            behind = _behind_grid(stamps, period_ms)
            late += behind
            missed += max(0, int(seconds // period_s) - 1 - len(stamps))
    late.sort()
    p99 = late[len(late) * 99 // 100] if late else float("nan")
    return Run(start_s, cpu / took, rss, p99, missed)


def _behind_grid(stamps: Sequence[int], period_ms: int) -> list[float]:
    """Return how late each value is, against the earliest one on the same grid."""
    offsets = [stamp % period_ms for stamp in stamps]
    if not offsets:
        return []
    # Offsets around the end of a period: turn them so that they do not wrap.
    turned = [(offset - offsets[0] + period_ms // 2) % period_ms for offset in offsets]
    return [float(each - min(turned)) for each in turned]


async def _idle(ports: Sequence[int], seconds: float, folder: Path) -> tuple[float, float]:
    keeps = {"connection": {"keepOpen": True}}
    sections = []
    for n, port in enumerate(ports):
        section = meters.section(n, port, "WRAPPER", ciphered=False, pollPeriod=3_600_000)
        sections.append(section | {"connection": section["connection"] | keeps["connection"]})
    async with _gateway(sections, folder) as (platform, process):
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
) -> AsyncIterator[tuple[Platform, psutil.Process]]:
    configuration = {
        "id": "bench", "name": "DLMS", "logLevel": "ERROR", "devices": list(sections),
    }  # fmt: skip
    async with Platform({TOKEN: "Gateway"}) as platform:
        gateway = GatewayProcess(
            folder, platform_port=platform.port, token=TOKEN, configuration=configuration
        )
        async with gateway:
            yield platform, psutil.Process(gateway.pid)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
