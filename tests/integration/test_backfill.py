"""Days of a load profile come to the platform while a meter is polled."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any

from dlms_connector.simulator import MeterOptions
from tests.support.site import Configuration, Site, site

DAYS = 3
QUARTER_S = 900


def with_history(configuration: Configuration) -> None:
    for device in configuration["devices"]:
        device["profiles"] = [{"obis": "1-0:99.1.0", "backfill": f"P{DAYS}D"}]


def rows(running: Site, device: str) -> dict[int, Any]:
    points = running.platform.telemetry(device, "load_active_energy")
    return {point.ts: point.value for point in points}


async def test_days_of_rows_come_to_the_platform(tmp_path: Path) -> None:
    end = int(time())
    wanted = {at * 1000 for at in range(end // 900 * 900 - (DAYS * 86_400 - 900), end, QUARTER_S)}
    meters = [MeterOptions(serial=1, profile_days=10, max_info=1000)]
    async with site(tmp_path, meters, with_history) as running:
        (name,) = running.devices
        await running.until(lambda: wanted <= rows(running, name).keys(), timeout_s=90)
        await running.until_polled(times=5)
        assert not running.log_lines("Traceback")
