"""The documents that are installed: current files, known widgets, keys that are described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import preset
from dlms_connector.history.event_names import read_table
from dlms_connector.thingsboard import DEVICE_TYPE, documents
from dlms_connector.thingsboard.alarm_rules import LIMITS, SUPPLY_BACK, SUPPLY_GONE, TAMPERING
from dlms_connector.thingsboard.files import files
from dlms_connector.thingsboard.meter_keys import ACTIVE_ENERGY, ACTIVE_POWER, VOLTAGES
from dlms_connector.thingsboard.used_keys import known_keys, of_dashboard, of_rule
from tests.support.places import GATEWAY_CONFIG

MADE = documents()
DASHBOARDS = {each["title"]: each for each in MADE.dashboards}
RULES = {each["name"]: each for each in (*MADE.meter_rules, *MADE.gateway_rules)}
FOLDER = GATEWAY_CONFIG / "thingsboard"
TYPES = dict(
    line.split()
    for line in Path(__file__).with_name("widget_types_4_3.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)


def test_the_files_are_current() -> None:
    made = files(MADE)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name}: run `make docs`"
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")}
    assert there == {*made, "rule-chain-delivery-receipts.json"}


def widgets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from dashboard["configuration"]["widgets"].values()


@pytest.mark.parametrize("title", DASHBOARDS)
def test_every_widget_type_is_one_of_thingsboard_4_3(title: str) -> None:
    for widget in widgets(DASHBOARDS[title]):
        assert TYPES[widget["typeFullFqn"]] == widget["type"]


@pytest.mark.parametrize("title", DASHBOARDS)
def test_every_widget_has_data_of_an_alias_that_exists(title: str) -> None:
    configuration = DASHBOARDS[title]["configuration"]
    aliases, filters = configuration["entityAliases"], configuration["filters"]
    for widget in widgets(DASHBOARDS[title]):
        config = widget["config"]
        sources = config.get("datasources", [])
        if widget["type"] == "rpc":
            sources = [config["targetDevice"]]
        elif widget["type"] == "alarm":
            sources = [config["alarmSource"]]
            assert config["alarmFilterConfig"]["statusList"]
        assert sources, config["title"]
        for source in sources:
            assert source["entityAliasId"] in aliases
            assert source.get("filterId") is None or source["filterId"] in filters


@pytest.mark.parametrize("title", DASHBOARDS)
def test_tiles_lie_side_by_side(title: str) -> None:
    configuration = DASHBOARDS[title]["configuration"]
    placed: set[str] = set()
    for state in configuration["states"].values():
        cells: set[tuple[int, int]] = set()
        for widget_id, place in state["layouts"]["main"]["widgets"].items():
            placed.add(widget_id)
            own = {
                (place["row"] + y, place["col"] + x)
                for y in range(place["sizeY"])
                for x in range(place["sizeX"])
            }
            assert not own & cells
            assert max(x for _, x in own) < 24
            cells |= own
    assert placed == set(configuration["widgets"])


@pytest.mark.parametrize("title", DASHBOARDS)
def test_a_click_leads_to_a_page_that_exists(title: str) -> None:
    states = DASHBOARDS[title]["configuration"]["states"]
    targets = [
        action["targetDashboardStateId"]
        for widget in widgets(DASHBOARDS[title])
        for action in widget["config"]["actions"].get("rowClick", ())
    ]
    assert targets
    assert set(targets) <= set(states)


def test_nothing_holds_an_id_of_another_server() -> None:
    for document in (*DASHBOARDS.values(), *MADE.profiles, *RULES.values()):
        assert not {"id", "tenantId", "version", "entityId"} & set(document)
    kinds = {
        alias["filter"]["type"]
        for each in DASHBOARDS.values()
        for alias in each["configuration"]["entityAliases"].values()
    }
    assert kinds <= {"deviceType", "stateEntity", "entityType"}


def test_the_device_types_of_a_site_are_shown() -> None:
    made = documents(("House", "Street light"))
    assert [each["name"] for each in made.profiles] == ["House", "Street light"]
    for each in made.dashboards:
        types = [
            alias["filter"]["deviceTypes"]
            for alias in each["configuration"]["entityAliases"].values()
            if alias["filter"]["type"] == "deviceType"
        ]
        assert types == [["House", "Street light"]]


def test_every_key_is_described() -> None:
    """A key that no description has would be one that was renamed."""
    known = known_keys()
    uses = [use for each in DASHBOARDS.values() for use in of_dashboard(each)]
    uses += [use for each in MADE.meter_rules for use in of_rule(each, "meter")]
    uses += [use for each in MADE.gateway_rules for use in of_rule(each, "gateway")]
    assert uses
    for use in uses:
        if use.key not in ("active", "lastActivityTime"):  # the platform's own
            assert use.key in known
            assert use.is_attribute == (known[use.key].place != "timeseries")


def test_presets_send_what_is_shown() -> None:
    names = {
        item["key"] for name in preset.names() for item in preset.values(name).get("timeseries", ())
    }
    assert {ACTIVE_POWER.name, ACTIVE_ENERGY.name, *(key.name for key in VOLTAGES)} <= names


def test_labels_of_a_table_are_different() -> None:
    """A table keeps its values by label; a point in it would be taken as a path."""
    for each in DASHBOARDS.values():
        for widget in widgets(each):
            for source in widget["config"].get("datasources", ()):
                labels = [key["label"] for key in source["dataKeys"]]
                assert len(labels) == len(set(labels))
                assert not [label for label in labels if "." in label]


@pytest.mark.parametrize("name", RULES)
def test_the_arguments_of_a_rule_are_those_of_its_conditions(name: str) -> None:
    configuration = RULES[name]["configuration"]
    text = json.dumps([configuration["createRules"], configuration["clearRule"]])
    for argument in configuration["arguments"]:
        assert argument in text
    for each in _conditions(configuration):
        for one in each.get("filters", ()):
            assert one["argument"] in configuration["arguments"]
            for predicate in one["predicates"]:
                value = predicate.get("value") or predicate["duration"]
                assert (value.get("staticValue") is None) != (
                    value.get("dynamicValueArgument") is None
                )
                assert (
                    value.get("dynamicValueArgument", one["argument"]) in configuration["arguments"]
                )


def _conditions(configuration: dict[str, Any]) -> Iterator[dict[str, Any]]:
    rules = [*configuration["createRules"].values(), configuration["clearRule"]]
    yield from (each["condition"]["expression"] for each in rules if each)


def test_limits_have_defaults() -> None:
    text = json.dumps(list(RULES.values()))
    for limit in LIMITS:
        assert f'"key": "{limit.attribute}", "type": "ATTRIBUTE", "scope": "SERVER_SCOPE"' in text


def names_of_events() -> list[str]:
    found: list[str] = []
    for table in ("idis", "is15959", "dsmr", "spodes"):
        document = read_table(table)
        for codes in [document["codes"]] if "codes" in document else document["logs"].values():
            found += codes.values()
    return found


@pytest.mark.parametrize("part", [*TAMPERING, *SUPPLY_GONE, *SUPPLY_BACK])
def test_parts_of_event_names_are_in_the_tables(part: str) -> None:
    assert [name for name in names_of_events() if part.lower() in name.lower()]


def test_the_end_of_tampering_is_none() -> None:
    ends = ("closed", "gone", "restored", "inserted", ", end")
    for name in names_of_events():
        if any(part.lower() in name.lower() for part in TAMPERING):
            assert not name.endswith(ends)


def test_the_profile_is_that_which_the_gateway_makes() -> None:
    (profile,) = MADE.profiles
    assert profile["name"] == DEVICE_TYPE
    assert profile["defaultRuleChainId"] is None
