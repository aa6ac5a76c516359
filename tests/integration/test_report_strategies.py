"""Report strategies by key, device and connector, as the platform sees them."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

from dlms_connector.simulator import microstar
from dlms_connector.simulator.encoding.data import UINT32, Data
from tests.support.site import Configuration, Site, site

ON_CHANGE = {"type": "ON_CHANGE"}
ON_RECEIVED = {"type": "ON_RECEIVED"}
PERIOD_S = 3
PERIODICALLY = {"type": "ON_REPORT_PERIOD", "reportPeriod": 1000 * PERIOD_S}

VOLTAGE, CURRENT, FREQUENCY = "voltage_l1", "current_l1", "frequency"
OF_CONNECTOR, OF_DEVICE = "DLMS-Meter-01", "DLMS-Meter-02"

POLLS = 6


def with_strategies(configuration: Configuration) -> None:
    """Let the connector hold back equal values, one device not, and single keys again."""
    configuration["reportStrategy"] = ON_CHANGE
    of_connector, of_device = configuration["devices"]
    of_device["reportStrategy"] = ON_RECEIVED
    for one, strategies in (
        (of_connector, {CURRENT: ON_RECEIVED, FREQUENCY: PERIODICALLY}),
        (of_device, {CURRENT: ON_CHANGE}),
    ):
        for item in one["timeseries"]:
            if item["key"] in strategies:
                item["reportStrategy"] = strategies[item["key"]]


async def test_by_key_by_device_by_connector(tmp_path: Path) -> None:
    """The meters' values stand still until one is changed."""
    async with site(tmp_path, [microstar(1), microstar(2)], with_strategies) as running:
        began = monotonic()
        await running.until_polled(OF_CONNECTOR, OF_DEVICE, times=POLLS)
        assert points(running, OF_CONNECTOR, VOLTAGE) == 1
        assert points(running, OF_CONNECTOR, CURRENT) >= POLLS
        # The first value is sent at once.
        most = 1 + (monotonic() - began) // PERIOD_S
        assert 1 <= points(running, OF_CONNECTOR, FREQUENCY) <= most
        assert points(running, OF_DEVICE, VOLTAGE) >= POLLS
        assert points(running, OF_DEVICE, CURRENT) == 1
        for endpoint, raw in zip(running.endpoints, (13520, 13521), strict=True):
            endpoint.meter.put(3, "1-1:32.7.0", 2, Data(UINT32, raw))
        await running.until(lambda: points(running, OF_CONNECTOR, VOLTAGE) == 2)
        last = running.platform.telemetry(OF_CONNECTOR, VOLTAGE)[-1]
        assert str(last.value) == "135.2"


async def test_without_any_every_value_is_sent(tmp_path: Path) -> None:
    """Also if the gateway's own default would hold back equal values."""
    async with site(tmp_path, [microstar(1)], report_strategy=ON_CHANGE) as running:
        await running.until_polled(times=4)
        assert points(running, OF_CONNECTOR, VOLTAGE) >= 4


def points(running: Site, device: str, key: str) -> int:
    return len(running.platform.telemetry(device, key))
