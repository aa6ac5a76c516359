"""Keys from OBIS codes."""

from __future__ import annotations

import pytest

from dlms_connector.config import preset
from dlms_connector.cosem import column_name, free_name, name_of, plain_name, profile_name
from dlms_connector.obis import Obis

NAMES = {
    "1-0:32.7.0": "voltage_l1",
    "1-1:72.7.0": "voltage_l3",
    "1-0:12.7.0": "voltage",
    "1-0:51.7.0": "current_l2",
    "1-0:91.7.0": "current_n",
    "1-0:14.7.0": "frequency",
    "1-0:33.7.0": "power_factor_l1",
    "1-0:1.7.0": "active_power",
    "1-0:21.7.0": "active_power_l1",
    "1-0:62.7.0": "active_power_export_l3",
    "1-0:16.7.0": "active_power_net",
    "1-0:1.8.0": "active_energy",
    "1-0:1.8.1": "active_energy_t1",
    "1-0:1.8.63": "active_energy_t63",
    "1-0:2.8.2": "active_energy_export_t2",
    "1-0:41.8.0": "active_energy_l2",
    "1-0:3.8.0": "reactive_energy",
    "1-0:5.8.0": "reactive_energy_q1",
    "1-0:10.8.0": "apparent_energy_export",
    "1-0:1.9.0": "active_energy_period",
    "1-0:1.29.0": "active_energy_interval",
    "1-0:1.4.0": "active_power_demand",
    "1-0:1.6.2": "active_power_max_t2",
    "1-0:32.32.0": "voltage_l1_under_count",
    "1-0:32.7.124": "voltage_l1_thd",
    "1-0:31.7.5": "current_l1_h5",
    "1-0:81.7.40": "phase_angle_i1_u1",
    "1-0:81.7.10": "phase_angle_u2_u1",
    "0-0:1.0.0": "clock",
    "0-0:42.0.0": "logicalDeviceName",
    "0-0:96.1.0": "serialNumber",
    "0-0:96.1.1": "deviceId2",
    "0-0:96.3.10": "relay_state",
    "0-0:96.9.0": "temperature",
    "0-2:24.2.1": "mbus2_value",
    "7-0:3.0.0": "gas_volume",
}
NAMELESS = (
    "1-0:1.8.0*1",  # stored at the end of a billing period
    "1-0:1.8.64",
    "1-0:0.7.0",
    "1-0:1.99.0",
    "1-0:200.7.0",
    "1-0:81.7.30",
    "1-0:32.7.121",
    "0-0:94.7.1",
    "0-0:96.1.10",
    "5-0:1.0.0",
)


@pytest.mark.parametrize(("code", "name"), NAMES.items())
def test_a_known_code_has_a_name(code: str, name: str) -> None:
    assert name_of(Obis.parse(code)) == name


@pytest.mark.parametrize("code", NAMELESS)
def test_what_is_not_known_has_none(code: str) -> None:
    assert name_of(Obis.parse(code)) is None


def test_no_two_electricity_codes_of_a_channel_share_a_name() -> None:
    names: dict[str, str] = {}
    for c in range(1, 100):
        for d in range(40):
            for e in (0, 1, 5, 63, 64, 124):
                code = Obis(bytes((1, 0, c, d, e, 255)))
                if (name := name_of(code)) is not None:
                    assert names.setdefault(name, str(code)) == str(code)


@pytest.mark.parametrize("name", preset.names())
def test_presets_call_things_by_the_same_names(name: str) -> None:
    for item in preset.values(name).get("timeseries", ()):
        assert name_of(Obis.parse(item["obis"])) == item["key"]


def test_profiles_have_names() -> None:
    assert profile_name(Obis.parse("1-0:99.1.0")) == "load"
    assert profile_name(Obis.parse("1-1:98.1.0")) == "billing"
    assert profile_name(Obis.parse("0-0:99.98.3")) == "event_3"
    assert profile_name(Obis.parse("0-1:94.31.6")) == "profile_0_1_94_31_6"


def test_a_name_that_is_taken_is_made_different() -> None:
    other = Obis.parse("1-1:1.8.0")
    taken = {"active_energy"}
    assert free_name("frequency", other, taken) == "frequency"
    taken.add(free_name("active_energy", other, taken))
    assert "active_energy_ch1" in taken
    taken.add(free_name("active_energy", other, taken))
    assert "active_energy_1_1_1_8_0" in taken
    taken.add(free_name("active_energy", other, taken))
    assert "active_energy_2" in taken
    assert free_name("active_energy", other, taken) == "active_energy_3"


def test_the_plain_name_keeps_a_value_group_f_that_says_something() -> None:
    assert plain_name(Obis.parse("1-0:1.8.0")) == "obis_1_0_1_8_0"
    assert plain_name(Obis.parse("1-0:1.8.0*2")) == "obis_1_0_1_8_0_2"


@pytest.mark.parametrize(
    ("obis", "attribute", "part", "name"),
    [
        ("1-0:1.8.0", 2, 0, "active_energy"),
        ("1-0:1.29.0", 2, 0, "active_energy_interval"),
        ("1-0:1.6.0", 2, 0, "active_power_max"),
        ("1-0:1.6.0", 5, 0, "active_power_max_time"),
        ("0-0:96.10.1", 2, 0, "status"),
        ("0-1:96.10.3", 2, 0, "status"),
        ("0-0:96.11.4", 2, 0, "event"),
        ("0-0:0.1.2", 2, 0, "billing_time"),
        ("0-0:25.6.0", 6, 3, "obis_0_0_25_6_0_attribute6_part3"),
        ("1-0:1.8.0*1", 2, 0, "obis_1_0_1_8_0_1"),
    ],
)
def test_the_columns_of_a_profile_have_names(
    obis: str, attribute: int, part: int, name: str
) -> None:
    assert column_name(Obis.parse(obis), attribute, part) == name
