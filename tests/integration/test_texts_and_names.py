"""Texts that look like numbers, and names that the platform drops, through the real gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlms_connector.simulator import MeterOptions
from tests.support.site import Configuration, site

ONE = "DLMS-Meter-01"
TEXTS = {"serial": "00000001", "version": "1.10", "energy": "90071992547409.93", "name": "SIM-1.0"}

OWN = """
from dlms_converters import DLMSUplinkConverter


class NamingConverter(DLMSUplinkConverter):
    def convert(self, config, data):
        result = super().convert(config, data)
        for entry in result.telemetry:
            entry.values["I<Imax"] = 1
        return result
"""


def read_back(value: Any) -> Any:
    """Read a value as the documentation says: a text that begins with `"` is JSON text."""
    return json.loads(value) if isinstance(value, str) and value.startswith('"') else value


def texts(configuration: Configuration) -> None:
    """Read a serial number, a version, and a number that no double holds, in both ways."""
    device = configuration["devices"][0]
    item = {"class": "data", "obis": "0-0:96.1.0"}
    items = [
        {**item, "key": "serial"},
        {**item, "key": "version", "obis": "1-0:96.1.1"},
        {"key": "energy", "obis": "1-0:2.8.99", "scaler": -2},
        {**item, "key": "name", "obis": "1-0:0.2.0"},
    ]
    device["attributes"] = items
    device["timeseries"] = [*device["timeseries"], *items]


#: In A-XDR: octet-string, visible-string and long64.
OBJECTS = {
    "0-0:96.1.0": {"class": "data", "attributes": {"2": {"hex": "09083030303030303031"}}},
    "1-0:96.1.1": {"class": "data", "attributes": {"2": {"hex": "0A04312E3130"}}},
    "1-0:2.8.99": {"class": "register", "attributes": {"2": {"hex": "140020000000000001"}}},
}


async def test_texts_and_numbers_arrive_unchanged(tmp_path: Path) -> None:
    meter = MeterOptions(serial=1, overrides=OBJECTS)
    async with site(tmp_path, [meter], texts) as running:
        store = running.platform.store
        await running.until(lambda: store.attributes(ONE).keys() >= TEXTS.keys())
        attributes = {key: read_back(store.attributes(ONE)[key]) for key in TEXTS}
        assert attributes == TEXTS
        await running.until(lambda: all(running.platform.telemetry(ONE, key) for key in TEXTS))
        series = {key: read_back(running.platform.telemetry(ONE, key)[0].value) for key in TEXTS}
        assert series == TEXTS


async def test_an_own_converters_names_cost_no_values(tmp_path: Path) -> None:
    def own(configuration: Configuration) -> None:
        configuration["devices"][0]["uplinkConverter"] = "NamingConverter"

    folder = tmp_path / "extensions" / "custom"
    folder.mkdir(parents=True)
    (folder / "naming_converter.py").write_text(OWN)
    meters = [MeterOptions(serial=1)]
    async with site(tmp_path, meters, own, extensions=folder.parent) as running:
        await running.until(lambda: running.platform.telemetry(ONE, "I< Imax"))
        await running.until_polled(ONE, times=3)
        assert not running.platform.journal.select("Dropped", direction="out")
        assert len(running.log_lines("'I<Imax' is sent as 'I< Imax'")) == 1


async def test_a_name_that_the_platform_drops_is_told_and_not_sent(tmp_path: Path) -> None:
    def name(configuration: Configuration) -> None:
        first, second = configuration["devices"]
        first["deviceName"] = "N-2 <Haus>"
        second["timeseries"][0]["key"] = "{{x}}"

    meters = [MeterOptions(serial=number) for number in (1, 2)]
    async with site(tmp_path, meters, name) as running:
        await running.until_logged(r"devices\[0\].deviceName: the platform drops 'N-2 <Haus>'")
        await running.until_logged(r"devices\[1\].timeseries\[0\].key: the platform drops")
        await running.until(lambda: running.states("DLMS-Meter-02"))
        assert running.states("DLMS-Meter-02") == ["misconfigured"]
        assert "N-2 <Haus>" not in running.platform.store.devices()
