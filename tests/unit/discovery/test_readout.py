"""Meters that speak no DLMS are found by their readout, behind all else."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.discovery import Discovery, Pace, Request, Wanted, discover
from dlms_connector.discovery.readout import items_of_readout, number_of
from dlms_connector.protocol.readout import data_sets
from dlms_connector.simulator import MeterOptions, simulate

FAST = Pace(timeout_s=0.04, per_second=1000, settle_s=0.01, reopen_s=0)


async def look(meter: MeterOptions, **wanted: Any) -> Discovery:
    async with simulate([meter]) as (server,):
        section = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 100}
        return await discover(Request(connection=section, wanted=Wanted(**wanted), pace=FAST))


@pytest.mark.parametrize("wanted", [{}, {"interfaces": ("IEC_62056_21",)}])
async def test_its_entry_has_the_codes_of_the_readout(wanted: dict[str, Any]) -> None:
    found = await look(MeterOptions(framing="IEC_62056_21", serial=7), **wanted)
    assert found.measures
    assert found.entry is not None
    assert found.entry["deviceName"] == "DLMS-Meter-00000007"
    assert found.entry["dlms"] == {"interfaceType": "IEC_62056_21"}
    items = {one["key"]: one["obis"] for one in found.entry["timeseries"]}
    assert items["active_energy"] == "1-0:1.8.0"
    assert items["voltage_l1"] == "1-0:32.7.0"
    assert [one["key"] for one in found.entry["attributes"]] == ["serialNumber"]
    assert any("1.8.0" in note for note in found.notes)


def test_what_is_no_measured_value_is_left_out() -> None:
    sets = tuple(
        data_sets(
            "0.0.0(  77)\r\n0.9.1(121500)\r\n1.8.0(1*kWh)\r\n1.8.0*01(0.5*kWh)\r\n"
            "7.77.7(1*V)\r\n2.8.0(---*kWh)\r\nX(1*V)\r\n"
        )
    )
    assert number_of(sets) == "77"
    assert [one["key"] for one in items_of_readout(sets)["timeseries"]] == ["active_energy"]
    every = items_of_readout(sets, every=True)["timeseries"]
    assert [one["key"] for one in every] == ["active_energy", "7.77.7"]
