"""Many meters that never answer beside a few that do: the gateway is not flooded with them."""

from __future__ import annotations

import asyncio
import itertools
import signal
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dlms_connector.simulator import MeterOptions
from tests.support.measured import measured
from tests.support.peers import tcp_peer
from tests.support.site import START_S, Configuration, Site, black_hole, device, site

MUTE, UNREACHABLE = 150, 50
LIVING = [MeterOptions(serial=number) for number in (1, 2, 3)]
PERIOD_MS = 1000
#: Devices that are told to the gateway per second: it creates each on the platform and waits.
MOST_PER_S = 20


@pytest.mark.alone
@measured
async def test_many_dead_meters_cost_the_living_nothing(tmp_path: Path) -> None:
    """They accept the connection and say nothing, or there is nobody at their address."""
    async with AsyncExitStack() as peers:
        ports = [
            (await peers.enter_async_context(tcp_peer(lambda data: b""))).port for _ in range(MUTE)
        ]
        ports += [peers.enter_context(black_hole()) for _ in range(UNREACHABLE)]
        dead = [f"Dead-{number:03d}" for number in range(len(ports))]

        def add(configuration: Configuration) -> None:
            configuration["devices"] += [
                device(name, port, pollPeriod=5000) for name, port in zip(dead, ports, strict=True)
            ]

        async with site(tmp_path, LIVING, add) as running:
            living = running.devices[: len(LIVING)]
            await running.until(lambda: all(running.states(name) for name in dead), 2 * START_S)
            await asyncio.sleep(5)  # and what follows

            for name in living:
                at = [point.ts for point in running.platform.telemetry(name, "voltage_l1")]
                gaps = [after - before for before, after in itertools.pairwise(at)]
                assert abs(statistics.mean(gaps) - PERIOD_MS) < 0.05 * PERIOD_MS, gaps
            assert most_per_second(running) <= 2 * MOST_PER_S
            for name in dead:
                # One state after another, none twice: nothing is told again at each poll.
                states = running.states(name)
                assert set(states) <= {"offline", "backoff"}
                assert len(states) == len(set(states)), (name, states)
                assert len(running.log_lines(rf"\|(WARNING|ERROR)\| .*{name}")) == 1
            told = {packet.json["device"] for packet in running.published("v1/gateway/connect")}
            assert told == {*living, *dead}

            before = len(running.published("v1/gateway/disconnect"))
            assert await running.gateway.stop(signal.SIGINT, within_s=START_S) == 0
            assert running.log_lines(r"\| DLMS \| closed within \d{1,3} ms")
            assert not running.log_lines("close timeout|left behind|Traceback")
            # The gateway takes milliseconds for each that is left to it: with thousands, more than
            # it gives us. Some were just about to be disconnected once more.
            assert len(running.published("v1/gateway/disconnect")) < before + len(dead) // 2


def most_per_second(running: Site) -> int:
    """Return how many devices were connected within a second, at most."""
    at = [packet.at for packet in running.published("v1/gateway/connect")]
    return max(sum(first <= other < first + 1 for other in at) for first in at)
