"""A user's own uplink converter, in the folder where the gateway looks for extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlms_connector.simulator import MeterOptions, microstar
from tests.support.site import Configuration, site, watch

#: What each poll of this meter, which offers no lists, asks for.
KEYS = 5

OWN = '''
from time import time

from thingsboard_gateway.connectors.converter import Converter
from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry


class HouseConverter(Converter):
    """Adds up what a house draws."""

    def __init__(self, device, log):
        self._log = log

    def convert(self, device, poll):
        values = {reading.key: reading.value for reading in poll.readings}
        if "broken" in device.device_name:
            raise ValueError("no such house")
        data = ConvertedData(device.device_name, device.device_type)
        apparent = values["voltage_l1"] * values["current_l1"]
        ts = poll.readings[0].ts_ms
        data.add_to_telemetry(TelemetryEntry({"apparentPower": float(apparent)}, ts))
        return data
'''


def write_extension(folder: Path, connector_type: str) -> Path:
    """Write the converter where the gateway looks for a connector's type."""
    extensions = folder / "extensions"
    (extensions / connector_type).mkdir(parents=True)
    (extensions / connector_type / "house_converter.py").write_text(OWN)
    return extensions


@pytest.mark.parametrize("connector_type", ["custom", "dlms"])
async def test_it_is_found_and_used_for_its_devices_alone(
    tmp_path: Path, connector_type: str
) -> None:
    def of_the_user(configuration: Configuration) -> None:
        first, _, third = configuration["devices"]
        first["uplinkConverter"] = "HouseConverter"
        third |= {"uplinkConverter": "NoSuchConverter", "deviceName": "Unknown-Converter"}

    meters = [microstar(1), MeterOptions(serial=2), MeterOptions(serial=3)]
    extensions = write_extension(tmp_path, connector_type)
    async with site(
        tmp_path, meters, of_the_user, extensions=extensions, connector_type=connector_type
    ) as running:
        await running.until_polled("DLMS-Meter-02", times=2)
        found = await running.until(
            lambda: running.platform.telemetry("DLMS-Meter-01", "apparentPower")
        )
        assert str(found[0].value) == "179.66751"  # 135.19 V * 1.329 A
        assert running.platform.telemetry("DLMS-Meter-01", "voltage_l1") == []
        await running.until(lambda: running.states("Unknown-Converter"))
        assert running.states("Unknown-Converter") == ["misconfigured"]
        await running.until_logged(r"\|ERROR\| DLMS \| Unknown-Converter .*NoSuchConverter")
        assert not running.log_lines("Traceback")


async def test_one_that_raises_costs_its_device_alone(tmp_path: Path) -> None:
    def of_the_user(configuration: Configuration) -> None:
        configuration["devices"][0] |= {
            "uplinkConverter": "HouseConverter",
            "deviceName": "A-broken-one",
        }

    meters = [microstar(1), MeterOptions(serial=2)]
    extensions = write_extension(tmp_path, "custom")
    async with site(tmp_path, meters, of_the_user, extensions=extensions) as running:
        complaint = r"\|ERROR\| DLMS \| A-broken-one: .*no such house"
        await running.until_logged(complaint)
        asked = running.endpoints[0].meter.seen
        before = asked["get"]
        await watch(lambda: asked["get"] >= before + 3 * KEYS)
        # Once, not at every poll.
        assert len(running.log_lines(complaint)) == 1
        await running.until_polled("DLMS-Meter-02", times=2)
        assert running.polls("A-broken-one") == 0
