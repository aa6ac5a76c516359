"""The host of a gateway fails its connector: its clock jumps by hours, its disk is full.

The gateway is the real one in a process of its own, whose clock and disk are in the test's hands.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import pytest

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.simulator import MeterOptions
from tests.matrix.oddities import CIPHERED_OPTIONS
from tests.support.history import held, stored, with_profile
from tests.support.host import Host, gives_disks
from tests.support.site import Configuration, Site, site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and mounts of Linux")

HOUR_S, DAY_S = 3600, 86_400
DAYS = 3
#: Behind the longest time for which rows are not asked for again after they could not be kept.
LATER_S = 2000
#: Plans of what to read are made anew each minute.
MOST_S = 150.0
PLAIN, CIPHERED = "Plain", "Ciphered"
#: Quick enough for some hundred numbers in seconds: so many are reserved at once on the disk.
PERIOD_MS = 200
#: What the connector says beside the usual, by its level; on a busy machine polls take longer.
TROUBLE = r"\|(WARNING|ERROR|CRITICAL)\| (?!.* its period of )(DLMS|.*dlms)"
JOURNAL = "polled readings cannot be kept, and are sent without being kept"


@asynccontextmanager
async def running_on(host: Host, folder: Path) -> AsyncIterator[Site]:
    """Run two meters with load profiles, one of them ciphered, on a host."""
    ciphered: dict[str, Any] = {"framing": "WRAPPER", **CIPHERED_OPTIONS}
    meters = [
        MeterOptions(serial=1, profile_days=DAYS + 2, faults={"delay": 0.03}),
        MeterOptions(serial=2, profile_days=DAYS + 2, **ciphered),
    ]

    def configure(configuration: Configuration) -> None:
        with_profile(
            DAYS,
            stateDirectory=str(host.folder),
            journal={"maxMegabytes": 1000},
            confirm="receipts",
        )(configuration)
        configuration["defaults"]["pollPeriod"] = PERIOD_MS
        for name, one in zip((PLAIN, CIPHERED), configuration["devices"], strict=True):
            one["deviceName"] = name
            one["connection"]["timeoutMs"] = 20_000  # a busy machine is no silent meter

    async with site(
        folder, meters, configure, manners=Manners(receipts=True), environment=host.environment
    ) as running:
        yield running


async def until_complete(running: Site, *devices: str, until_s: float) -> None:
    """Wait for all rows of some meters up to an instant; each must be what the meter holds."""
    # A day less than what is asked for, as the first poll asks from its own midnight on.
    start_ms, end_ms = ((int(until_s) - days * DAY_S) // 900 * 900_000 for days in (DAYS - 1, 0))
    for name, endpoint in zip((PLAIN, CIPHERED), running.endpoints, strict=True):
        (meter,) = endpoint.meters
        wanted = held(meter, start_ms, end_ms) if name in devices else {}
        await running.until(partial(_has, running, name, wanted), MOST_S)
        assert stored(running, name).items() <= held(meter, 0, 2**53).items()
        assert not meter.seen["replayed"]


def _has(running: Site, name: str, rows: dict[int, tuple[int, ...]]) -> bool:
    return rows.items() <= stored(running, name).items()


async def until_polled_again(running: Site, *devices: str) -> None:
    """Wait for ten more polls of some meters."""
    polls = {name: running.polls(name) for name in devices}
    await running.until(lambda: all(running.polls(n) >= polls[n] + 10 for n in polls))


@pytest.mark.parametrize("hours", [3, -3])
async def test_the_clock_jumps(hours: int, tmp_path: Path) -> None:
    """Polls keep their period, their values have the host's time, rows those of the meter."""
    host, off_s = Host(tmp_path), hours * HOUR_S
    async with running_on(host, tmp_path) as running:
        await until_polled_again(running, PLAIN, CIPHERED)
        await running.until(lambda: stored(running, PLAIN) and stored(running, CIPHERED))
        before = time()
        host.move_clock(off_s)
        after = time()
        await until_polled_again(running, PLAIN, CIPHERED)
        # What lies ahead of a clock is not read; what is there already comes once.
        await until_complete(running, PLAIN, CIPHERED, until_s=before + min(off_s, 0))
        for name in (PLAIN, CIPHERED):
            times = [point.ts / 1000 for point in running.platform.telemetry(name, "voltage_l1")]
            moved = [at - off_s for at in times if abs(at - before) > HOUR_S]
            assert len(moved) >= 10
            # A late poll is followed by the next one; none is made up for.
            assert len(moved) <= (time() - before) * 1000 / PERIOD_MS + 3
            assert before - 0.001 <= min(moved) <= max(moved) <= time()
            assert all(at <= after for at in times if abs(at - before) <= HOUR_S)
        host.move_clock(-off_s)
        await until_polled_again(running, PLAIN, CIPHERED)
        await until_complete(running, PLAIN, CIPHERED, until_s=time())
        told = running.log_lines(TROUBLE)
        assert len(told) <= 1, told


@pytest.mark.parametrize("from_start", [True, False], ids=["from the start", "in the middle"])
async def test_the_disk_is_full(from_start: bool, tmp_path: Path) -> None:
    """What needs no disk goes on; the rest waits, is told once, and goes on when there is room."""
    (tmp_path / "try").mkdir()
    if not gives_disks(tmp_path / "try"):
        pytest.skip("this machine gives a process no disk of its own")
    host = Host(tmp_path, kilobytes=16_384, full=from_start)
    async with running_on(host, tmp_path) as running:
        pid = running.gateway.pid
        if not from_start:
            await until_polled_again(running, PLAIN, CIPHERED)
            host.fill(pid)
            await running.until_logged(f"{PLAIN}: profile .* could not be kept: ")
        await running.until_logged(f"{CIPHERED}: keeping the invocation counter: .* No space left")
        await running.until_logged(f"{JOURNAL}: ")
        await until_polled_again(running, PLAIN)
        host.make_room(pid)
        host.move_clock(LATER_S)
        await until_polled_again(running, PLAIN, CIPHERED)
        # At the start it was not known what of the plain meter to read; that is tried each minute.
        await until_complete(running, CIPHERED, *() if from_start else (PLAIN,), until_s=time())
        for end in (f"{CIPHERED}: answering again after ", f"over: {JOURNAL}"):
            await running.until_logged(end)
            assert len(running.log_lines(end)) == 1
        told = [line.partition(" DLMS | ")[2] for line in running.log_lines(TROUBLE)]
        assert len(told) == len(set(told)), told
        assert len(running.log_lines(rf"\|WARNING\| DLMS \| {CIPHERED}: keeping")) == 1
        assert not running.log_lines("Traceback")
