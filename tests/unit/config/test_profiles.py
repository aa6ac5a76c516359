"""Profiles in the configuration: prefixes and keys of their columns, and what contradicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Profile, automatic_key, load, prefixes
from dlms_connector.obis import Obis


def profiles(*entries: dict[str, Any]) -> list[Profile]:
    return [Profile.model_validate(entry) for entry in entries]


def test_every_profile_has_a_prefix_of_its_own() -> None:
    found = prefixes(
        profiles(
            {"obis": "1-0:99.1.0"},
            {"obis": "1-1:99.1.0"},
            {"obis": "1-0:99.2.0", "key": "load"},
            {"obis": "0-0:99.98.0"},
            {"obis": "0-0:99.98.1"},
            {"obis": "0-1:94.31.6"},
        )
    )
    assert {str(obis): prefix for obis, prefix in found.items()} == {
        "1-0:99.1.0": "load_ch0",
        "1-1:99.1.0": "load_ch1",
        "1-0:99.2.0": "load",
        "0-0:99.98.0": "event",
        "0-0:99.98.1": "event_1",
        "0-1:94.31.6": "profile_0_1_94_31_6",
    }


@pytest.mark.parametrize(
    ("obis", "attribute", "part", "key"),
    [
        ("1-0:1.8.0", 2, 0, "p_active_energy"),
        ("0-0:96.11.0", 2, 0, "p"),
        ("0-0:96.11.0", 3, 0, "p_event_attribute3"),
        ("0-0:96.10.1", 2, 0, "p_status"),
        ("0-0:25.6.0", 6, 2, "p_obis_0_0_25_6_0_attribute6_part2"),
    ],
)
def test_keys_that_are_not_configured(obis: str, attribute: int, part: int, key: str) -> None:
    assert automatic_key("p", Obis.parse(obis), attribute, part) == key


def test_a_column_is_found_by_attribute_and_part() -> None:
    (profile,) = profiles(
        {
            "obis": "1-0:99.1.0",
            "columns": [
                {"obis": "1-0:1.8.0", "key": "a"},
                {"obis": "1-0:1.8.0", "attribute": 5, "key": "b"},
                {"obis": "1-0:1.8.0", "part": 1, "key": "c"},
            ],
        }
    )
    energy = Obis.parse("1-0:1.8.0")
    keys = [profile.column(energy, *place) for place in ((2, 0), (5, 0), (2, 1), (3, 0))]
    assert [column and column.key for column in keys] == ["a", "b", "c", None]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (
            [{"obis": "1-0:99.1.0", "key": "x"}, {"obis": "1-0:99.2.0", "key": "x"}],
            "profiles[1].key: 'x' is there already",
        ),
        (
            [{"obis": "1-0:99.1.0", "columns": [{"obis": "1-0:1.8.0"}, {"obis": "1-0:1.8.0"}]}],
            "profiles[0].columns[1].obis: 1-0:1.8.0 is there already",
        ),
        (
            [
                {"obis": "1-0:99.1.0", "columns": [{"obis": "1-0:1.8.0", "key": "e"}]},
                {"obis": "1-0:99.2.0", "columns": [{"obis": "1-0:1.8.0", "key": "e"}]},
            ],
            "profiles[1].columns[0].key: 'e' is there already",
        ),
        ([{"obis": "1-0:99.1.0", "events": "iec"}], "profiles[0].events"),
        ([{"obis": "1-0:99.1.0", "columns": [{"obis": "1-0:1.8.0", "part": -1}]}], "part"),
    ],
)
def test_contradictions(entries: list[dict[str, Any]], problem: str) -> None:
    entry = {"deviceName": "M1", "connection": {"host": "h"}, "profiles": entries}
    assert any(problem in each for each in load({"devices": [entry]}, base=Path()).every_problem)
