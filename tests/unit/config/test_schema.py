import copy
import json
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.preset import names, values
from dlms_connector.config.schema import DIALECT, document_schema
from tests.support.json_schema import violations
from tests.support.places import ROOT

CASES = ROOT / "tests/cases"
EXAMPLE: dict[str, Any] = json.loads((ROOT / "gateway-config/dlms.json").read_text("utf-8"))


def broken(document: Any) -> list[str]:
    return list(violations(document, document_schema()))


def test_it_names_its_dialect() -> None:
    assert document_schema()["$schema"] == DIALECT


#: An editor may ask for numbers where the loader is lenient.
GOOD = sorted({path.parent for path in CASES.glob("*/expected.json")} - {CASES / "numbers_as_text"})


@pytest.mark.parametrize("folder", GOOD, ids=lambda folder: folder.name)
def test_good_documents_are_valid(folder: Path) -> None:
    assert broken(json.loads((folder / "input.json").read_text("utf-8"))) == []


def test_the_shipped_example_is_valid() -> None:
    assert broken(EXAMPLE) == []


@pytest.mark.parametrize("name", names())
def test_presets_are_templates(name: str) -> None:
    assert broken({"devices": [], "templates": {"t": values(name)}}) == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "devcies"),
        (("devices", 0), "devicename"),
        (("devices", 0, "connection"), "hots"),
        (("devices", 0, "dlms"), "clientAdress"),
        (("devices", 0, "timeseries", 0), "obsi"),
    ],
)
def test_unknown_keys_are_refused(path: tuple[str | int, ...], key: str) -> None:
    document = copy.deepcopy(EXAMPLE)
    node: Any = document
    for step in path:
        node = node[step]
    node[key] = 1
    assert any(key in problem for problem in broken(document))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("dlms", "clientAddress", 0),
        ("dlms", "authentication", "low"),
        ("dlms", "serialNumber", -1),
        ("connection", "type", "tpc"),
        ("connection", "port", 0),
        ("connection", "keepOpen", "maybe"),
    ],
)
def test_ranges_and_choices_are_refused(section: str, key: str, value: Any) -> None:
    document = copy.deepcopy(EXAMPLE)
    document["devices"][0][section][key] = value
    assert broken(document)


def test_what_the_gateway_injects_is_valid() -> None:
    assert broken({"id": "x", "name": "DLMS", "logLevel": "INFO", "devices": []}) == []


def test_every_key_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        for key, value in node.get("properties", {}).items():
            if "description" not in json.dumps(value):
                found.append(f"{path}.{key}")
        return found

    schema = document_schema()
    missing = undescribed(schema, "$")
    for name, node in schema["$defs"].items():
        missing += undescribed(node, name)
    assert missing == []
