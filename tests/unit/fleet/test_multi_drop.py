"""Several meters on one serial line or behind one converter; what the simulator saw is proof."""

from __future__ import annotations

import asyncio
import logging
import os
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.simulator import Meter, MeterOptions, simulate, simulate_terminal
from tests.support.fake_meter import RecordingSink

pytest.importorskip("serialx")

LOG = logging.getLogger("test.multi_drop")


def on_line(connection: dict[str, Any], number: int, **dlms: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": f"M{number}",
            "pollPeriod": 300,
            "connection": {"timeoutMs": 100, "retries": 0} | connection,
            "dlms": {"physicalAddress": number} | dlms,
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
        }
    )


@asynccontextmanager
async def polling(devices: list[Device]) -> AsyncIterator[RecordingSink]:
    sink = RecordingSink()
    running = asyncio.ensure_future(Fleet(devices, sink, LOG).run())
    try:
        yield sink
    finally:
        running.cancel()
        await asyncio.wait({running})


def meters(dead: int | None) -> list[MeterOptions]:
    return [
        MeterOptions(serial=n, physical_address=n, faults=["silence"] if n == dead else [])
        for n in (1, 2, 3)
    ]


async def share_one_line(connection: dict[str, Any], seen: tuple[Meter, ...]) -> None:
    """Poll three meters of which the second is dead; hold what came against the record."""
    async with polling([on_line(connection, n) for n in (1, 2, 3)]) as sink:

        def enough() -> bool:
            return all(len(sink.times(name)) >= 8 for name in ("M1", "M3"))

        await asyncio.wait_for(sink.until(enough), 30)
        assert sink.times("M2") == []
        assert sink.state_names("M2")[-1] in ("offline", "backoff")
        good, other = len(sink.times("M1")), len(sink.times("M3"))
        assert abs(good - other) <= 2, "a fair share for each"
    assert [meter.seen["over-another"] for meter in seen] == [0, 0, 0]
    for meter in (seen[0], seen[2]):
        assert meter.seen["snrm"] >= 8
        assert meter.seen["disc"] >= meter.seen["snrm"], "a DISC before another talks"


async def test_three_meters_behind_a_converter_one_of_them_dead() -> None:
    async with simulate([meters(dead=2)]) as endpoints:
        (line,) = endpoints
        await share_one_line({"host": "127.0.0.1", "port": line.port}, line.meters)


async def test_three_meters_on_a_serial_line_one_of_them_dead() -> None:
    async with simulate_terminal(meters(dead=2)) as line:
        await share_one_line({"type": "serial", "port": line.path}, line.meters)


async def test_an_association_that_is_kept_is_ended_before_another_meter_talks() -> None:
    async with simulate([meters(dead=None)]) as endpoints:
        (line,) = endpoints
        connection = {"host": "127.0.0.1", "port": line.port, "keepOpen": True}
        async with polling([on_line(connection, n) for n in (1, 2, 3)]) as sink:

            def enough() -> bool:
                return all(len(sink.times(f"M{n}")) >= 4 for n in (1, 2, 3))

            await asyncio.wait_for(sink.until(enough), 30)
    assert [meter.seen["over-another"] for meter in line.meters] == [0, 0, 0]


def rate_of(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        speed = termios.tcgetattr(fd)[5]
    finally:
        os.close(fd)
    return {getattr(termios, f"B{rate}"): rate for rate in (300, 2400, 4800, 9600, 19200)}[speed]


async def test_mode_e_by_address_and_no_faster_than_configured() -> None:
    """Nothing is waited for before the sign-on: a DISC would not be heard at 300 baud."""
    options = MeterOptions(serial=42, framing="HDLC_WITH_MODE_E", physical_address=1)
    async with simulate_terminal(options) as line:
        device = on_line(
            {"type": "serial", "port": line.path, "timeoutMs": 60_000},
            1,
            interfaceType="HDLC_WITH_MODE_E",
            modeE={"address": "42", "maxBaudrate": 4800},
        )
        start = asyncio.get_running_loop().time()
        async with polling([device]) as sink:
            await asyncio.wait_for(sink.until(lambda: bool(sink.times("M1"))), 30)
            assert asyncio.get_running_loop().time() - start < 30
            assert rate_of(line.path) == 4800
        assert sink.state_names("M1") == ["online"]
    assert line.meters[0].seen["disc"] == 1


async def test_mode_e_of_another_address_is_not_answered() -> None:
    options = MeterOptions(serial=42, framing="HDLC_WITH_MODE_E", physical_address=1)
    async with simulate_terminal(options) as line:
        device = on_line(
            {"type": "serial", "port": line.path},
            1,
            interfaceType="HDLC_WITH_MODE_E",
            modeE={"address": "43", "startBaudrate": 2400},
        )
        async with polling([device]) as sink:
            await asyncio.wait_for(sink.until(lambda: bool(sink.states)), 30)
        assert sink.state_names("M1")[0] in ("offline", "backoff")
    assert line.meters[0].seen["snrm"] == 0
