"""The meter of the first installation, configured as the documentation shows it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dlms_connector.simulator import microstar
from tests.support.leaks import Collector
from tests.support.site import Configuration, Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "DLMS-Meter-01"
PASSWORD = "2222222222"


def as_documented(configuration: Configuration) -> None:
    """Replace the sample by the example of the documentation, but for the endpoint."""
    configuration["logLevel"] = "DEBUG"
    connection = configuration["devices"][0]["connection"]
    configuration["devices"] = [
        {
            "deviceName": NAME,
            "deviceType": "DLMS Energy Meter",
            "connection": {**connection, "type": "tcp", "timeoutMs": 7000, "retries": 2},
            "dlms": {
                "interfaceType": "HDLC",
                "clientAddress": 1,
                "logicalAddress": 0,
                "physicalAddress": 1,
                "authentication": "LOW",
                "password": "${env:METER_01_PASSWORD}",
            },
            "pollPeriod": 1000,
            "timeseries": [
                {"key": "voltage_l1", "obis": "1-1:32.7.0"},
                {"key": "current_l1", "obis": "1-1:31.7.0"},
                {"key": "frequency", "obis": "1-1:14.7.0"},
                {"key": "active_power", "obis": "1-1:1.7.0"},
                {"key": "active_energy", "obis": "1-1:1.8.0", "unit": "kWh"},
            ],
        }
    ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway whose connector has the type `dlms` and logs everything."""
    async with site(
        tmp_path_factory.mktemp("first"),
        [microstar()],
        as_documented,
        connector_type="dlms",
        environment={"METER_01_PASSWORD": PASSWORD},
    ) as running:
        await running.until_polled(times=2)
        yield running


async def test_the_type_dlms_is_found_as_well(running: Site) -> None:
    assert running.log_lines(r"Import DLMSConnector from .*extensions/dlms\.")


async def test_values_are_exact_in_the_very_packet(running: Site) -> None:
    texts = [packet.payload.decode() for packet in running.published("v1/gateway/telemetry")]
    for exact in ('"voltage_l1":135.19', '"current_l1":1.329'):
        # What follows ends the number: 135.19 and not 135.19000000000003.
        assert any(f"{exact}{end}" in text for text in texts for end in ",}"), texts
    assert all(json.loads(text).keys() == {NAME} for text in texts)


async def test_all_five_registers_arrive(running: Site) -> None:
    meter = running.endpoints[0].meter
    latest = {point.key: point.value for point in running.platform.store.latest()
              if point.device == NAME}  # fmt: skip
    keys = {"voltage_l1", "current_l1", "frequency", "active_power", "active_energy"}
    assert keys <= latest.keys()
    assert meter.seen["get-with-list"] == 0, "this meter offers none"


async def test_the_password_is_nowhere(running: Site) -> None:
    assert running.log_lines("DEBUG"), "nothing is hidden by the log's level"
    collector = Collector({"the password": PASSWORD.encode()})
    for packet in running.platform.journal:
        collector.take(packet.topic, packet.payload)
    collector.take_files("the gateway", running.gateway.folder)
    collector.check()
