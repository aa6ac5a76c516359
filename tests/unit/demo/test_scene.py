"""The demo's cast."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlms_connector.config.loading import load
from dlms_connector.demo.scene import UNITS, cast, configuration
from dlms_connector.simulator import simulate
from dlms_connector.simulator.serving.sample import sample_configuration


@pytest.mark.parametrize("count", [1, 2, 5, 9])
async def test_the_configuration_is_valid_and_names_every_unit(count: int, tmp_path: Path) -> None:
    meters = cast(count)
    async with simulate(meters) as endpoints:
        made = configuration(meters, endpoints)
    loaded = load(made, base=tmp_path)
    assert (loaded.refused, loaded.problems) == ((), ())
    assert len({device["deviceName"] for device in made["devices"]}) == count
    for device in made["devices"]:
        assert {item["key"]: item["unit"] for item in device["timeseries"]} == UNITS


async def test_others_who_start_from_the_sample_see_no_change() -> None:
    meters = cast(1)
    async with simulate(meters) as endpoints:
        configuration(meters, endpoints)
    [device] = sample_configuration([(meters[0], "127.0.0.1", 1)])["devices"]
    assert "unit" not in device["timeseries"][0]


def test_a_small_cast_already_has_every_kind() -> None:
    meters = cast(5)
    assert {one.framing for one in meters} == {"HDLC", "WRAPPER"}
    assert {one.authentication for one in meters} == {"NONE", "LOW", "HIGH_GMAC"}
    assert any(one.security != "NONE" for one in meters)
    assert meters[-1].profile == "microstar"
