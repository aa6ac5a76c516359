"""The samples are good, and the schema that they name judges as the loader does.

Judge is the library `jsonschema`, which knows nothing of ours.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from dlms_connector.cli import main
from dlms_connector.config.loading import load
from dlms_connector.config.schema import document_schema
from dlms_connector.errors import ConfigError
from tests.support.places import CASES, GATEWAY_CONFIG
from tests.support.sample_files import NAMES, SAMPLES, SCHEMA, copied, document

JUDGE = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
#: What no list of keys and types can say: what two keys say together, or what a text means.
BEYOND_A_SCHEMA = {"refused_duplicates", "refused_push_rules", "refused_readout"}
#: Numbers in quotes, which an editor may mark and the loader takes.
LENIENT = {"numbers_as_text"}

Path_ = tuple[str | int, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("gateway-config")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in copied(made).items():
            patch.setenv(name, value)
        yield made / "samples"


def test_the_shipped_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == document_schema(), "run: make docs"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(document_schema())


def test_every_kind_is_there() -> None:
    assert [
        *("ciphered-fleet", "dial-in", "history", "india-is15959"),
        *("one-tcp-meter", "push", "serial-bus", "spodes"),
    ] == NAMES


def test_each_is_explained() -> None:
    text = (SAMPLES / "README.md").read_text("utf-8")
    assert [name for name in NAMES if f"`{name}.json`" not in text] == []


@pytest.mark.parametrize("path", [GATEWAY_CONFIG / "dlms.json", *SAMPLES.glob("*.json")], ids=str)
def test_the_schema_is_where_it_is_said_to_be(path: Path) -> None:
    named = json.loads(path.read_text("utf-8"))["$schema"]
    assert (path.parent / named).resolve() == SCHEMA


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_good(name: str, folder: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(folder / f"{name}.json")])
    assert (result.exit_code, result.stderr) == (0, "")
    assert list(JUDGE.iter_errors(document(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_schema_and_loader_agree_on_what_is_wrong(name: str, folder: Path) -> None:
    """Each value in turn is replaced by one of another kind, an object gets a key too many."""
    disagreed = []
    kinds = cycle((-99999, [1], {"zzz": 1}))
    for path, value in places(document(name)):
        wrong = {**value, "zzz": 1} if isinstance(value, dict) else next(kinds)
        changed = replaced(document(name), path, wrong)
        refused = bool(load(changed, base=folder).every_problem)
        if refused == JUDGE.is_valid(changed):
            disagreed.append((path, wrong))
    assert disagreed == []


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_they_agree_on_every_case(case: Path, tmp_path: Path) -> None:
    given = json.loads((case / "input.json").read_text("utf-8"))
    refused = case.name.startswith("refused")
    if refused:
        assert problems(given, tmp_path)
    if case.name in BEYOND_A_SCHEMA | LENIENT:
        return
    assert JUDGE.is_valid(given) != refused


def test_a_schema_that_is_no_text_is_refused(tmp_path: Path) -> None:
    assert problems({"$schema": 5, "devices": []}, tmp_path) == ("$schema: expected text, got 5",)


def problems(given: Any, base: Path) -> tuple[str, ...]:
    try:
        return load(given, base=base).every_problem
    except ConfigError as error:
        return error.problems


def places(node: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every value within a document, with the way to it."""
    if path:
        yield path, node
    inner: Any = node.items() if isinstance(node, dict) else ()
    for key, value in enumerate(node) if isinstance(node, list) else inner:
        yield from places(value, (*path, key))


def replaced(node: Any, path: Path_, value: Any) -> Any:
    changed = copy.deepcopy(node)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed
