"""Old meters and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config import Secret
from dlms_connector.migration import (
    Bridge,
    Mapped,
    Migration,
    OldMeasurement,
    OldMeter,
    migrate,
)
from dlms_connector.migration.mapping import Arrived, Rule

VOLTAGE = OldMeasurement(name="voltage_l1", obis="1-1:32.7.0", sampling_s=5.0)


def meter(**fields: Any) -> OldMeter:
    usual: dict[str, Any] = {"id": 1, "name": "m1", "host": "10.0.0.1", "password": Secret(b"p4ss")}
    return OldMeter(**(usual | {"measurements": (VOLTAGE,)} | fields))


def rule(name: str | None, *keys: str, **fields: Any) -> Rule:
    arrived = {key: (Arrived("timeseries", key.upper()),) for key in keys}
    return Rule(device_name=name, **({"keys": arrived} | fields))


def moved(*meters: OldMeter, rules: tuple[Rule, ...] = (), **given: Any) -> Migration:
    mapped = Mapped(port=1884, rules=rules) if rules else None
    return migrate(Bridge(meters=meters), mapped, **given)


def devices(migration: Migration) -> dict[str, Any]:
    return {device["deviceName"]: device for device in migration.document["devices"]}


def keys(migration: Migration, name: str, section: str = "timeseries") -> list[str]:
    return [row["key"] for row in devices(migration)[name].get(section, ())]


def why(migration: Migration) -> list[str]:
    return [row.why for row in migration.rows if row.why]


def test_what_the_bridge_did_without_a_word() -> None:
    (device,) = devices(moved(meter())).values()
    assert device["connection"] == {
        "type": "tcp", "host": "10.0.0.1", "port": 3333, "timeoutMs": 7000, "retries": 3,
    }  # fmt: skip
    assert device["dlms"] == {
        "interfaceType": "HDLC", "clientAddress": 1, "logicalAddress": 0, "physicalAddress": 1,
        "authentication": "LOW", "password": "${file:m1.password}",
    }  # fmt: skip


def test_addresses_of_the_database() -> None:
    (device,) = devices(moved(meter(client_id=32, server_id=17, port=4059))).values()
    assert device["connection"]["port"] == 4059
    assert (device["dlms"]["clientAddress"], device["dlms"]["physicalAddress"]) == (32, 17)


def test_the_name_is_that_on_the_platform() -> None:
    assert list(devices(moved(meter()))) == ["m1"]
    assert list(devices(moved(meter(tb_device_name="D1")))) == ["D1"]
    through = moved(meter(tb_device_name="D1"), rules=(rule("Mapped", "voltage_l1"),))
    assert list(devices(through)) == ["Mapped"]


def test_a_name_from_the_message_is_to_be_compared() -> None:
    migration = moved(meter(tb_device_name="D1"), rules=(rule(None, "voltage_l1"),))
    assert list(devices(migration)) == ["D1"]
    assert any("compare it" in note for note in migration.notes)


def test_a_meter_with_a_token_published_directly() -> None:
    rules = (rule("Mapped", "voltage_l1"),)
    direct = meter(tb_token=Secret(b"t"), tb_port=1883, tb_device_name="D1")
    assert keys(moved(direct, rules=rules), "D1") == ["voltage_l1"]
    through = meter(tb_token=Secret(b"t"), tb_port=1884)
    assert keys(moved(through, rules=rules), "Mapped") == ["VOLTAGE_L1"]


def test_one_constant_name_for_several_meters_is_given_once() -> None:
    rules = (rule("m2", "voltage_l1"),)
    migration = moved(meter(), meter(id=2, name="m2", host="10.0.0.2"), rules=rules)
    found = {name: device["connection"]["host"] for name, device in devices(migration).items()}
    assert found == {"m1": "10.0.0.1", "m2": "10.0.0.2"}
    assert any("mixed" in note for note in migration.notes)


def test_the_same_name_twice() -> None:
    migration = moved(meter(tb_device_name="D"), meter(id=2, name="m2", tb_device_name="D"))
    assert list(devices(migration)) == ["D", "D-2"]
    assert set(migration.secrets) == {"D.password", "D-2.password"}


def test_each_meter_by_the_entry_of_its_name() -> None:
    rules = (rule("m1", "voltage_l1"), rule("m2", "voltage_l1"))
    migration = moved(meter(id=2, name="m2"), meter(), rules=rules)
    assert set(devices(migration)) == {"m1", "m2"}
    assert migration.notes == ()


def test_each_meter_by_the_entry_of_its_topic() -> None:
    rules = (
        rule("One", "voltage_l1", topic="dlms/m1/data"),
        rule("Two", "voltage_l1", topic="dlms/m2/data"),
    )
    migration = moved(meter(), meter(id=2, name="m2"), rules=rules)
    assert list(devices(migration)) == ["One", "Two"]


def test_the_key_is_that_on_the_platform() -> None:
    own = OldMeasurement(name="voltage_l1", obis="1-1:32.7.0", tb_key="tension")
    assert keys(moved(meter(measurements=(own,))), "m1") == ["tension"]
    by_name = moved(meter(measurements=(own,)), rules=(rule("D", "voltage_l1"),))
    assert keys(by_name, "D") == ["VOLTAGE_L1"]
    by_key = moved(meter(measurements=(own,)), rules=(rule("D", "tension"),))
    assert keys(by_key, "D") == ["TENSION"]


def test_one_value_under_several_keys() -> None:
    arrived = (Arrived("timeseries", "a"), Arrived("timeseries", "b"), Arrived("attributes", "a"))
    migration = moved(meter(), rules=(rule("D", keys={"voltage_l1": arrived}),))
    assert keys(migration, "D") == ["a", "b"]
    assert keys(migration, "D", "attributes") == ["a"]


def test_what_never_reached_the_platform_stays_behind() -> None:
    other = OldMeasurement(name="frequency", obis="1-1:14.7.0")
    migration = moved(meter(measurements=(VOLTAGE, other)), rules=(rule("D", "voltage_l1"),))
    assert keys(migration, "D") == ["VOLTAGE_L1"]
    assert why(migration) == ["the mapping has no key for it: it never reached the platform"]


def test_a_mapping_of_something_else_is_not_applied() -> None:
    migration = moved(meter(), rules=(rule("Thermometer", "temperature"),))
    assert keys(migration, "m1") == ["voltage_l1"]


def test_the_same_key_twice() -> None:
    twice = (VOLTAGE, OldMeasurement(name="u", obis="1-1:52.7.0", tb_key="voltage_l1"))
    migration = moved(meter(measurements=twice))
    assert keys(migration, "m1") == ["voltage_l1"]
    assert why(migration) == ["the key voltage_l1 comes from another measurement"]


@pytest.mark.parametrize(
    ("obis", "read"),
    [("1.1.32.7.0.255", "1-1:32.7.0"), ("1-0:32.7.0", "1-0:32.7.0"), (None, "1-1:32.7.0"),
     ("32.7.0", "1-1:32.7.0")],
)  # fmt: skip
def test_the_object(obis: str | None, read: str) -> None:
    one = OldMeasurement(name="voltage_l1", obis=obis)
    (device,) = devices(moved(meter(measurements=(one,)))).values()
    assert device["timeseries"] == [{"key": "voltage_l1", "obis": read}]


def test_another_object_than_the_bridge_read_is_told() -> None:
    one = OldMeasurement(name="voltage_l1", obis="1-0:32.7.0")
    (note,) = moved(meter(measurements=(one,))).notes
    assert "1-1:32.7.0" in note


def test_an_unknown_measurement_without_an_object_stays_behind() -> None:
    unknown = OldMeasurement(name="cos_phi", obis="?")
    migration = moved(meter(measurements=(VOLTAGE, unknown)))
    assert keys(migration, "m1") == ["voltage_l1"]
    assert why(migration) == ["obis_code '?' is no OBIS code such as 1-1:32.7.0"]


def test_periods() -> None:
    measured = (
        VOLTAGE,
        OldMeasurement(name="frequency", sampling_s=60.0),
        OldMeasurement(name="current_l1", sampling_s=0.001),
        OldMeasurement(name="active_power"),
        OldMeasurement(name="active_energy", sampling_s=-1.0),
    )
    (device,) = devices(moved(meter(measurements=measured))).values()
    assert device["pollPeriod"] == 100
    assert [row.get("pollPeriod") for row in device["timeseries"]] == [
        5000,
        60000,
        None,
        1000,
        1000,
    ]


def test_only_on_change_stays_so() -> None:
    migration = moved(meter(), rules=(rule("D", "voltage_l1", only_on_change=True),))
    assert devices(migration)["D"]["reportStrategy"] == {"type": "ON_CHANGE"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"host": None}, "it has no ip_address"),
        ({"tb_enabled": False}, "the bridge did not publish it (tb_enabled is off)"),
        ({"measurements": ()}, "it has no enabled measurement, so the bridge did not poll it"),
    ],
)
def test_a_meter_that_stays_behind_does_not_hinder_the_others(
    fields: dict[str, Any], told: str
) -> None:
    migration = moved(meter(**fields), meter(id=2, name="m2"))
    assert list(devices(migration)) == ["m2"]
    assert why(migration) == [told]


@pytest.mark.parametrize("status", ["inactive", "error", None])
def test_the_status_of_the_moment_does_not_matter(status: str | None) -> None:
    # A bridge that was stopped for the change has written `inactive` everywhere.
    assert list(devices(moved(meter(status=status)))) == ["m1"]


def test_the_meters_maker() -> None:
    assert "workarounds" in devices(moved(meter()))["m1"]
    assert "workarounds" in devices(moved(meter(model="Microstar C2000")))["m1"]
    assert "workarounds" not in devices(moved(meter(model="Kamstrup")))["m1"]
    usual = OldMeasurement(name="u", obis="1-0:32.7.0")
    assert "workarounds" not in devices(moved(meter(measurements=(usual,))))["m1"]


@pytest.mark.parametrize(
    ("password", "content"),
    [
        (b"2222", b"2222\ndevice: m1\n"),
        (b"hex:00", b"hex:6865783a3030\ndevice: m1\n"),
        (b"a\nhost: b", b"hex:610a686f73743a2062\ndevice: m1\n"),
        ("contraseña".encode(), b"hex:636f6e7472617365c3b161\ndevice: m1\n"),
    ],
)
def test_a_secrets_file_is_for_its_device_only(password: bytes, content: bytes) -> None:
    assert moved(meter(password=Secret(password))).secrets == {"m1.password": content}


def test_no_password() -> None:
    assert moved(meter(password=None)).missing == ("m1.password",)
    given = moved(meter(password=None), password=Secret(b"x"))
    assert given.missing == ()
    assert given.secrets == {"m1.password": b"x\ndevice: m1\n"}


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "Casa 1/á", "a\\b"])
def test_the_file_of_a_secret_lies_in_its_folder(name: str) -> None:
    (file,) = moved(meter(tb_device_name=name)).secrets
    assert "/" not in file
    assert not file.startswith(".")
