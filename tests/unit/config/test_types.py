from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dlms_connector.config import types
from dlms_connector.config.report_strategy import ReportStrategy
from dlms_connector.config.shown import shown
from dlms_connector.config.types import duration


def read(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


def sentence(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", timedelta(days=7)),
        ("P1W", timedelta(weeks=1)),
        ("PT12H", timedelta(hours=12)),
        ("P1DT1H30M5S", timedelta(days=1, hours=1, minutes=30, seconds=5)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected
    assert read(types.Duration, text) == text


@pytest.mark.parametrize("text", ["", "P", "PT", "7D", "P1M", "P1Y", "PT1D", "p7d", "P0D", 7, None])
def test_no_durations(text: Any) -> None:
    assert "is not a duration such as P7D" in sentence(types.Duration, text)


def test_a_duration_that_no_clock_reaches() -> None:
    with pytest.raises(ValueError, match="too long"):
        duration("P999999999999D")


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), (" -3 ", -3), (3.0, 3)])
def test_whole_numbers(value: Any, number: int) -> None:
    assert read(types.Whole, value) == number


@pytest.mark.parametrize("value", [True, 1.5, "1.5", "", "x", None, float("nan"), float("inf"), []])
def test_no_whole_numbers(value: Any) -> None:
    assert "expected a whole number" in sentence(types.Whole, value)


@pytest.mark.parametrize(("value", "factor"), [(0.1, "0.1"), (1000, "1000"), ("0.001", "0.001")])
def test_multipliers_are_exact(value: Any, factor: str) -> None:
    assert read(types.Multiplier, value) == Decimal(factor)


@pytest.mark.parametrize("value", [0, "x", True, float("nan"), "inf", [], {}, "0"])
def test_no_multipliers(value: Any) -> None:
    assert "expected a number" in sentence(types.Multiplier, value)


@pytest.mark.parametrize("value", ["auto", "Auto", True, False, "true", "false"])
def test_keep_open(value: Any) -> None:
    assert read(types.KeepOpen, value) in ("auto", True, False)


@pytest.mark.parametrize("value", [1, 0, "on", None, []])
def test_no_keep_open(value: Any) -> None:
    assert 'is not one of "auto", true, false' in sentence(types.KeepOpen, value)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "ON_RECEIVED"},
        {"type": "on_change"},
        {"type": "ON_CHANGE", "reportPeriod": 5},
        {"type": "ON_REPORT_PERIOD", "reportPeriod": 1000, "ttl": 86400},
        {"type": "ON_CHANGE", "ttl": 0},
        {"type": "DISABLED", "aggregationFunction": None},
    ],
)
def test_report_strategies(value: dict[str, Any]) -> None:
    assert read(ReportStrategy, value) == value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("ON_CHANGE", "expected an object"),
        ({}, "type null is not one of ON_REPORT_PERIOD"),
        ({"type": 5}, "type 5 is not one of"),
        ({"type": "ON_CHANGE", "period": 5}, "unknown key period"),
        ({"type": "ON_REPORT_PERIOD"}, "needs a reportPeriod in ms"),
        ({"type": "ON_REPORT_PERIOD", "reportPeriod": 0}, "at least 1, not 0"),
        ({"type": "ON_RECEIVED", "ttl": True}, "needs a ttl in s"),
        ({"type": "ON_RECEIVED", "ttl": -1}, "at least 0, not -1"),
    ],
)
def test_no_report_strategies(value: Any, problem: str) -> None:
    assert problem in sentence(ReportStrategy, value)


@pytest.mark.parametrize("host", ["10.0.0.1", "meter-1.example", "fe80::1%eth0", " h ", "::1"])
def test_hosts(host: str) -> None:
    assert read(types.Host, host) == host.strip()


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("10.0.0.1:3333", "has the port in it"),
        ("[::1]:3333", "has the port in it"),
        ("tcp://10.0.0.1", "is not a name or address"),
        ("10.0.0.1 3333", "is not a name or address"),
    ],
)
def test_no_hosts(host: str, problem: str) -> None:
    assert problem in sentence(types.Host, host)


@pytest.mark.parametrize("formula", ["SN", "SN % 10000 + 1000", "(sn/2)*3-1"])
def test_formulas(formula: str) -> None:
    assert read(types.Formula, formula) == formula


@pytest.mark.parametrize("name", ["uint16", "long-unsigned", "octetString", "Double Long"])
def test_type_names(name: str) -> None:
    assert read(types.TypeName, name) == name


@pytest.mark.parametrize("name", ["uint99", "", "number", 18, None])
def test_no_type_names(name: Any) -> None:
    assert "COSEM type such as long-unsigned" in sentence(types.TypeName, name)


@pytest.mark.parametrize(
    "formula",
    ["", "S", "SN; exit()", "__import__('os')", 5, "SN %", "SN % 0", "((SN", "2 SN", "SN ** 2"],
)
def test_no_formulas(formula: Any) -> None:
    assert "is not a formula such as" in sentence(types.Formula, formula)


def test_networks() -> None:
    assert read(types.Network, "10.1.2.3/8") == "10.0.0.0/8"
    for value in ("10.0.0.0/33", False, 5, None, ""):
        assert "is not a network" in sentence(types.Network, value)


def test_values_are_shown_briefly() -> None:
    assert [shown(value) for value in (None, True, 1.5, "a", [1], {"a": 1}, float("nan"))] == [
        *("null", "true", "1.5", "'a'", "a list", "an object", "NaN")
    ]
    assert len(shown("x" * 1000)) < 80


@pytest.mark.parametrize("name", ["idna", "punycode", "undefined", "hex", "rot13", "zip", "gone"])
def test_encodings_that_do_not_decode_every_octet_are_refused(name: str) -> None:
    assert "no text encoding" in sentence(types.Encoding, name)


@pytest.mark.parametrize("name", ["cp1251", "latin-1", "UTF-8", "koi8-r", "utf-16"])
def test_encodings(name: str) -> None:
    assert read(types.Encoding, name) == name
