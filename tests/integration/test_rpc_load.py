"""Many calls to one meter do not cost the others their polls."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from pathlib import Path

import pytest

from dlms_connector.demo.platform_api import octets
from dlms_connector.simulator import MeterOptions
from tests.support.measured import measured
from tests.support.site import Configuration, Site, device, site

BUSY = "Busy"
OTHERS = [f"Other-{number}" for number in range(8)]
PERIOD_MS = 1000
SECONDS = 10
CALLS_PER_S = 50
RPC = "v1/gateway/rpc"


def configure(configuration: Configuration) -> None:
    ports = [one["connection"]["port"] for one in configuration["devices"]]
    configuration["devices"] = [
        device(name, port, pollPeriod=PERIOD_MS)
        for name, port in zip((BUSY, *OTHERS), ports, strict=True)
    ]
    for one in configuration["devices"]:
        one["connection"]["timeoutMs"] = 5000  # the machine may be busy


@pytest.mark.alone
@measured
async def test_fifty_calls_per_second_leave_the_polls_of_others_alone(tmp_path: Path) -> None:
    meters = [MeterOptions(serial=number) for number in range(1, len(OTHERS) + 2)]
    async with site(tmp_path, meters, configure) as running:
        await running.until_started()
        loop = asyncio.get_running_loop()
        start, numbers = loop.time(), range(CALLS_PER_S * SECONDS)
        params = {"obis": "1-0:32.7.0"}
        for number in numbers:
            data = {"id": number, "method": "readObject", "params": params}
            running.platform.session.deliver(RPC, octets({"device": BUSY, "data": data}))
            await asyncio.sleep(start + (number + 1) / CALLS_PER_S - loop.time())
        await running.until(lambda: answered(running) == len(numbers), 15)
        end = loop.time()
        contents = [
            packet.json["data"] for packet in running.published(RPC) if packet.direction == "in"
        ]
        assert all("result" in content for content in contents), contents[-1]
        assert end - start < SECONDS + 2
        for name in OTHERS:
            gaps = gaps_of(running, name)
            assert abs(statistics.mean(gaps) - PERIOD_MS) < 0.05 * PERIOD_MS, (name, gaps)
        gaps = [gap for name in OTHERS for gap in gaps_of(running, name)]
        kept = [gap for gap in gaps if abs(gap - PERIOD_MS) < 0.05 * PERIOD_MS]
        # One hiccup of the machine makes two odd gaps at every meter polled then.
        assert len(kept) >= 0.9 * len(gaps), sorted(gaps)
        assert running.polls(BUSY) >= SECONDS - 1


def answered(running: Site) -> int:
    return sum(packet.direction == "in" for packet in running.published(RPC))


def gaps_of(running: Site, name: str) -> list[int]:
    """Return the ms between polls, without the first, which starts the grid."""
    instants = [point.ts for point in running.platform.telemetry(name, "voltage_l1")][1:]
    return [later - earlier for earlier, later in itertools.pairwise(instants)]
