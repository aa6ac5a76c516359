"""Calls as the gateway hands them over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.commands.request import Arguments, Request, device_request
from dlms_connector.errors import CommandError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["device", "data", "id", "x"]), JSON))
def test_any_content_is_a_call_or_a_sentence(content: dict[str, Any]) -> None:
    try:
        sentence = f"a call needs {device_request(content).id}"
    except CommandError as error:
        sentence = str(error)
    assert sentence.startswith("a call needs ")


@given(JSON)
def test_any_parameters_are_taken_or_refused(params: Any) -> None:
    sentence = "m: "
    try:
        arguments = Arguments.read("m", params)
        arguments.obis()
        arguments.class_id(3)
        arguments.integer("attribute", 2, least=1, most=127)
        arguments.flag("force")
        arguments.done()
    except CommandError as error:
        sentence = str(error)
    assert sentence.startswith("m: ")


@pytest.mark.parametrize(
    ("params", "seconds"),
    [(None, None), ({}, None), ({"timeout": 2}, 2.0), ({"timeout": 0}, None),
     ({"timeout": -1}, None), ({"timeout": "9"}, 9.0), ({"timeout": True}, None),
     ({"timeout": 1e9}, None), ([1], None), ({"timeout": 0.5}, 0.5), ({"timeout": 10**400}, None),
     ('{"obis": "1-0:1.8.0", "timeout": 3}', 3.0), ("obis=1-0:1.8.0;timeout=3;", 3.0),
     ("{timeout", None), ("[3]", None), ({"timeout": float("nan")}, None)],
)  # fmt: skip
def test_what_the_caller_waits(params: Any, seconds: float | None) -> None:
    data = {"id": 1, "method": "m", "params": params}
    assert device_request({"device": "M1", "data": data}).timeout_s == seconds


def test_the_number_may_stand_beside_the_data() -> None:
    assert device_request({"device": "M1", "data": {"method": "m"}, "id": 5}).id == 5


def test_who_asked() -> None:
    assert Request("M1", 5, "m", None).who == "call 5 m"
    assert Request("M1", -1, "m", None).who == "call to the connector m"
    assert Request("M1", 5, "a\nb", None).who == "call 5 'a\\nb'"
    assert len(Request("M1", 5, "m" * 5000, None).who) < 120


def test_the_gateways_own_text() -> None:
    arguments = Arguments.read("m", " obis = 1-1:32.7.0 ; class=3;;attribute=2;value=[1, 2];")
    assert str(arguments.obis()) == "1-1:32.7.0"
    assert arguments.class_id(1) == 3
    assert arguments.integer("attribute", None, least=1, most=9) == 2
    assert arguments.value() == [1, 2]
    arguments.done()


@pytest.mark.parametrize(
    ("given", "flag"), [("true", True), (1, True), ("0", False), (False, False)]
)
def test_flags(given: Any, flag: bool) -> None:
    assert Arguments.read("m", {"force": given}).flag("force") is flag


def test_flags_that_are_none() -> None:
    with pytest.raises(CommandError, match="force: maybe is neither true nor false"):
        Arguments.read("m", {"force": "maybe"}).flag("force")
