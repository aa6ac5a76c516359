"""The gateway's MQTT mapping in both its forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.migration import Mapped, MigrationError, read_mapping
from dlms_connector.migration.mapping import Arrived
from tests.support.old_bridge import make_mapping, mapping_entry


def read(tmp_path: Path, *entries: dict[str, Any]) -> Mapped:
    return read_mapping(make_mapping(tmp_path / "dlmsToMqtt.json", *entries))


def test_the_old_form(tmp_path: Path) -> None:
    mapped = read(tmp_path, mapping_entry("DLMS-Meter-01", {"voltage_l1": "U"}))
    (rule,) = mapped.rules
    assert mapped.port == 1884
    assert (rule.device_name, rule.device_type) == ("DLMS-Meter-01", "DLMS Energy Meter")
    assert rule.keys == {"voltage_l1": (Arrived("timeseries", "U"),)}
    assert mapped.notes == ()


def test_the_present_form(tmp_path: Path) -> None:
    entry = mapping_entry("", {"voltage_l1": "U"})
    for key in ("deviceNameJsonExpression", "deviceTypeJsonExpression"):
        del entry["converter"][key]
    entry["converter"]["deviceInfo"] = {
        "deviceNameExpressionSource": "constant",
        "deviceNameExpression": "Casa 1",
        "deviceProfileExpressionSource": "message",
        "deviceProfileExpression": "${type}",
    }
    path = tmp_path / "mqtt.json"
    path.write_text(json.dumps({"broker": {"port": 1884}, "dataMapping": [entry]}))
    (rule,) = read_mapping(path).rules
    assert (rule.device_name, rule.device_type) == ("Casa 1", None)


def test_as_the_platform_keeps_it(tmp_path: Path) -> None:
    path = make_mapping(tmp_path / "inner.json", mapping_entry("X", {"a": "a"}))
    wrapped = tmp_path / "outer.json"
    wrapped.write_text(json.dumps({"name": "x", "configurationJson": json.loads(path.read_text())}))
    assert read_mapping(wrapped).rules[0].device_name == "X"


@pytest.mark.parametrize("expression", ["${deviceName}", "Meter ${serial}", ""])
def test_a_name_that_depends_on_the_message(tmp_path: Path, expression: str) -> None:
    assert read(tmp_path, mapping_entry(expression, {})).rules[0].device_name is None


def test_a_name_from_the_topic_is_an_expression(tmp_path: Path) -> None:
    info = {"deviceNameExpressionSource": "topic", "deviceNameExpression": "(?<=dlms/).*"}
    assert read(tmp_path, mapping_entry("", {}, deviceInfo=info)).rules[0].device_name is None


def test_values_without_the_level_values_and_attributes(tmp_path: Path) -> None:
    entry = mapping_entry(
        "X",
        {},
        timeseries=[{"key": "U", "value": "${voltage_l1}"}],
        attributes=[{"key": "f", "value": "${values.frequency}"}],
    )
    assert read(tmp_path, entry).rules[0].keys == {
        "voltage_l1": (Arrived("timeseries", "U"),),
        "frequency": (Arrived("attributes", "f"),),
    }


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("*", "takes whole messages"),
        ({"key": "a"}, "without key and value"),
        ({"key": "${k}", "value": "${values.a}"}, "depends on the message"),
        ({"key": "a", "value": "${values.a} V"}, "more than one published value"),
        ({"key": "a", "value": "Medellín"}, "is a constant"),
    ],
)
def test_what_cannot_be_carried_over_is_told(tmp_path: Path, row: object, told: str) -> None:
    mapped = read(tmp_path, mapping_entry("X", {}, timeseries=[row]))
    assert mapped.rules[0].keys == {}
    (note,) = mapped.notes
    assert told in note
    assert note.startswith("dlmsToMqtt.json: mapping[0].timeseries: ")


def test_another_converter_is_told(tmp_path: Path) -> None:
    mapped = read(tmp_path, mapping_entry("X", {"a": "a"}, type="bytes"))
    assert mapped.rules[0].keys == {}
    assert "'bytes' is not understood" in mapped.notes[0]


@pytest.mark.parametrize(
    "converter", [{"sendDataOnlyOnChange": True}, {"reportStrategy": {"type": "ON_CHANGE"}}]
)
def test_only_on_change(tmp_path: Path, converter: dict[str, Any]) -> None:
    assert read(tmp_path, mapping_entry("X", {}, **converter)).rules[0].only_on_change


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "{}", '{"mapping": 1}'])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dlmsToMqtt.json"
    path.write_text(text)
    with pytest.raises(MigrationError, match=r"dlmsToMqtt\.json: "):
        read_mapping(path)
