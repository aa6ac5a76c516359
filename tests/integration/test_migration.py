"""The first site's bridge, replaced by the connector: the platform gets the same, key by key.

Before: what the bridge published, taken through the mapping by the gateway's own converter. After:
a gateway with the configuration that `migrate` made, and nothing else.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner
from thingsboard_gateway.connectors.mqtt.backward_compatibility_adapter import (
    BackwardCompatibilityAdapter,
)
from thingsboard_gateway.connectors.mqtt.json_mqtt_uplink_converter import JsonMqttUplinkConverter

from dlms_connector.cli import main
from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator import microstar
from tests.support.mqtt_client import gateway as session_of_a_gateway
from tests.support.old_bridge import (
    FIVE,
    PASSWORD,
    make_database,
    make_mapping,
    mapping_entry,
    measurement,
    meter,
)
from tests.support.site import GATEWAY, TOKEN, Configuration, Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: What the bridge read of the meter, as numbers with binary fractions: raw value times scaler.
READ = {
    "voltage_l1": 13519 * 10**-2,
    "current_l1": 1329 * 10**-3,
    "frequency": 4998 * 10**-2,
    "active_power": float(170),
    "active_energy": float(1234567),
}
#: Of the second meter fewer measurements are enabled, and the mapping renames one.
SECOND = {"voltage_l1": "tension", "active_energy": "active_energy"}
TOPICS = ("dlms/uno/telemetry", "dlms/dos/telemetry")


def mapping(path: Path) -> Path:
    uno = mapping_entry("DLMS-Meter-01", {name: name for name in FIVE})
    dos = mapping_entry("Casa 2", SECOND)
    uno["topicFilter"], dos["topicFilter"] = TOPICS
    return make_mapping(path, uno, dos)


def database(path: Path, ports: tuple[int, int]) -> Path:
    hosts = {"ip_address": "127.0.0.1", "status": "inactive"}  # the bridge was stopped
    rows = [
        meter(id=1, name="uno", port=ports[0], **hosts),
        meter(id=2, name="dos", port=ports[1], tb_device_name="Casa 2", **hosts),
    ]
    measured = [measurement(name, sampling_interval=1.0) for name in FIVE]
    measured += [
        measurement(name, meter_id=2, sampling_interval=1.0, enabled=int(name in SECOND))
        for name in FIVE
    ]
    return make_database(path, rows, measured)


async def before(mqtt_config: Path) -> tuple[dict[tuple[str, str], float], dict[str, str]]:
    """Return what the platform has of the bridge: values by device and key, and the devices."""
    document = json.loads(mqtt_config.read_text())  # noqa: ASYNC240 - a small file
    rules = BackwardCompatibilityAdapter(document).convert()["mapping"]
    published = {TOPICS[0]: READ, TOPICS[1]: {name: READ[name] for name in SECOND}}
    async with Platform({TOKEN: GATEWAY}) as platform:
        async with session_of_a_gateway(platform, TOKEN) as client:
            for rule in rules:
                topic = rule["topicFilter"]
                message = {"ts": int(time.time() * 1000), "values": published[topic]}
                converter = JsonMqttUplinkConverter(rule, logging.getLogger("mapping"))
                converted = converter.convert(topic, message).to_dict()
                name, kind = converted["deviceName"], converted["deviceType"]
                await client.acknowledged("v1/gateway/connect", {"device": name, "type": kind})
                await client.acknowledged("v1/gateway/telemetry", {name: converted["telemetry"]})
            there = len(FIVE) + len(SECOND)
            await platform.wait_for(lambda: len(latest(platform)) >= there, 30)
        return latest(platform), devices(platform)


def latest(platform: Platform) -> dict[tuple[str, str], float]:
    """Return the latest value of each key, but for those of the connector itself."""
    return {
        (point.device, point.key): float(point.value)
        for point in platform.store.latest()
        if point.device != GATEWAY and not point.key.startswith("dlms")
    }


def devices(platform: Platform) -> dict[str, str]:
    return {name: kind for name, kind in platform.store.devices().items() if name != GATEWAY}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def migrated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run the gateway with what `migrate` wrote, nothing added."""
    folder = tmp_path_factory.mktemp("migrated")
    (folder / "config").mkdir()
    mqtt_config = mapping(folder / "config" / "dlmsToMqtt.json")

    def migrate(configuration: Configuration) -> None:
        ports = [device["connection"]["port"] for device in configuration["devices"]]
        path = database(folder / "admin.db", (ports[0], ports[1]))
        result = CliRunner().invoke(
            main, ["migrate", "--db", str(path), "--mqtt-config", str(mqtt_config)]
        )
        assert result.exit_code == 0, result.output
        configuration.clear()
        configuration.update(json.loads((folder / "config" / "dlms.json").read_text()))

    async with site(folder, [microstar(), microstar(2)], migrate) as running:
        await running.until_polled(times=2)
        yield running


async def test_the_platform_gets_the_same_key_by_key(migrated: Site) -> None:
    values, kinds = await before(migrated.gateway.config_dir / "dlmsToMqtt.json")
    assert len(values) == len(FIVE) + len(SECOND)
    await migrated.until(lambda: latest(migrated.platform).keys() >= values.keys())
    # The bridge sent 49.980000000000004 where the meter says 49.98: the difference is wanted.
    assert latest(migrated.platform) == pytest.approx(values, rel=1e-12)
    # On the site's platform the devices exist already: their profile is what it was.
    assert devices(migrated.platform).keys() == kinds.keys()
    configured = {
        each["deviceName"]: each["deviceType"] for each in migrated.configuration["devices"]
    }
    assert configured == kinds


async def test_the_password_is_in_its_files_only(migrated: Site) -> None:
    folder = migrated.gateway.folder
    holding = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert sorted(map(str, holding)) == [
        "admin.db",
        "config/secrets/Casa_2.password",
        "config/secrets/DLMS-Meter-01.password",
    ]
    assert not any(PASSWORD.encode() in packet.payload for packet in migrated.platform.journal)
