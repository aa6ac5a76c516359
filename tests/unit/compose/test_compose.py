"""JSON values into COSEM data."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.compose import Target, compose, data_type
from dlms_connector.compose.values import INTEGERS
from dlms_connector.cosem import NAMES, AttributeRef
from dlms_connector.errors import CommandError
from dlms_connector.interpret import ScalerUnit, interpret
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import decode, encode
from dlms_connector.protocol.data.data import Data, DataType, array, structure

VOLTAGE = AttributeRef(3, Obis.parse("1-0:32.7.0"), 2)


def target(**known: Any) -> Target:
    return Target(name="1-0:32.7.0", **known)


def ref(class_id: int, attribute: int) -> AttributeRef:
    return AttributeRef(class_id, Obis.parse("0-0:13.0.0"), attribute)


@pytest.mark.parametrize(
    ("value", "scaler", "raw"),
    [
        (230.5, -1, 2305),
        ("230.5", -1, 2305),
        (Decimal("230.5"), -1, 2305),
        (0.1, -3, 100),
        (5000, 3, 5),
        (0, -2, 0),
        (7, 0, 7),
        (1e3, 0, 1000),
    ],
)
def test_scaling_is_the_exact_inverse(value: Any, scaler: int, raw: int) -> None:
    known = Data(DataType.LONG_UNSIGNED, 1)
    assert compose(target(known=known, scaler=scaler), value) == Data(DataType.LONG_UNSIGNED, raw)


@pytest.mark.parametrize(
    ("value", "scaler", "sentence"),
    [
        (230.55, -1, "230.55 cannot be written exactly: the meter counts in steps of 0.1"),
        (70000, 0, "70000 is not in 0..65535 (LONG_UNSIGNED)"),
        (-1, 0, "-1 is not in 0..65535 (LONG_UNSIGNED)"),
        (6553.6, -1, "6553.6 is not in 0.0..6553.5 (LONG_UNSIGNED)"),
        (True, 0, "True is not a number"),
        ("many", 0, "'many' is not a number"),
        ("NaN", 0, "'NaN' is not a number"),
        ("1e999999", 0, "1e999999 is more than any type holds"),
        ([1], 0, "[1] is not a number"),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, scaler: int, sentence: str) -> None:
    known = Data(DataType.LONG_UNSIGNED, 1)
    with pytest.raises(CommandError) as caught:
        compose(target(known=known, scaler=scaler), value)
    assert str(caught.value) == f"1-0:32.7.0: {sentence}"


@given(st.sampled_from(sorted(INTEGERS)), st.data(), st.integers(-6, 6))
def test_whatever_the_meter_shows_can_be_written_back(
    type_: DataType, data: st.DataObject, scaler: int
) -> None:
    least, most = INTEGERS[type_]
    held = Data(type_, data.draw(st.integers(least, most)))
    shown, _ = interpret(VOLTAGE, held, ScalerUnit(scaler))
    assert compose(target(known=held, scaler=scaler), shown) == held


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("uint16", 5, Data(DataType.LONG_UNSIGNED, 5)),
        ("long-unsigned", 5, Data(DataType.LONG_UNSIGNED, 5)),
        ("doubleLong", -5, Data(DataType.DOUBLE_LONG, -5)),
        ("enum", 1, Data(DataType.ENUM, 1)),
        ("boolean", "on", Data(DataType.BOOLEAN, True)),
        ("boolean", False, Data(DataType.BOOLEAN, False)),
        ("octet-string", "0A0b", Data(DataType.OCTET_STRING, b"\x0a\x0b")),
        ("octet-string", "text:hi", Data(DataType.OCTET_STRING, b"hi")),
        ("visible-string", "hi", Data(DataType.VISIBLE_STRING, b"hi")),
        ("bit-string", "0101", Data(DataType.BIT_STRING, "0101")),
        ("float32", 230.1, Data(DataType.FLOAT32, 230.10000610351562)),
        ("float64", 0.1, Data(DataType.FLOAT64, 0.1)),
        ("null", None, Data(DataType.NULL)),
        ("array", [{"type": "enum", "value": 1}], array(Data(DataType.ENUM, 1))),
    ],
)
def test_named_types(type_: str, value: Any, expected: Data) -> None:
    data = compose(target(type=type_), value)
    assert data == expected
    encode(data)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("boolean", "maybe"),
        ("octet-string", "xyz"),
        ("visible-string", 5),
        ("bit-string", "012"),
        ("float32", 230.123456789),
        ("float32", 1e300),
        ("float32", "1e-60"),
        ("float64", "1e400"),
        ("float64", "1e-400"),
        ("float64", "1e5000000"),
        ("float64", "1.00000000000000000000000000001"),
        ("int64", "1.00000000000000000000000000001"),
        ("int64", "1" * 5000),
        ("null", 1),
        ("array", "text"),
        ("array", [1]),
        ("compact-array", []),
        ("furlong", 1),
    ],
)
def test_values_that_a_type_cannot_hold(type_: str, value: Any) -> None:
    with pytest.raises(CommandError):
        compose(target(type=type_), value)


@given(
    st.one_of(
        st.tuples(st.just(DataType.FLOAT32), st.floats(width=32)),
        st.tuples(st.just(DataType.FLOAT64), st.floats()),
        st.tuples(st.just(DataType.LONG64), st.integers(-(1 << 63), (1 << 63) - 1)),
        st.tuples(st.just(DataType.LONG64_UNSIGNED), st.integers(0, (1 << 64) - 1)),
    ),
    st.integers(-128, 127),
)
def test_what_is_shown_can_be_written_back(held: tuple[DataType, Any], scaler: int) -> None:
    known = Data(*held)
    value, _ = interpret(VOLTAGE, known, ScalerUnit(scaler))
    if value is not None:  # not a number, or infinite
        written = compose(target(known=known, scaler=scaler), value)
        assert encode(written) == encode(known)
        assert written == decode(encode(known))[0]


def test_numbers_in_lists_are_scaled_as_they_are_shown() -> None:
    held = array(Data(DataType.LONG_UNSIGNED, 2305), Data(DataType.LONG_UNSIGNED, 2310))
    shown, _ = interpret(VOLTAGE, held, ScalerUnit(-1))
    assert shown == [Decimal("230.5"), Decimal(231)]
    to = target(known=held, scaler=-1)
    assert compose(to, shown) == held
    assert compose(to, [{"type": "uint16", "value": 2305}, 231]) == held
    with pytest.raises(CommandError, match=r"\[1\]: 0.05 cannot be written exactly"):
        compose(to, [1, 0.05])


def test_the_meters_own_type_goes_before_the_named_one() -> None:
    known = Data(DataType.UNSIGNED, 1)
    assert compose(target(known=known, type="uint32"), 7) == Data(DataType.UNSIGNED, 7)


def test_a_typed_value_goes_before_both() -> None:
    known = Data(DataType.UNSIGNED, 1)
    value = {"type": "uint32", "value": 7}
    assert compose(target(known=known), value) == Data(DataType.DOUBLE_LONG_UNSIGNED, 7)


def test_without_any_type_the_caller_is_asked_for_one() -> None:
    with pytest.raises(CommandError, match="give it as `type`"):
        compose(target(), 7)


def test_structures_take_the_types_of_what_they_replace() -> None:
    known = structure(Data(DataType.UNSIGNED, 1), array(Data(DataType.ENUM, 0)))
    expected = structure(
        Data(DataType.UNSIGNED, 2), array(Data(DataType.ENUM, 1), Data(DataType.ENUM, 2))
    )
    assert compose(target(known=known), [2, [1, 2]]) == expected
    with pytest.raises(CommandError, match="has 2 elements, not 1"):
        compose(target(known=known), [2])


SEASON = structure(
    Data(DataType.OCTET_STRING, b"summer"),
    Data(DataType.OCTET_STRING, bytes.fromhex("FFFF0401FF 000000 00 8000 FF")),
    Data(DataType.OCTET_STRING, b"week1"),
)


@pytest.mark.parametrize(
    ("where", "held"),
    [
        (ref(20, 7), array(SEASON)),
        (
            ref(20, 8),
            array(
                structure(
                    Data(DataType.OCTET_STRING, b"week1"),
                    *(Data(DataType.UNSIGNED, day) for day in (1, 1, 1, 1, 1, 2, 2)),
                )
            ),
        ),
        (
            ref(20, 9),
            array(
                structure(
                    Data(DataType.UNSIGNED, 1),
                    array(
                        structure(
                            Data(DataType.OCTET_STRING, bytes((6, 30, 0, 0))),
                            Data(DataType.OCTET_STRING, Obis.parse("0-0:10.0.100").octets),
                            Data(DataType.LONG_UNSIGNED, 2),
                        )
                    ),
                )
            ),
        ),
        (
            ref(11, 2),
            array(
                structure(
                    Data(DataType.LONG_UNSIGNED, 1),
                    Data(DataType.OCTET_STRING, bytes.fromhex("FFFF0C19FF")),
                    Data(DataType.UNSIGNED, 3),
                )
            ),
        ),
        (ref(8, 2), Data(DataType.OCTET_STRING, bytes.fromhex("07EA0C1905061E0000FFC400"))),
        (
            ref(71, 2),
            structure(
                Data(DataType.LONG_UNSIGNED, 3),
                Data(DataType.OCTET_STRING, Obis.parse("1-0:1.7.0").octets),
                Data(DataType.INTEGER, 2),
            ),
        ),
        (ref(71, 9), array(Data(DataType.LONG_UNSIGNED, 1), Data(DataType.LONG_UNSIGNED, 9))),
        (ref(8, 5), Data(DataType.OCTET_STRING, bytes.fromhex("FFFF03FE0702000000 8000 FF"))),
    ],
    ids=[
        "seasons",
        "weeks",
        "days",
        "special-days",
        "clock",
        "monitored-value",
        "groups",
        "last-sunday",
    ],
)
def test_readable_forms_are_what_the_meter_shows(where: AttributeRef, held: Data) -> None:
    shown, _ = interpret(where, held)
    data = compose(Target(name="x", ref=where), shown)
    assert data == held
    assert decode(encode(data))[0] == data


def octets(value: bytes | str) -> Data:
    return Data(DataType.OCTET_STRING, bytes.fromhex(value) if isinstance(value, str) else value)


@pytest.mark.parametrize(
    ("where", "held"),
    [
        (ref(1, 2), octets(b"ABC")),
        (ref(1, 2), octets(b"Main Street 5")),
        (ref(1, 2), octets("0102")),
        (ref(1, 2), octets(b"")),
        (ref(1, 2), octets("07EA0C1905 061E0000 FFC4 00")),
        (ref(1, 2), Data(DataType.DATE_TIME, octets("07EA0C1905 061E0000 FFC4 00").value)),
        (ref(1, 2), Data(DataType.DATE, octets("07EA0C1905").value)),
        (ref(1, 2), Data(DataType.TIME, octets("061E0000").value)),
        (ref(8, 2), Data(DataType.DATE_TIME, octets("07EA0C1905 061E0000 FFC4 00").value)),
        (ref(20, 6), octets("01")),
        (ref(20, 6), octets(b"S1  ")),
        (ref(20, 10), octets("FFFFFFFFFF FFFFFFFF 8000 FF")),
        (
            ref(20, 8),
            array(structure(octets("01"), *(Data(DataType.INTEGER, 1) for _ in range(7)))),
        ),
        (
            ref(40, 3),
            structure(Data(DataType.ENUM, 1), octets(b"10.0.0.1"), Data(DataType.ENUM, 0)),
        ),
        (
            ref(40, 4),
            array(
                structure(
                    octets("FFFFFFFFFF 000000 00 8000 FF"), octets("FFFFFFFFFF 060000 00 8000 FF")
                )
            ),
        ),
        (ref(29, 6), array(octets("0A000001"), octets(b"10.0.0.1"))),
        (ref(41, 3), octets("000019 0100FF")),
        (
            ref(71, 8),
            structure(
                Data(DataType.LONG_UNSIGNED, 1),
                octets("FFFFFFFFFF FFFFFFFF 8000 FF"),
                Data(DataType.DOUBLE_LONG_UNSIGNED, 60),
            ),
        ),
        (ref(42, 3), Data(DataType.DOUBLE_LONG_UNSIGNED, 0xC0A8017F)),
        (ref(42, 3), octets("C0A8017F")),
        (ref(43, 2), octets("001122AABBCC")),
        (ref(45, 2), octets(b"internet")),
    ],
)
def test_whatever_is_shown_is_written_in_the_types_that_the_meter_holds(
    where: AttributeRef, held: Data
) -> None:
    shown, _ = interpret(where, held)
    assert compose(Target(name="x", ref=where, known=held), shown) == held


@pytest.mark.parametrize(
    ("type_", "value", "written"),
    [
        ("date-time", "2026-12-25T06:30:00+01:00", "07EA0C1905 061E0000 FFC4 00"),
        ("date-time", "07EA0C1905 061E0000 FFC4 00", "07EA0C1905 061E0000 FFC4 00"),
        ("date", "****-12-25", "FFFF0C19FF"),
        ("time", "06:30", "061E0000"),
        ("octet-string", "2026-12-25T06:30:00+01:00", "07EA0C1905 061E0000 FFC4 00"),
    ],
)
def test_moments_of_a_named_type(type_: str, value: str, written: str) -> None:
    expected = Data(data_type(type_), octets(written).value)
    assert compose(target(type=type_), value) == expected
    assert compose(target(known=Data(DataType.NULL), type=type_), value) == expected
    assert compose(target(), {"type": type_, "value": value}) == expected


def test_what_can_be_text_or_hexadecimal_is_asked_for() -> None:
    target = Target(name="x", ref=ref(1, 2), known=octets(b"12345678"))
    with pytest.raises(CommandError, match=r"write it as `text:87654321` or `hex:87654321`"):
        compose(target, "87654321")
    assert compose(target, "text:87654321") == octets(b"87654321")
    assert compose(target, "hex:87654321") == octets("87654321")
    assert compose(replace(target, type="octet-string"), "87654321") == octets("87654321")


def test_a_value_that_the_meters_own_type_cannot_hold_keeps_its_own() -> None:
    held = array(
        structure(Data(DataType.UNSIGNED, 1), octets("FFFF0C19FF"), Data(DataType.UNSIGNED, 1))
    )
    target = Target(name="x", ref=ref(11, 2), known=held)
    (day,) = compose(target, [{"index": 300, "date": "****-12-25", "dayId": 1}]).value
    assert day.value[0] == Data(DataType.LONG_UNSIGNED, 300)


@pytest.mark.parametrize("where", sorted(NAMES))
def test_names_that_are_shown_can_be_written(where: tuple[int, int]) -> None:
    for code in (*NAMES[where], 250):
        held = Data(DataType.ENUM, code)
        shown, _ = interpret(ref(*where), held)
        assert compose(Target(name="x", ref=ref(*where), known=held), shown) == held


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (ref(11, 2), [{"index": 1}], r"x\[0\]: exactly index, date, dayId are expected"),
        (ref(11, 2), [{"index": 1, "date": "2026-02-30", "dayId": 1}], "there is no day 02-30"),
        (ref(11, 2), {"index": 1}, "is not a list"),
        (ref(8, 2), "tomorrow", "is not a date and time such as"),
        (ref(8, 2), "2026-06-01T00:00:00.123+02:00", "cannot be written exactly"),
        (ref(8, 2), "2026-06-01T00:00:00+02:00:30", "cannot be written exactly"),
        (ref(8, 2), None, "None is not a date and time"),
        (ref(42, 3), "192.168.1", "is not an address"),
        (ref(43, 2), "somewhere", "is neither hexadecimal"),
        (ref(7, 5), "sorted", "'sorted' is not a number"),
        (ref(22, 4), [{"time": "25:00:00", "date": "****-**-**"}], "is not a time of day"),
    ],
)
def test_wrong_forms_are_explained(where: AttributeRef, value: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        compose(Target(name="x", ref=where, type="enum"), value)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("2026-12-25T06:30:00+01:00", "07EA0C1905 061E0000 FFC4 00"),
        ("2026-12-25T05:30:00Z", "07EA0C1905 051E0000 0000 00"),
        ("2026-12-25T06:30:00.50+01:00", "07EA0C1905 061E0032 FFC4 00"),
        ("****-12-25 06:30:00", "FFFF0C19FF 061E0000 8000 FF"),
        ("2026-12-25", "07EA0C1905 FFFFFFFF 8000 FF"),
        ("****-dstEnd-last 7 03:00", "FFFFFDFE07 03000000 8000 FF"),
    ],
)
def test_moments(text: str, octets: str) -> None:
    data = compose(Target(name="x", ref=ref(8, 2)), text)
    assert data.value == bytes.fromhex(octets)


def test_octets_can_always_be_given_as_they_are() -> None:
    octets = "hex:07EA0C1905061E0000FFC400"
    data = compose(Target(name="x", ref=ref(8, 2), type="octet-string"), octets)
    assert data == Data(DataType.OCTET_STRING, bytes.fromhex(octets[4:]))


@pytest.mark.parametrize("name", ["uint16", "Long_Unsigned", "LONG UNSIGNED", "longUnsigned"])
def test_type_names_are_read_kindly(name: str) -> None:
    assert data_type(name) is DataType.LONG_UNSIGNED


def test_every_type_is_known_by_its_name() -> None:
    assert [data_type(each.name) for each in DataType] == list(DataType)


def test_what_is_no_type_is_refused() -> None:
    with pytest.raises(CommandError, match="'uint99' is not a COSEM type"):
        data_type("uint99")
