"""A JSON text is edited without touching the rest."""

import json

import pytest

from dlms_connector.installation import json_text

ENTRY = {"type": "custom", "class": "C"}


def _same_start(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


TEXTS = [
    '{\n  "a": {"x": [1,  2]},\n  "connectors": []\n}\n',
    '{\n  "connectors": [\n  ],\n  "b": "ü"\n}',
    '{\n\t"connectors": [\n\t\t{\n\t\t\t"type": "mqtt"\n\t\t}\n\t]\n}\n',
    '{"connectors": [{"type": "mqtt"}], "c": 1}',
    '{"connectors":[]}',
    '{"a": 1}',
    '{\n    "a": 1\n}\n',
    "{}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_append_changes_nothing_else(text: str) -> None:
    new = json_text.append(text, "connectors", ENTRY)
    before = json.loads(text)
    assert json.loads(new) == {**before, "connectors": [*before.get("connectors", []), ENTRY]}
    same = _same_start(text, new) + _same_start(text[::-1], new[::-1])
    assert same >= len(text) - len("[\n  ]")


@pytest.mark.parametrize("text", [text for text in TEXTS if "connectors" in text])
def test_remove_undoes_append(text: str) -> None:
    new = json_text.append(text, "connectors", ENTRY)
    index = len(json.loads(new)["connectors"]) - 1
    undone = json_text.remove(new, "connectors", index)
    assert undone == text.replace("[\n  ]", "[]")


def test_append_is_indented_like_its_neighbours() -> None:
    assert json_text.append(TEXTS[2], "connectors", ENTRY) == (
        '{\n\t"connectors": [\n\t\t{\n\t\t\t"type": "mqtt"\n\t\t},\n'
        '\t\t{\n\t\t\t"type": "custom",\n\t\t\t"class": "C"\n\t\t}\n\t]\n}\n'
    )


def test_remove_the_first_and_one_in_the_middle() -> None:
    text = '{"l": [{"n": 1},  {"n": 2}, {"n": 3}]}'
    assert json_text.remove(text, "l", 0) == '{"l": [{"n": 2}, {"n": 3}]}'
    assert json_text.remove(text, "l", 1) == '{"l": [{"n": 1}, {"n": 3}]}'


def test_replace() -> None:
    text = '{"l": [{"n": 1}, {"n": 2}]}'
    assert json_text.replace(text, "l", 1, {"n": 9}) == '{"l": [{"n": 1}, {"n": 9}]}'


@pytest.mark.parametrize("text", ["[]", "3", '{"connectors": {}}'])
def test_what_is_no_list_in_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a JSON"):
        json_text.append(text, "connectors", ENTRY)
