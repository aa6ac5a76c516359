"""Whole configurations: tests/cases/<name>/ with input.json and what becomes of it.

`expected.json` holds the devices in force, without what is default; `refused.txt` every
problem, a line each, and before them the devices that are in force all the same.
Run with UPDATE_CASES=1 to write them anew, and read the difference.
"""

import json
import os

import pytest

from dlms_connector.config.loading import Loaded, load_file
from tests.support.places import CASES

NAMES = sorted(path.parent.name for path in CASES.glob("*/input.json"))


def expected(loaded: Loaded) -> str:
    dumps = [
        json.loads(device.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True))
        for device in loaded.configuration.devices
    ]
    return json.dumps(dumps, indent=1, ensure_ascii=False) + "\n"


def refused(loaded: Loaded) -> str:
    in_force = ", ".join(device.device_name for device in loaded.configuration.devices)
    return "\n".join([f"in force: {in_force or 'none'}", *loaded.every_problem]) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    folder = CASES / name
    loaded = load_file(folder / "input.json")
    is_refused = name.startswith("refused_")
    outcome = refused(loaded) if is_refused else expected(loaded)
    file = folder / ("refused.txt" if is_refused else "expected.json")
    if os.environ.get("UPDATE_CASES"):
        file.write_text(outcome, "utf-8")
    assert bool(loaded.every_problem) is is_refused, loaded.every_problem
    assert outcome == file.read_text("utf-8")


def test_there_are_cases() -> None:
    assert len(NAMES) > 10
