"""Rows become readings: keys, instants, quality, events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.history.profile_readings import ProfileRead, readings_of
from dlms_connector.history.profile_status import flags_of
from dlms_connector.history.profiles import Column, Layout, Row
from dlms_connector.history.rows import in_order
from dlms_connector.interpret import ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.directive import Breath
from dlms_connector.reading import Value
from tests.support.commands import device

NOON = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
NOON_MS = 1_780_315_200_000
CLOCK = Column(AttributeRef(8, Obis.parse("0-0:1.0.0"), 2), None)


def column(text: str, class_id: int = 3, attribute: int = 2, **more: Any) -> Column:
    scaler = ScalerUnit(0, "Wh") if class_id == 3 else None
    return Column(AttributeRef(class_id, Obis.parse(text), attribute), scaler, **more)


ENERGY = column("1-0:1.8.0")
STATUS = column("0-0:96.10.1", 1)
EVENT = column("0-0:96.11.0", 1)


def row(minutes: float | None, *values: Value, columns: Sequence[Column], **more: Any) -> Row:
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    names = Layout(tuple(columns), 0).names
    units = {name: one.unit for name, one in zip(names, columns, strict=True)}
    return Row(at, dict(zip(names, values, strict=True)), units, **more)


def read(rows: Sequence[Row], *columns: Column, profile: Any = None, **keys: Any) -> ProfileRead:
    """Return the readings of rows of a profile with a clock and these columns."""
    entry = {"obis": "1-0:99.1.0", **(profile or {})}
    one: Device = device(profiles=[entry], **keys)
    (stated,) = one.profiles
    shape = Layout(
        (
            CLOCK,
            *(
                Column(
                    each.ref,
                    each.scaler,
                    each.part,
                    each.scaled,
                    stated.column(each.ref.obis, each.ref.attribute, each.part),
                )
                for each in columns
            ),
        ),
        900,
    )
    talk = readings_of(rows, shape, one, stated)
    while True:
        try:
            assert isinstance(next(talk), Breath)
        except StopIteration as done:
            result: ProfileRead = done.value
            return result


def sent(result: ProfileRead) -> dict[str, Value]:
    return {one.key: one.value for one in result.readings}


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        ({}, "load_active_energy"),
        ({"key": "lp"}, "lp_active_energy"),
        ({"columns": [{"obis": "1-0:1.8.0", "key": "energy"}]}, "energy"),
        ({"obis": "1-0:99.2.0"}, "load2_active_energy"),
        ({"obis": "0-0:98.1.0"}, "billing_active_energy"),
        ({"obis": "0-1:94.31.6"}, "profile_0_1_94_31_6_active_energy"),
    ],
)
def test_keys(profile: dict[str, Any], key: str) -> None:
    result = read([row(0, 5, columns=[ENERGY])], ENERGY, profile=profile)
    (reading,) = result.readings
    assert (reading.key, reading.value, reading.unit, reading.ts_ms) == (key, 5, "Wh", NOON_MS)
    assert (reading.class_id, reading.kind, str(reading.obis)) == (
        7, "timeseries", "1-0:1.8.0"
    )  # fmt: skip


def test_equal_names_are_told_apart() -> None:
    columns = [ENERGY, column("1-1:1.8.0"), ENERGY, column("1-0:1.6.0", 4, 5)]
    result = read([row(0, 1, 2, 3, "then", columns=columns)], *columns)
    assert sent(result) == {
        "load_active_energy": 1,
        "load_active_energy_ch1": 2,
        "load_active_energy_ch0": 3,
        "load_active_power_max_time": "then",
    }


def test_a_column_may_be_left_out_and_an_empty_cell_is_no_reading() -> None:
    columns = [ENERGY, column("1-0:2.8.0"), column("1-0:3.8.0")]
    ignored = {"columns": [{"obis": "1-0:2.8.0", "ignore": True}]}
    result = read([row(0, None, 2, 3, columns=columns)], *columns, profile=ignored)
    assert sent(result) == {"load_reactive_energy": 3}
    assert result.rows_ms == (NOON_MS,)
    empty = read([row(0, None, None, None, columns=columns)], *columns)
    assert (empty.rows_ms, empty.readings, empty.suspect) == ((NOON_MS,), (), 0)


def test_numbers_without_their_scaler_have_another_key_and_that_is_told() -> None:
    raw = column("1-0:1.8.0", scaled=False)
    result = read([row(0, 5, columns=[raw])], raw)
    assert sent(result) == {"load_active_energy_raw": 5}
    assert "does not give the scaler of 1-0:1.8.0" in result.remarks[0]


def test_rows_at_one_instant_are_sent_one_millisecond_apart() -> None:
    rows = [row(0, value, columns=[EVENT]) for value in (1, 2, 3)]
    rows += [row(0.00001, 4, columns=[EVENT]), row(1, 5, columns=[EVENT])]
    result = read(rows, EVENT)
    assert result.rows_ms == (*range(NOON_MS, NOON_MS + 4), NOON_MS + 60_000)
    assert [(one.ts_ms - NOON_MS, one.value) for one in result.readings] == [
        (0, 1), (1, 2), (2, 3), (3, 4), (60_000, 5)
    ]  # fmt: skip


def test_rows_without_a_time_are_not_sent_and_that_is_told() -> None:
    rows = [row(None, 1, columns=[ENERGY]), row(0, 2, columns=[ENERGY])]
    result = read(rows, ENERGY)
    assert (result.without_time, result.rows_ms) == (1, (NOON_MS,))
    assert "rows without a time are not sent" in result.remarks[0]


@pytest.mark.parametrize(
    ("status", "quality", "text"),
    [
        (0x00, "good", "good"),
        (0x08, "good", "good"),  # daylight saving
        (0x80, "suspect", "powerDown"),
        (0xA8, "suspect", "powerDown, clockAdjusted"),
        (0x07, "suspect", "dataNotValid, clockInvalid, criticalError"),
    ],
)
def test_the_status_of_a_row_is_its_quality(status: int, quality: str, text: str) -> None:
    columns = [STATUS, ENERGY]
    result = read([row(0, status, 5, columns=columns)], *columns)
    assert sent(result) == {"load_status": status, "load_active_energy": 5, "load_quality": text}
    assert {one.quality for one in result.readings} == {quality}
    assert result.suspect == (quality == "suspect")


@pytest.mark.parametrize(
    ("status", "standard", "stated", "text"),
    [
        (0x80, "SPAIN", None, "dataNotValid"),
        (0x0A, "SPAIN", None, "parametersChanged, powerDown"),
        (0x80, "INDIA", None, None),
        (0x80, "INDIA", "amr", "powerDown"),
        (0x80, "DLMS", "none", None),
        (0x180, "DLMS", None, None),
        ("10000000", "DLMS", None, None),
    ],
)
def test_bits_are_told_only_where_they_are_known(
    status: Value, standard: str, stated: str | None, text: str | None
) -> None:
    columns = [STATUS, ENERGY]
    result = read(
        [row(0, status, 5, columns=columns)],
        *columns,
        profile={"status": stated},
        dlms={"standard": standard},
    )
    assert sent(result).get("load_quality") == text
    assert sent(result)["load_status"] == status


def test_flags_that_cast_no_doubt_leave_the_quality_good() -> None:
    columns = [STATUS, ENERGY]
    result = read([row(0, 0x08, 5, columns=columns)], *columns, dlms={"standard": "SPAIN"})
    assert sent(result)["load_quality"] == "parametersChanged"
    assert result.suspect == 0


def test_a_clock_or_a_value_in_doubt_makes_a_row_suspect() -> None:
    rows = [
        row(0, 5, columns=[ENERGY], clock=("invalidValue", "doubtfulValue")),
        row(15, 6, columns=[ENERGY], suspect=frozenset({ENERGY.name})),
        row(30, 7, columns=[ENERGY]),
    ]
    result = read(rows, ENERGY)
    told = [(one.key, one.value, one.quality) for one in result.readings]
    assert told == [
        ("load_active_energy", 5, "suspect"),
        ("load_quality", "clockInvalid, clockDoubtful", "suspect"),
        ("load_active_energy", 6, "suspect"),
        ("load_quality", "unreadableValue", "suspect"),
        ("load_active_energy", 7, "good"),
    ]
    assert result.suspect == 2


@pytest.mark.parametrize(
    ("profile", "code", "expected"),
    [
        ({"events": "idis"}, 1, {"event": 1, "event_name": "power down"}),
        ({"events": "idis"}, 9999, {"event": 9999}),
        ({}, 1, {"event": 1}),
        (
            {"events": "dsmr", "key": "log"}, 2, {"log": 2, "log_name": "power up"},
        ),
        (
            {"events": "idis", "columns": [{"obis": "0-0:96.11.0", "key": "code"}]},
            1,
            {"code": 1, "code_name": "power down"},
        ),
        ({"events": "idis"}, Decimal("1.5"), {"event": Decimal("1.5")}),
        ({"events": "idis"}, True, {"event": True}),
    ],
)  # fmt: skip
def test_events_have_a_code_and_a_name(
    profile: dict[str, Any], code: Value, expected: dict[str, Value]
) -> None:
    log = {"obis": "0-0:99.98.0", **profile}
    assert sent(read([row(0, code, columns=[EVENT])], EVENT, profile=log)) == expected


def test_keys_are_acceptable_to_the_platform() -> None:
    result = read([row(0, 5, columns=[ENERGY])], ENERGY, profile={"key": "x" * 255})
    (reading,) = result.readings
    assert len(reading.key) == 255


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(-3, 3)), st.integers(0, 9)), max_size=12),
    st.booleans(),
)
def test_every_row_with_a_time_has_an_instant_of_its_own(
    told: list[tuple[int | None, int]], newest_first: bool
) -> None:
    rows = [row(minutes, value, columns=[ENERGY]) for minutes, value in told]
    result = read(in_order(rows, newest_first=newest_first), ENERGY)
    timed = [value for minutes, value in told if minutes is not None]
    assert len(result.rows_ms) == len(timed)
    assert result.without_time == len(told) - len(timed)
    assert all(one < other for one, other in pairwise(result.rows_ms))
    captured = sorted(NOON_MS + 60_000 * minutes for minutes, _ in told if minutes is not None)
    assert all(0 <= at - when < 12 for at, when in zip(result.rows_ms, captured, strict=True))
    assert [one.ts_ms for one in result.readings] == list(result.rows_ms)
    assert sorted(one.value for one in result.readings) == sorted(timed)  # type: ignore[type-var]


@given(st.one_of(st.integers(), st.text(), st.none(), st.booleans()))
def test_any_status_is_looked_at(status: Value) -> None:
    flags = flags_of(status, "amr")
    assert flags is None or len(flags) <= 8
