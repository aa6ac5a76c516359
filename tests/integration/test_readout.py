"""A meter that speaks no DLMS: its ASCII readout through the real gateway."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from dlms_connector.simulator import MeterOptions
from tests.support.site import Configuration, site

pytestmark = pytest.mark.asyncio

NAME = "Heat-7"


def read_out(configuration: Configuration) -> None:
    """Replace the sample by one meter with an optical head behind a converter."""
    connection = configuration["devices"][0]["connection"]
    configuration["devices"] = [
        {
            "deviceName": NAME,
            "connection": connection,
            "dlms": {"interfaceType": "IEC_62056_21"},
            "pollPeriod": 1000,
            "attributes": [{"key": "serialNumber", "obis": "0-0:96.1.0", "class": "data"}],
            "timeseries": [
                {"key": "energy", "obis": "1-0:1.8.0", "unit": "Wh"},
                {"key": "voltage", "obis": "1-0:32.7.0"},
            ],
        }
    ]


async def test_a_readout_reaches_the_platform_exactly(tmp_path: Path) -> None:
    meters = [MeterOptions(framing="IEC_62056_21", serial=7, hold_at=1_790_000_000.0)]
    async with site(tmp_path, meters, read_out) as running:
        await running.until_polled(times=2)
        meter = running.endpoints[0].meter
        latest = {point.key: point.value for point in running.platform.store.latest()}
        assert latest["energy"] == meter.value(3, bytes((1, 0, 1, 8, 0, 255)), 2).value
        voltage = meter.value(3, bytes((1, 0, 32, 7, 0, 255)), 2).value
        assert latest["voltage"] == Decimal(voltage).scaleb(-1)
        sent = running.platform.store.attributes(NAME)
        assert sent["serialNumber"] == '"00000007"'
