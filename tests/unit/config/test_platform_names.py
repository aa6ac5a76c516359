"""Names that the platform would drop without a word are problems of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Loaded, acceptable, load, refusal

#: Accepted and refused by AntiSamy 1.7.5 with ThingsBoard's policy, or by KvUtils.validate.
ACCEPTED = (
    "a < b", "<1", "<", "<=5", "x >y", "&amp;", "it's \"1\"", "\u00e4<\u00fc", "</b>", "</pre>",
    "<!-- x -->", "\u00a0a", "{{", "}}{{", "{a}", "&#60;b>", "x" * 255,
)  # fmt: skip
REFUSED = (
    "a<b", "<B", "I<Imax", "N-2 <Haus>", "<g>", "<x:y>", "</p>", "</BR>", "<![CDATA[x", "{{x}}",
    "a{{\n}}b", "", " ", "x" * 256, "\U0001f600" * 128,
)  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_names_that_the_platform_accepts(name: str) -> None:
    assert refusal(name) is None
    assert acceptable(name) == name


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_it_refuses_are_made_acceptable(name: str) -> None:
    assert refusal(name)
    assert refusal(acceptable(name)) is None


def test_long_names_that_begin_alike_stay_different() -> None:
    assert acceptable("x" * 300) != acceptable("x" * 301)
    assert acceptable("a\nb\x00") == "a b"
    assert acceptable("a\ud800") == "a"


def configured(**keys: Any) -> Loaded:
    device = {"deviceName": "M1", "connection": {"host": "192.0.2.1"}, **keys}
    return load({"devices": [device]}, base=Path())


ITEM = {"obis": "1-0:1.8.0"}


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"deviceName": "N-2 <Haus>"}, "devices[0].deviceName"),
        ({"deviceType": "Meter <b>"}, "devices[0].deviceType"),
        ({"timeseries": [{"key": "I<Imax", **ITEM}]}, "devices[0].timeseries[0].key"),
        ({"attributes": [{"key": "{{x}}", **ITEM}]}, "devices[0].attributes[0].key"),
        ({"attributeUpdates": [{"key": "a<b", **ITEM}]}, "devices[0].attributeUpdates[0].key"),
        ({"profiles": [{"key": "p<q", **ITEM}]}, "devices[0].profiles[0].key"),
    ],
)
def test_a_name_that_the_platform_drops_is_a_problem(keys: dict[str, Any], path: str) -> None:
    (problem,) = configured(**keys).every_problem
    assert problem.startswith(f"{path}: the platform drops ")


def test_no_part_of_a_cell_is_shown(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("deviceName,connection.host\npa<ssword,192.0.2.1\n")
    (problem,) = load({"devicesFile": "m.csv"}, base=tmp_path).every_problem
    assert problem.startswith("m.csv line 2, column deviceName: the platform drops this: ")
    assert "<s" not in problem


def test_a_device_that_the_platform_refuses_is_known_by_its_path() -> None:
    (refused,) = configured(deviceName="N-2 <Haus>").refused
    assert refused.name == refused.path == "devices[0]"


def test_a_device_profile_that_the_platform_refuses_is_not_told_to_it() -> None:
    (refused,) = configured(deviceType="Meter <b>").refused
    assert (refused.name, refused.device_type) == ("M1", "DLMS Energy Meter")
