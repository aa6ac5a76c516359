"""What the platform stores is what was read, with its cast of texts on or off."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config import Device
from dlms_connector.demo.platform_rules import MalformedError, stored
from dlms_connector.obis import Obis
from dlms_connector.reading import Kind, Poll, Reading, Value
from dlms_converters import diagnostics
from dlms_converters.shaping import shaped
from dlms_converters.stored_value import NumericTexts, stored_number, stored_value
from dlms_converters.uplink import DLMSUplinkConverter

LOG = logging.getLogger("DLMS_converter")

#: Texts that the platform would change, as measured on ThingsBoard 4.3.1.3 or read in its source.
CAST = (
    "00000001", "1.10", "-00.50", "00011", "00000000", "12345678901234567.890", "0", "7", "-7",
    "-0", ".5", "-.5", "4711", "9223372036854775807", "0018446744073709551616",
    "00.00000000000000001", "-0.00000000000000000", "\u0661\u0662", "\uff11.\uff12", "1.0", "0.1",
)  # fmt: skip
#: Texts that it keeps.
KEPT = (
    "", " ", "1 ", "+1", "1.", ".", "-", "--1", "1.2.3", "1e5", "0x10", "1,5", "A1", "NaN", "true",
    "18446744073709551616", "-9223372036854775809", "0.12345678901234567", "\U0001d7d9", "\u00b2",
    "{}", "[1]", "null",
)  # fmt: skip


def sent(value: Value, kind: Kind = "timeseries", texts: NumericTexts = "quoted") -> Any:
    device = Device.model_validate({"deviceName": "M1", "connection": {"host": "192.0.2.1"}})
    converter = DLMSUplinkConverter(device, LOG)
    converter.numeric_texts = texts
    reading = Reading(
        key="k", kind=kind, obis=Obis.parse("1-0:1.8.0"), class_id=1, attribute=2, value=value,
        unit=None, ts_ms=1_767_225_600_000,
    )  # fmt: skip
    data = converter.convert(None, Poll(readings=(reading,)))
    values = data.attributes.values if kind == "attributes" else data.telemetry[0].values
    return next(iter(values.values()))


def kept(value: Any, *, cast: bool = True) -> Any:
    """Return what the stand-in for the platform makes of a value."""
    return stored({"k": json.loads(json.dumps(value), parse_float=Decimal)}, cast=cast)["k"]


def read_back(value: Any) -> Any:
    """Read a stored value as the documentation says: what begins with `\"` is JSON text."""
    return json.loads(value) if isinstance(value, str) and value.startswith('"') else value


@pytest.mark.parametrize("kind", ["timeseries", "attributes"])
@pytest.mark.parametrize("text", CAST)
def test_texts_that_look_like_numbers_arrive_as_texts(text: str, kind: Kind) -> None:
    assert sent(text, kind) == f'"{text}"'
    assert read_back(kept(sent(text, kind))) == text


@pytest.mark.parametrize("text", KEPT)
def test_other_texts_are_sent_as_they_are(text: str) -> None:
    assert sent(text) == text == kept(text)


@pytest.mark.parametrize("text", ['"', '"1"', '"a', '"\\', '"\u00fc"'])
def test_texts_that_begin_with_a_quote_are_quoted_too(text: str) -> None:
    assert sent(text) != text
    assert read_back(kept(sent(text))) == text


@given(st.text(st.sampled_from('0123456789.-"\\eE+ \u0661\U0001d7d9'), max_size=30))
def test_every_text_arrives_unchanged(text: str) -> None:
    assert read_back(kept(stored_value(text))) == text
    assert kept(stored_value(text, "plain"), cast=False) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None), st.integers(-25, 25))
def test_every_number_arrives_exactly(value: Decimal, shift: int) -> None:
    number = value if value.adjusted() > 400 or value.adjusted() < -400 else value.scaleb(shift)
    for cast in (True, False):
        back = read_back(kept(stored_value(number), cast=cast))
        assert Decimal(back) == number


@pytest.mark.parametrize("value", [Decimal("7E-18"), 2**64, Decimal("1E-16")])
def test_a_number_that_the_platform_does_not_store_costs_no_other(value: Value) -> None:
    values = {"a": json.loads(json.dumps(stored_value(value)), parse_float=Decimal), "b": 1}
    assert stored(values, cast=False)["b"] == 1
    with pytest.raises(MalformedError):  # what a number would have cost
        stored({"a": Decimal("7E-18"), "b": 1}, cast=False)


def test_the_inside_of_objects_and_lists_is_not_cast() -> None:
    value: Value = {"serial": "00000001", "list": ["1.10", {"n": Decimal("90071992547409.93")}]}
    assert sent(value) == {"serial": "00000001", "list": ["1.10", {"n": "90071992547409.93"}]}


def test_plain_texts_for_platforms_that_do_not_cast() -> None:
    assert sent("00000001", texts="plain") == "00000001"
    assert sent('"', texts="plain") == '"'


def test_diagnostics_and_values_after_a_write_are_quoted_too() -> None:
    data = diagnostics.attributes("M1", "Meter", {"serial": "00000001", "limit": 5})
    assert list(data.attributes.values.values()) == ['"00000001"', 5]
    data = diagnostics.telemetry("M1", "Meter", 1, {"version": "1.10"}, "plain")
    assert list(data.telemetry[0].values.values()) == ["1.10"]


def test_names_in_structured_values_are_acceptable() -> None:
    assert sent({"I<Imax": [{"{{x}}": 1}]}) == {"I< Imax": [{"{ {x}}": 1}]}


@given(
    st.integers()
    | st.integers(-(1 << 64), 1 << 64)
    | st.decimals()
    | st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(-(10**17), 10**17),
        st.integers(-20, 4),
    )
    | st.booleans()
    | st.text(max_size=4)
    | st.none()
)
def test_the_short_way_of_usual_numbers_ends_where_the_long_one_does(value: Any) -> None:
    short = stored_number(value)
    if short is not None:
        long = stored_value(shaped(value, "V"))
        assert (type(short), repr(short)) == (type(long), repr(long))


@pytest.mark.parametrize(
    ("value", "stored"),
    [(Decimal("230.80"), 230.8), (Decimal("-0.00"), 0), (230, 230), (Decimal("12.000"), 12)],
)
def test_usual_numbers_go_the_short_way(value: Any, stored: Any) -> None:
    assert repr(stored_number(value)) == repr(stored)
