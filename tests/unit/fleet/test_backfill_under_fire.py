"""History is complete and exact after a hundred mishaps: kills, silence, cuts, full disks."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from random import Random

import pytest

from dlms_connector.records import Records
from dlms_connector.simulator import Meter
from dlms_connector.simulator.objects import measurements
from tests.support import fake_time
from tests.support.fake_meter import device
from tests.support.history_line import EPOCH_S, HistoryLine, meter_for

LOG = logging.getLogger("test.fire")
QUARTER_S = 900
DAYS = 20
METER = device(pollPeriod=5000, profiles=[{"obis": "1-0:99.1.0", "backfill": f"P{DAYS}D"}])


class Fire:
    """One meter, and gateways that come and go; the records stay."""

    def __init__(self, records: Records, seed: int) -> None:
        self.records, self.rng = records, Random(seed)
        self.meter = meter_for(METER, profile_days=60)
        self.rows: dict[tuple[str, int], dict[str, object]] = {}
        self.repeats = 0

    async def life(self, seconds: float | None = None) -> None:
        """Let a gateway run for some time, with mishaps; then kill it."""
        bench = HistoryLine(METER, records=self.records, meters=[self.meter])
        bench.sink.rows = self.rows
        running = asyncio.ensure_future(bench.line.run())
        if seconds is None:
            for _ in range(self.rng.randrange(1, 5)):
                await asyncio.sleep(self.rng.expovariate(1 / 3))
                await self.mishap(bench)
        else:
            await asyncio.sleep(seconds)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
        await bench.link.close()
        self.repeats += bench.sink.repeats

    async def mishap(self, bench: HistoryLine) -> None:
        match self.rng.randrange(4):
            case 0:
                self.meter.faults.set("silence")
                await asyncio.sleep(self.rng.expovariate(1 / 20))
                self.meter.faults.clear("silence")
            case 1:
                await bench.link.close()
            case 2:
                bench.sink.refuses = "the disk fails"
                await asyncio.sleep(self.rng.expovariate(1 / 5))
                bench.sink.refuses = ""
            case _:
                bench.sink.refuses = "full"
                await asyncio.sleep(self.rng.expovariate(1 / 5))
                bench.sink.refuses = ""


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_missing_wrong_or_twice(tmp_path: Path, seed: int) -> None:
    records = Records.open(tmp_path / "records.sqlite", LOG, clock=lambda: EPOCH_S)

    async def body() -> None:
        fire = Fire(records, seed)
        for _ in range(40):
            await fire.life()
        await fire.life(3 * 3600)
        first = (EPOCH_S - DAYS * 86_400) // QUARTER_S + 1
        last = int(EPOCH_S + asyncio.get_running_loop().time() - 60) // QUARTER_S
        wanted = {number * QUARTER_S for number in range(first, last + 1)}
        found = {ts_ms // 1000 for _, ts_ms in fire.rows}
        assert not wanted - found
        assert fire.repeats == 0
        for (_, ts_ms), row in fire.rows.items():
            assert row["load_active_energy"] == str(energy(fire.meter, ts_ms // 1000))

    fake_time.run(body())
    records.close()


def energy(meter: Meter, at: int) -> int:
    return int(measurements.energy(meter, at))
