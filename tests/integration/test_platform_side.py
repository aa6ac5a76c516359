"""What happens at the platform: it is slow, not there yet, and people rename devices."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from dlms_connector.demo.platform_api import octets
from dlms_connector.demo.platform_server import RpcError
from dlms_connector.simulator import MeterOptions
from tests.support.site import Site, site, watch

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER")]
FIRST, SECOND = "DLMS-Meter-01", "DLMS-Meter-02"
VOLTS = {"obis": "1-0:32.7.0"}
#: How long the platform stalls.
POLLS = 5


async def test_a_platform_that_is_not_there_yet(tmp_path: Path) -> None:
    """Data flow as soon as it is."""
    async with site(tmp_path, METERS, platform_online=False) as running:
        await running.until_logged("Connecting to ThingsBoard")
        await asyncio.sleep(2)
        await running.platform.go_online()
        await running.until_connected_anew(session=1)
        assert {running.states(name)[-1] for name in running.devices} == {"online"}
        assert not running.log_lines("Traceback")


async def test_a_platform_that_stalls(tmp_path: Path) -> None:
    """Polling goes on, and what was read meanwhile arrives with its own time."""
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        running.platform.stall()
        stalled_ms = int(time.time() * 1000)
        asked = running.endpoints[0].meter.seen
        before = asked["get-with-list"]
        await watch(lambda: asked["get-with-list"] >= before + POLLS)
        resumed_ms = int(time.time() * 1000)
        running.platform.resume()
        await running.until(
            lambda: running.platform.telemetry(FIRST, "active_power")[-1].ts > resumed_ms
        )
        meanwhile = [
            point
            for point in running.platform.telemetry(FIRST, "active_power")
            if stalled_ms < point.ts < resumed_ms
        ]
        # Of the last one the answer may have come after that.
        assert len(meanwhile) >= POLLS - 1
        assert len(running.platform.journal.select("Connect")) == 1


async def test_a_device_renamed_at_the_platform(tmp_path: Path) -> None:
    """Its data follow it, also in the next session, and no second device appears."""
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        await running.platform.gateway_rpc("gateway_device_renamed", {FIRST: "Kitchen"})
        await running.until(lambda: running.platform.telemetry("Kitchen", "voltage_l1"))
        ended = len(running.platform.telemetry(FIRST, "voltage_l1"))
        running.platform.cut()
        await running.until(lambda: {"Kitchen", SECOND} <= connected_in(running, 2))
        assert FIRST not in connected_in(running, 2)
        after = len(running.platform.telemetry("Kitchen", "voltage_l1"))
        await running.until(
            lambda: len(running.platform.telemetry("Kitchen", "voltage_l1")) >= after + 3
        )
        assert len(running.platform.telemetry(FIRST, "voltage_l1")) <= ended + 1
        assert not running.log_lines("Traceback")


async def test_a_device_renamed_while_the_gateway_was_away_keeps_its_name(tmp_path: Path) -> None:
    """The platform tells it as soon as the gateway has subscribed, before it has a handler."""
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        await running.gateway.stop()
        await running.gateway.start()
        await tell_at_once(running, "gateway_device_renamed", {FIRST: "Kitchen"})
        await running.until(lambda: running.platform.telemetry("Kitchen", "voltage_l1"))
        for how in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
            # Data that was on its way when the device was renamed may have its old name.
            ended = len(running.platform.telemetry(FIRST, "voltage_l1"))
            before = len(running.platform.telemetry("Kitchen", "voltage_l1"))
            await running.gateway.stop(how)
            await running.gateway.start()
            await running.until(
                lambda before=before: (
                    len(running.platform.telemetry("Kitchen", "voltage_l1"))  # type: ignore[misc]
                    >= before + 3
                )
            )
            assert len(running.platform.telemetry(FIRST, "voltage_l1")) == ended
        assert not running.log_lines("Traceback")


async def tell_at_once(running: Site, method: str, params: Any) -> None:
    """Call the gateway itself as early as a platform over a network does: before its handler."""

    def told() -> bool:
        try:
            content = octets({"method": method, "params": params})
            return running.platform.session.deliver("v1/devices/me/rpc/request/1", content)
        except RpcError:
            return False

    await running.until(lambda: running.platform.sessions)
    await asyncio.sleep(0.1)
    await running.until(told)


async def test_who_is_not_polled_any_more_does_not_stay_online(tmp_path: Path) -> None:
    async with site(tmp_path, METERS, check_period_s=1) as running:
        await running.until_polled(times=2)
        online = running.gateway.folder / "data" / "dlms" / "online-DLMS.json"
        await watch(lambda: online.exists() and FIRST in online.read_text())
        await running.gateway.stop(signal.SIGKILL)  # no time for last words
        del running.configuration["devices"][0]
        running.gateway.write_configuration(running.configuration)
        await running.gateway.start()
        await running.until(lambda: running.states(FIRST)[-1] == "offline")
        assert running.states(SECOND)[-1] == "online"
        before = running.polls(SECOND)
        await running.until_polled(SECOND, times=before + 2)
        running.gateway.write_configuration("{}")
        os.utime(running.gateway.config_dir / "dlms.json")
        await running.until(lambda: running.states(SECOND)[-1] == "offline")


def connected_in(running: Site, session: int) -> set[str]:
    """Return the devices that were connected in an MQTT session."""
    connects = running.published("v1/gateway/connect")
    return {packet.json["device"] for packet in connects if packet.session == session}


async def test_calls_that_waited_for_the_device_are_answered(tmp_path: Path) -> None:
    """The platform sends persistent calls as soon as a device is connected, also the first time."""
    async with site(tmp_path, METERS) as running:
        await running.until(lambda: FIRST in connected_in(running, 1))
        assert set(await running.platform.rpc(FIRST, "readObject", VOLTS)) == {"result"}


async def test_calls_are_answered_whatever_befalls_the_gateways_own_way_of_them(
    tmp_path: Path,
) -> None:
    """Its thread for calls ends when a handler raises, also one of another connector."""
    async with site(tmp_path, METERS) as running:
        await running.until_started()
        await running.until_polled(times=running.polls(FIRST) + 2)
        running.platform.session.deliver("v1/gateway/rpc", octets({"device": "?", "params": None}))
        await running.until_logged("AttributeError")
        assert set(await running.platform.rpc(FIRST, "readObject", VOLTS)) == {"result"}


async def test_a_device_deleted_at_the_platform_comes_back(tmp_path: Path) -> None:
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        await running.platform.gateway_rpc("gateway_device_deleted", FIRST)
        before = running.polls(FIRST)
        states = len(running.states(FIRST))
        await running.until_polled(FIRST, times=before + 3)
        await running.until(lambda: len(running.states(FIRST)) > states)
        assert running.states(FIRST)[-1] == "online"
        assert not running.log_lines("Traceback")
