"""The connection to the platform is lost and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dlms_connector.simulator import MeterOptions
from tests.support.site import Site, site

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER"), MeterOptions(serial=3)]


async def test_after_a_cut_all_devices_are_connected_again(tmp_path: Path) -> None:
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        running.platform.cut()
        await running.until_connected_anew(session=2)
        assert_healthy(running)


async def test_after_a_restart_of_the_platform(tmp_path: Path) -> None:
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        await running.platform.go_offline()
        await running.until_logged("MQTT client was disconnected")
        await asyncio.sleep(1.5)  # the gateway tries in vain meanwhile
        await running.platform.go_online()
        await running.until_connected_anew(session=2)
        assert_healthy(running)


def assert_healthy(running: Site) -> None:
    assert set(running.platform.connected) == set(running.devices)
    assert running.gateway.running
    assert not running.log_lines("Traceback")
