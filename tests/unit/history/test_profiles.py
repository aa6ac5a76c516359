"""Rows of a simulated meter's load profile, in whichever way it gives them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.config import Profile
from dlms_connector.cosem import AttributeRef, ByEntry
from dlms_connector.errors import CommandError, ObjectError
from dlms_connector.history import range_reading
from dlms_connector.history.layouts import layout
from dlms_connector.history.profile_reading import Ways, by_time, last
from dlms_connector.history.profiles import Column, Layout
from dlms_connector.history.range_reading import Question
from dlms_connector.history.rows import read_rows, rows_of
from dlms_connector.interpret import Options, ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.data import Data, DataType, array, structure
from dlms_connector.protocol.directive import Breath
from dlms_connector.simulator.encoding.data import INT32, NOTHING, enum, u32
from dlms_connector.simulator.encoding.data import Data as Theirs
from tests.support.commands import Desk, Link, device
from tests.support.generated import ANY
from tests.support.simulated import NOW, make_meter

LOAD = Obis.parse("1-0:99.1.0")
END = datetime.fromtimestamp(NOW // 900 * 900, timezone.utc)
START = END - timedelta(hours=2)
OPTIONS = Options()


def link(*faults: str, **options: Any) -> Link:
    meter = make_meter(profile_days=2, **options)
    for fault in faults:
        meter.faults.set(fault)
    return Link(meter, device())


def times(rows: Any) -> list[datetime]:
    return [row.at for row in rows]


NINE = [START + timedelta(minutes=15 * number) for number in range(9)]


@pytest.mark.parametrize(
    ("faults", "way"),
    [
        ((), 0),
        (("no-range",), 2),
        (("no-range", "no-entry"), 3),
        (("compressed-rows",), 0),
        (("no-range", "compressed-rows"), 2),
    ],
)
def test_a_range_by_whatever_way_works_and_that_is_learned(
    faults: tuple[str, ...], way: int
) -> None:
    one = link(*faults)
    ways: Ways = {}
    rows = one.hold(by_time(one.client, LOAD, START, END, OPTIONS, ways))
    assert times(rows) == NINE
    assert ways == {LOAD: way}
    before = one.meter.seen["get"]
    assert times(one.hold(by_time(one.client, LOAD, START, END, OPTIONS, ways))) == NINE
    asked = one.meter.seen["get"] - before
    one.meter.seen.clear()
    assert asked <= len(one.hold(layout(one.client, LOAD)).columns) + 8


def test_a_way_that_is_lost_is_replaced() -> None:
    one = link()
    ways: Ways = {}
    one.hold(by_time(one.client, LOAD, START, END, OPTIONS, ways))
    one.meter.faults.set("no-range")
    assert times(one.hold(by_time(one.client, LOAD, START, END, OPTIONS, ways))) == NINE
    assert ways == {LOAD: 2}


def test_an_empty_range_is_no_reason_to_read_everything() -> None:
    one = link()
    ways: Ways = {}
    years_ago = END - timedelta(days=700)
    assert one.hold(by_time(one.client, LOAD, years_ago, years_ago, OPTIONS, ways)) == []
    assert ways == {}


def test_a_meter_that_knows_no_deviation() -> None:
    """Ranges with a deviation find nothing; the same without do."""
    one = link(utc_offset_minutes=0)
    ways: Ways = {}
    real, asked = one.meter.faults, []

    def by_time_without(client: Any) -> Any:
        inner = client.get

        def get(refs: Any) -> Any:
            selection = refs[0].selection
            if selection is not None:
                asked.append(getattr(selection, "skip", "entries"))
                if getattr(selection, "skip", "") is None:
                    yield from ()
                    return [Data(DataType.ARRAY, ())]
            return (yield from inner(refs))

        client.get = get
        return by_time(client, LOAD, START, END, OPTIONS, ways)

    assert times(one.hold(by_time_without(one.client))) == NINE
    assert len(asked) == 2
    assert ways == {LOAD: 1}
    assert real is one.meter.faults


@pytest.mark.parametrize("faults", [(), ("no-entry",), ("compressed-rows",)])
def test_the_newest_rows(faults: tuple[str, ...]) -> None:
    one = link(*faults)
    rows = one.hold(last(one.client, LOAD, 3, OPTIONS))
    assert times(rows) == NINE[-3:]
    assert set(rows[0].values) == {"0-0:96.10.1", "1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0"}
    assert len(one.hold(last(one.client, LOAD, 5000, OPTIONS))) == 192


def test_a_profile_that_is_not_there() -> None:
    one = link()
    with pytest.raises(ObjectError):
        one.hold(by_time(one.client, Obis.parse("1-0:99.9.0"), START, END, OPTIONS, {}))


def columns(*classes: int) -> tuple[Column, ...]:
    shape = link()
    clock, _, energy, *_ = shape.hold(layout(shape.client, LOAD)).columns
    return tuple({8: clock, 3: energy}[number] for number in classes)


def moment(text: str) -> Data:
    return Data(DataType.OCTET_STRING, bytes.fromhex(text))


NOON = "07EA0601010C0000FF000000"


def test_rows_without_a_clock() -> None:
    (row,) = rows_of(array(structure(number(5))), Layout(columns(3), 0), OPTIONS)
    assert (row.at, dict(row.values)) == (None, {"1-0:1.8.0": 5})


def number(value: int) -> Data:
    return Data(DataType.DOUBLE_LONG_UNSIGNED, value)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (moment(NOON), datetime(2026, 6, 1, 12, tzinfo=timezone.utc)),
        (moment("090C" + NOON), datetime(2026, 6, 1, 12, tzinfo=timezone.utc)),
        (
            structure(moment("0000010000FF"), moment(NOON), Data(DataType.LONG, 0)),
            datetime(2026, 6, 1, 12, tzinfo=timezone.utc),
        ),
        (structure(moment(NOON)), None),
        (number(1_780_315_200), datetime(2026, 6, 1, 12, tzinfo=timezone.utc)),
        (Data(DataType.NULL), None),
        (moment("FF" * 12), None),
        (Data(DataType.LONG64, 2**62), None),
        (Data(DataType.BOOLEAN, True), None),
    ],
)
def test_clocks_in_rows(cell: Data, expected: datetime | None) -> None:
    (row,) = rows_of(array(structure(cell, number(5))), Layout(columns(8, 3), 900), OPTIONS)
    assert row.at == expected


def test_rows_that_follow_the_newest_count_backwards() -> None:
    buffer = array(structure(moment(NOON), number(1)), structure(Data(DataType.NULL), number(2)))
    rows = rows_of(buffer, Layout(columns(8, 3), 900, newest_first=True), OPTIONS)
    assert rows[0].at is not None
    assert rows[1].at == rows[0].at - timedelta(minutes=15)


def test_ragged_rows_are_no_rows() -> None:
    with pytest.raises(CommandError, match="has 1 cells for 2 columns"):
        rows_of(array(structure(number(5))), Layout(columns(8, 3), 0), OPTIONS)


NULL = Data(DataType.NULL)
BERLIN = ZoneInfo("Europe/Berlin")


def local(*hours: str) -> list[Data]:
    """Return times of 2026-10-25 without deviation and status."""
    return [
        moment(f"07EA0A1907 {int(hour):02X}{int(minute):02X}00FF 8000FF")
        for hour, minute in (text.split(":") for text in hours)
    ]


def test_null_data_is_the_value_of_the_row_before() -> None:
    cells = [(number(100), NULL), (NULL, number(7)), (NULL, NULL), (number(101), NULL)]
    shape = Layout(columns(3, 3), 900)
    rows = rows_of(array(*(structure(*row) for row in cells)), shape, OPTIONS)
    assert [list(row.values.values()) for row in rows] == [
        [100, None], [100, 7], [100, 7], [101, 7]
    ]  # fmt: skip


def test_deltas_are_added_to_the_row_before() -> None:
    cells = (
        Data(DataType.DELTA_UNSIGNED, 3),  # to nothing
        number(1_000_000),
        Data(DataType.DELTA_UNSIGNED, 250),
        NULL,
        Data(DataType.DELTA_LONG, -50),
    )
    rows = rows_of(array(*map(structure, cells)), Layout(columns(3), 0), OPTIONS)
    values = [row.values["1-0:1.8.0"] for row in rows]
    assert values == [None, 1_000_000, 1_000_250, 1_000_250, 1_000_200]


def test_unix_time_that_is_told_as_a_delta() -> None:
    cells = (
        number(1_780_315_200),
        Data(DataType.DELTA_LONG, 900),
        NULL,
        Data(DataType.DELTA_LONG, 9),
    )
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 60), OPTIONS)
    noon = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    minutes = [row.at and (row.at - noon) // timedelta(minutes=1) for row in rows]
    assert minutes == [0, 15, 16, None]


def test_parts_and_repeated_columns_lose_no_value() -> None:
    ref = AttributeRef(47, Obis.parse("0-0:25.6.0"), 6)
    energy = columns(3)[0]
    captured = (Column(ref, None, 3), Column(ref, None, 4), energy, energy, energy)
    row = structure(*(Data(DataType.UNSIGNED, value) for value in range(5)))
    (only,) = rows_of(array(row), Layout(captured, 0), OPTIONS)
    assert only.values == {
        "0-0:25.6.0:6[3]": 0,
        "0-0:25.6.0:6[4]": 1,
        "1-0:1.8.0": 2,
        "1-0:1.8.0#2": 3,
        "1-0:1.8.0#3": 4,
    }


def test_a_second_clock_is_a_value() -> None:
    clock = columns(8)[0]
    other = Column(AttributeRef(8, Obis.parse("0-1:1.0.0"), 2), None)
    cells = structure(moment(NOON), moment("07EA0601010D0000FF000000"))
    (row,) = rows_of(array(cells), Layout((clock, other), 0), OPTIONS)
    assert row.at == datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    assert row.values == {"0-1:1.0.0": "2026-06-01T13:00:00+00:00"}


LOGICAL_NAME = Data(DataType.OCTET_STRING, Obis.parse("1-0:1.8.0").octets)
KILO = structure(Data(DataType.INTEGER, 1), Data(DataType.ENUM, 30))


@pytest.mark.parametrize(
    ("cell", "whole", "value", "unit"),
    [
        (structure(number(12345), KILO), False, 123450, "Wh"),
        (structure(LOGICAL_NAME, number(12345), KILO), True, 123450, "Wh"),
        (structure(LOGICAL_NAME, number(12345)), True, Decimal("123.45"), "kWh"),
        (structure(LOGICAL_NAME, number(12345), NULL), True, Decimal("123.45"), "kWh"),
        (structure(LOGICAL_NAME), True, [str(LOGICAL_NAME.value.hex()).upper()], None),
        (number(12345), True, Decimal("123.45"), "kWh"),
        (structure(number(1), number(2)), False, [1, 2], None),
        (structure(number(1), number(2), number(3)), True, [1, 2, 3], None),
        (structure(), True, [], None),
    ],
)
def test_a_whole_object_has_its_own_scaler(
    cell: Data, whole: bool, value: Any, unit: str | None
) -> None:
    ref = AttributeRef(3, Obis.parse("1-0:1.8.0"), 2)
    energy = Column(ref, ScalerUnit(-2, "kWh"), whole=whole)
    (row,) = rows_of(array(structure(cell)), Layout((energy,), 0), OPTIONS)
    assert row.values == {"1-0:1.8.0": value}
    if unit is not None:
        assert row.units["1-0:1.8.0"] == unit
    assert not row.suspect


@pytest.mark.parametrize(("clock", "period_s"), [(NOON, 2**62), ("270F0C1F05173B3BFF000000", 900)])
def test_no_meter_counts_beyond_all_calendars(clock: str, period_s: int) -> None:
    buffer = array(structure(moment(clock), number(1)), structure(NULL, number(2)))
    assert rows_of(buffer, Layout(columns(8, 3), period_s), OPTIONS)[1].at is None


def test_null_data_counts_real_time_where_the_clock_is_changed() -> None:
    cells = [moment("07EA0A1907 011E00FF 800080"), NULL, NULL, NULL, NULL]
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 1800), Options(zone=BERLIN))
    at = [row.at.timestamp() for row in rows if row.at]
    assert [round(b - a) for a, b in pairwise(at)] == [1800] * 4
    assert str(rows[4].at) == "2026-10-25 02:30:00+01:00"


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_comes_twice_is_told_by_the_order(newest_first: bool) -> None:
    hours = ["1:30", "2:00", "2:30", "2:00", "2:30", "3:00"]
    cells = local(*(hours[::-1] if newest_first else hours))
    shape = Layout(columns(8), 1800, newest_first=newest_first)
    rows = rows_of(array(*map(structure, cells)), shape, Options(zone=BERLIN))
    at = [row.at.timestamp() for row in rows if row.at]
    step = -1800 if newest_first else 1800
    assert [round(b - a) for a, b in pairwise(at)] == [step] * 5


def refuse(one: Link, class_id: int, obis: Obis, attribute: int) -> None:
    """Have the meter refuse one attribute."""
    inner = one.client.get

    def get(refs: Any) -> Any:
        if list(refs) == [AttributeRef(class_id, obis, attribute)]:
            yield from ()
            return [ObjectError("reading", 3)]
        return (yield from inner(refs))

    one.client.get = get  # type: ignore[method-assign]


def test_a_column_whose_scaler_is_refused_or_none_costs_itself_alone() -> None:
    one = link()
    one.meter.put(3, "1-0:2.8.0", 3, enum(9))
    refuse(one, 3, Obis.parse("1-0:3.8.0"), 3)
    (row,) = one.hold(last(one.client, LOAD, 1, OPTIONS))
    assert set(row.values) == {"0-0:96.10.1", "1-0:1.8.0", "1-0:2.8.0:raw", "1-0:3.8.0:raw"}


def test_a_profile_by_unix_time() -> None:
    one = link()
    unix = AttributeRef(1, Obis.parse("0-0:1.1.0"), 2)
    asked: list[Any] = []

    def get(refs: Any) -> Any:
        yield from ()
        (ref,) = refs
        if ref.attribute == 3:
            name = Data(DataType.OCTET_STRING, unix.obis.octets)
            return [
                array(structure(Data(DataType.LONG_UNSIGNED, 1), name, Data(DataType.INTEGER, 2)))
            ]
        if ref.attribute == 2:
            asked.append(ref.selection)
            return [array(structure(number(round(START.timestamp()))))]
        return [ObjectError("reading", 3)]

    one.client.get = get  # type: ignore[method-assign]
    (row,) = one.hold(by_time(one.client, LOAD, START, END, OPTIONS, {}))
    assert row.at == START
    assert (asked[0].start, asked[0].end, asked[0].clock) == (
        round(START.timestamp()), round(END.timestamp()), unix
    )  # fmt: skip
    always = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
    one.hold(by_time(one.client, LOAD, *always, OPTIONS, {}))
    assert (asked[1].start, asked[1].end) == (0, 0xFFFFFFFF)


def test_the_newest_rows_where_their_number_is_not_told() -> None:
    one = link()
    refuse(one, 7, LOAD, 7)
    assert times(one.hold(last(one.client, LOAD, 3, OPTIONS))) == NINE[-3:]


def test_a_range_within_the_hour_that_comes_twice() -> None:
    zone = Options(zone=BERLIN)
    start = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)  # summer time
    end = datetime(2026, 10, 25, 2, 0, fold=1, tzinfo=BERLIN)
    shape = Layout(columns(8), 1800)
    rows = rows_of(array(*map(structure, local("2:00", "2:30", "2:00", "2:30"))), shape, zone)
    question = Question(LOAD, shape, start, end, zone)
    assert question.within(rows) == rows[1:3]


CLOCKS = st.one_of(
    ANY,
    st.just(NULL),
    st.binary(min_size=12, max_size=12).map(lambda noise: Data(DataType.OCTET_STRING, noise)),
    st.sampled_from(["00010101FF000000FF800000", "270F0C1FFF173B3BFFFD3000"]).map(moment),
)


@given(
    st.lists(st.tuples(CLOCKS, ANY), max_size=5),
    st.sampled_from([0, 900, 2**31, 2**62]),
    st.booleans(),
    st.sampled_from([None, BERLIN]),
)
@settings(max_examples=200)
def test_noise_in_rows_raises_nothing(
    cells: list[tuple[Data, Data]], period_s: int, newest_first: bool, zone: ZoneInfo | None
) -> None:
    energy = Column(AttributeRef(3, LOAD, 2), ScalerUnit(-3, "Wh"))
    clock = Column(AttributeRef(8, LOAD, 2), None)
    shape = Layout((clock, energy), period_s, newest_first)
    options = Options(zone=zone)
    rows = rows_of(array(*(structure(*row) for row in cells)), shape, options)
    assert len(rows) == len(cells)
    kept = Question(LOAD, shape, START, END, options).within(rows)
    assert all(row.at is None or row.at.utcoffset() is not None for row in kept)


@pytest.mark.parametrize(
    ("captured", "sentence"),
    [
        (array(), "1-0:99.1.0 captures nothing"),
        (array(number(5)), "is no list of objects"),
        (NULL, "1-0:99.1.0 captures nothing"),
    ],
)
def test_a_profile_of_nothing_does_not_cost_the_line(captured: Data, sentence: str) -> None:
    one = link()

    def get(refs: Any) -> Any:
        yield from ()
        return [captured for _ in refs]

    one.client.get = get  # type: ignore[method-assign]
    with pytest.raises(CommandError, match=sentence):
        one.hold(layout(one.client, LOAD))


# Times of rows


def test_times_that_are_left_out_follow_from_later_rows_too() -> None:
    cells = [NULL, NULL, moment(NOON), NULL, Data(DataType.OCTET_STRING, b""), moment("FF" * 12)]
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 900), OPTIONS)
    noon = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    quarters = [row.at and (row.at - noon) // timedelta(minutes=15) for row in rows]
    assert quarters == [-2, -1, 0, 1, 2, 3]
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 900, True), OPTIONS)
    quarters = [row.at and (row.at - noon) // timedelta(minutes=15) for row in rows]
    assert quarters == [2, 1, 0, -1, -2, -3]


def test_a_time_that_cannot_be_is_not_made_up() -> None:
    cells = [NULL, moment("07EA021F010C0000FF000000"), moment(NOON)]
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 900), OPTIONS)
    assert [row.at is None for row in rows] == [True, True, False]


def test_the_order_of_the_rows_counts_more_than_what_the_meter_says() -> None:
    cells = [moment(NOON), NULL, moment("07EA0601010B1E00FF000000"), NULL]
    rows = rows_of(array(*map(structure, cells)), Layout(columns(8), 900), OPTIONS)
    assert [row.at.minute if row.at else None for row in rows] == [0, 45, 30, 15]


def test_a_capture_period_may_be_stated() -> None:
    one = link("no-capture-period", "compressed-rows")
    assert times(one.hold(last(one.client, LOAD, 3, OPTIONS))) != NINE[-3:]
    stated = Profile.model_validate({"obis": "1-0:99.1.0", "capturePeriod": 900})
    assert times(one.hold(last(one.client, LOAD, 3, OPTIONS, stated))) == NINE[-3:]
    assert times(one.hold(by_time(one.client, LOAD, START, END, OPTIONS, {}, stated))) == NINE


def test_a_value_of_a_column_that_means_no_reading() -> None:
    column = {"obis": "1-0:2.8.0", "noValue": [7, 4294967295]}
    stated = Profile.model_validate({"obis": "1-0:99.1.0", "columns": [column]})
    one = link()
    shape = one.hold(layout(one.client, LOAD, stated))
    cells = (moment(NOON), Data(DataType.UNSIGNED, 7), number(7), number(7), number(7))
    (row,) = rows_of(array(structure(*cells)), shape, OPTIONS)
    assert row.values["1-0:2.8.0"] is None
    assert row.values["1-0:3.8.0"] == 7
    cells = (*cells[:3], structure(number(7), KILO), number(7))
    (row,) = rows_of(array(structure(*cells)), shape, OPTIONS)
    assert row.values["1-0:2.8.0"] is None


# Profiles whose time is no clock

BILLING = AttributeRef(3, Obis.parse("0-0:0.1.2"), 2)
MAXIMUM_AT = AttributeRef(4, Obis.parse("1-0:1.6.0"), 5)
ENERGY = AttributeRef(3, Obis.parse("1-0:1.8.0"), 2)
STAMP = "07EA {:02X} 01 FF 00 00 00 FF 8000 FF"


def billing(cell: Callable[[int], Data]) -> Any:
    """Answer for a billing profile without a clock: a maximum's time, the energy, the stamp."""
    captured = array(
        *(
            structure(
                Data(DataType.LONG_UNSIGNED, ref.class_id),
                Data(DataType.OCTET_STRING, ref.obis.octets),
                Data(DataType.INTEGER, ref.attribute),
                Data(DataType.LONG_UNSIGNED, 0),
            )
            for ref in (MAXIMUM_AT, ENERGY, BILLING)
        )
    )
    rows = {
        month: structure(moment(STAMP.format(12)), number(month), cell(month))
        for month in range(1, 7)
    }

    def get(refs: Any) -> Any:
        yield from ()
        (ref,) = refs
        if ref.class_id == 7 and ref.obis != LOAD:
            return [ObjectError("reading", 4)]
        if (ref.class_id, ref.attribute) == (7, 3):
            return [captured]
        if (ref.class_id, ref.attribute) == (7, 7):
            return [number(len(rows))]
        if (ref.class_id, ref.attribute) != (7, 2):
            return [ObjectError("reading", 11)]
        selection = ref.selection
        if isinstance(selection, ByEntry):
            return [array(*list(rows.values())[selection.first - 1 : selection.last])]
        assert selection.clock == BILLING
        limits = range(selection.start.month, selection.end.month + 1)
        return [array(*(row for month, row in rows.items() if month in limits))]

    return get


@pytest.mark.parametrize(
    "cell",
    [
        lambda month: moment(STAMP.format(month)),
        lambda month: moment("090C" + STAMP.format(month)),
        lambda month: moment("19" + STAMP.format(month)),
        lambda month: Data(DataType.DATE_TIME, bytes.fromhex(STAMP.format(month))),
        lambda month: Data(DataType.VISIBLE_STRING, f"2026-{month:02}-01 00:00:00".encode()),
    ],
)
def test_any_column_of_date_times_serves_as_the_clock(cell: Callable[[int], Data]) -> None:
    one = link()
    one.client.get = billing(cell)  # type: ignore[method-assign]
    rows = one.hold(last(one.client, LOAD, 2, OPTIONS))
    assert times(rows) == [datetime(2026, month, 1, tzinfo=timezone.utc) for month in (5, 6)]
    assert [row.values["1-0:1.8.0:raw"] for row in rows] == [5, 6]
    start, end = (datetime(2026, month, 1, tzinfo=timezone.utc) for month in (2, 4))
    rows = one.hold(by_time(one.client, LOAD, start, end, OPTIONS, {}))
    assert [row.values["1-0:1.8.0:raw"] for row in rows] == [2, 3, 4]


def test_the_time_of_a_maximum_is_not_that_of_its_row() -> None:
    one = link()
    one.client.get = billing(lambda month: number(9))  # type: ignore[method-assign]
    assert times(one.hold(last(one.client, LOAD, 2, OPTIONS))) == [None, None]
    with pytest.raises(CommandError, match="does not capture its clock"):
        one.hold(by_time(one.client, LOAD, START, END, OPTIONS, {}))


# Ranges by local time

AUTUMN = datetime(2026, 10, 25, 1, tzinfo=timezone.utc)
SPRING = datetime(2026, 3, 29, 1, tzinfo=timezone.utc)


def quarters(start: datetime, end: datetime) -> list[datetime]:
    count = (end - start) // timedelta(minutes=15)
    return [start + timedelta(minutes=15 * number) for number in range(count + 1)]


@pytest.mark.parametrize(
    ("middle", "now"),
    [
        (AUTUMN, AUTUMN + timedelta(days=2)),
        (AUTUMN - timedelta(days=2), AUTUMN + timedelta(days=2)),  # read in another season
        (SPRING, SPRING + timedelta(days=2)),
        (SPRING - timedelta(days=2), SPRING + timedelta(days=2)),
        (SPRING + timedelta(days=9), SPRING + timedelta(days=12)),
    ],
    ids=["autumn", "before-autumn", "spring", "before-spring", "summer"],
)
@pytest.mark.parametrize("hours", [1, 5])
@pytest.mark.parametrize(
    ("clock", "minutes"),
    [
        *(("deviation", minutes) for minutes in (60, 330, -300)),
        *(("unreadable", minutes) for minutes in (60, 330, -300)),
        *(("configured", minutes) for minutes in (60, 330, -300)),
        ("unspecified", 60),
    ],
)
def test_a_meter_that_compares_local_times(
    middle: datetime, now: datetime, hours: int, clock: str, minutes: int
) -> None:
    faults = ["local-range", "summer-time"]
    faults += ["unspecified-deviation"] if clock == "unspecified" else []
    meter = make_meter(profile_days=7, now=now.timestamp, utc_offset_minutes=minutes, faults=faults)
    one = Link(meter, device())
    options = Options(zone=BERLIN if clock in ("configured", "unspecified") else None)
    if clock == "unreadable":
        refuse(one, 8, Obis.parse("0-0:1.0.0"), 2)
    half = timedelta(minutes=30 * hours)
    start, end = middle - half, middle + half
    ways: Ways = {}
    for _ in range(2):
        rows = one.hold(by_time(one.client, LOAD, start, end, options, ways))
        # As instants: Python compares times of the repeated hour as unequal across zones.
        at = [row.at.timestamp() for row in rows if row.at]
        assert at == [each.timestamp() for each in quarters(start, end)]


def test_rows_before_the_first_are_asked_for_once() -> None:
    """A range that begins before the meter's history costs one more request."""
    one = link()
    ways: Ways = {}
    start = END - timedelta(days=9)
    assert len(one.hold(by_time(one.client, LOAD, start, END, OPTIONS, ways))) == 192
    one.meter.seen.clear()
    assert len(one.hold(by_time(one.client, LOAD, start, END, OPTIONS, ways))) == 192
    assert one.meter.seen["by-range"] == 2
    assert one.meter.seen["by-entry"] == 0


@pytest.mark.parametrize("most", [2, 3, 4, 5, 6, 10])
def test_a_meter_that_gives_few_rows_at_once_is_asked_until_all_came(most: int) -> None:
    one = link()
    one.meter.faults.set("few-rows", most)
    start = END - timedelta(hours=24)
    rows = one.hold(by_time(one.client, LOAD, start, END, OPTIONS, {}))
    assert times(rows) == quarters(start, END)


def test_a_meter_that_gives_ever_fewer_rows_is_not_asked_for_ever() -> None:
    """It is asked as often as the missing rows need, at as many as it gave at first."""
    one = link()
    one.meter.faults.set("few-rows", 20)
    inner = one.client.get

    def get(refs: Any) -> Any:
        replies = yield from inner(refs)
        if refs[0].selection is not None:
            one.meter.faults.set("few-rows", 2)
        return replies

    one.client.get = get  # type: ignore[method-assign]
    rows = one.hold(by_time(one.client, LOAD, END - timedelta(hours=47), END, OPTIONS, {}))
    assert 20 < len(rows) < 60
    assert times(rows) == sorted(times(rows))
    assert one.meter.seen["by-range"] <= 1 + 2 * (8 + 20)


def test_the_rows_of_a_meter_that_gives_few_at_once_are_sorted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not all of them after each reply: there are hundreds of replies, and thousands of rows."""
    sorted_rows = 0

    def counting(rows: Any, **keys: Any) -> Any:
        nonlocal sorted_rows
        found = sorted(rows, **keys)
        sorted_rows += len(found)
        return found

    monkeypatch.setattr(range_reading, "sorted", counting, raising=False)
    one = link()
    one.meter.faults.set("few-rows", 5)
    rows = one.hold(by_time(one.client, LOAD, END - timedelta(hours=24), END, OPTIONS, {}))
    assert len(rows) == 97
    assert 0 < sorted_rows <= 3 * len(rows)


# The newest rows by entry


@pytest.mark.parametrize("count", [1, 2, 191, 192, 193, 5000])
@pytest.mark.parametrize("fault", [None, "wrong-order"])
def test_entries_are_asked_for_from_1_and_forwards(count: int, fault: str | None) -> None:
    one = link(*([fault] if fault else []))
    asked: list[ByEntry] = []
    inner = one.client.get

    def get(refs: Any) -> Any:
        asked.extend(ref.selection for ref in refs if isinstance(ref.selection, ByEntry))
        return (yield from inner(refs))

    one.client.get = get  # type: ignore[method-assign]
    rows = one.hold(last(one.client, LOAD, count, OPTIONS))
    assert len(rows) == min(count, 192)
    assert (fault and count == 1) or rows[-1].at == END
    assert asked
    assert all(1 <= each.first <= each.last <= 192 for each in asked)


@pytest.mark.parametrize("in_use", [u32(0), Theirs(INT32, -5), NOTHING])
def test_a_profile_that_tells_no_number_of_rows(in_use: Theirs) -> None:
    one = link()
    one.meter.put(7, "1-0:99.1.0", 7, in_use)
    rows = one.hold(last(one.client, LOAD, 2, OPTIONS))
    assert times(rows) in ([], NINE[-2:])
    assert one.meter.seen["by-entry"] == 0


def test_a_number_of_rows_that_is_too_large() -> None:
    one = link()
    one.meter.put(7, "1-0:99.1.0", 7, u32(5760))
    assert times(one.hold(last(one.client, LOAD, 2, OPTIONS))) == NINE[-2:]


# As calls


async def test_the_call() -> None:
    desk = Desk()
    rows = await desk.result("readProfile", {"obis": "1-0:99.1.0", "last": 1})
    assert rows[0]["time"] == END.isoformat()
    wanted = {"obis": "1-0:99.1.0", "from": START.isoformat()}
    assert len(await desk.result("readProfile", wanted)) == 9
    text = START.replace(tzinfo=None).isoformat()
    assert len(await desk.result("readProfile", {**wanted, "from": text + "Z"})) == 9
    counted = round(START.timestamp() * 1000)  # as the platform writes its own instants
    assert len(await desk.result("readProfile", {**wanted, "from": counted})) == 9
    assert len(await desk.result("readProfile", f"obis=1-0:99.1.0;from={counted};")) == 9
    assert [job.timeout_s for job in desk.meters.jobs] == [60.0] * 5
    assert desk.events == []


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "`obis` is missing"),
        ({"obis": "1-0:99.1.0"}, "either `last`, or `from` and `to` are needed"),
        ({"obis": "1-0:99.1.0", "last": 0}, "last: 0 is not in 1..5000"),
        ({"obis": "1-0:99.1.0", "from": "yesterday"}, "'yesterday' is not a moment such as"),
        ({"obis": "1-0:99.1.0", "from": 1777593600}, "is not a moment such as 1777593600000, in"),
        ({"obis": "1-0:99.1.0", "from": float("nan")}, "from: nan is not a moment"),
        ({"obis": "1-0:99.1.0", "from": 10**400}, "from: 1000000"),
        ({"obis": "1-0:99.1.0", "from": [5]}, "from: [5] is not text"),
        (
            {"obis": "1-0:99.1.0", "from": "2026-05-02", "to": "2026-05-01"},
            "`to` lies before `from`",
        ),
        ({"obis": "1-0:99.1.0", "last": 1, "form": 1}, "unknown parameter `form`"),
    ],
)
async def test_the_call_refuses(params: Any, sentence: str) -> None:
    assert sentence in await Desk().error("readProfile", params)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
async def test_a_range_as_long_as_the_calendar(zone: str) -> None:
    desk = Desk((device(dlms={"timeZone": zone}),))
    ends = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    assert await desk.result("readProfile", {"obis": "1-0:99.1.0", **ends})


async def test_a_configured_profile() -> None:
    rpc = {"method": "load", "requestType": "profile", "obis": "1-0:99.1.0", "class": 7}
    desk = Desk((device(serverSideRpc=[rpc]),))
    assert len(await desk.result("load", {"last": 4})) == 4
    assert "unknown parameter `obis`" in await desk.error("load", {"last": 4, "obis": "1-0:1.8.0"})


def test_a_profile_without_a_clock_cannot_be_asked_by_time() -> None:
    one = link()
    objects = one.meter.value(7, LOAD.octets, 3)
    one.meter.put(7, "1-0:99.1.0", 3, Theirs(objects.tag, objects.value[2:3]))
    with pytest.raises(CommandError, match="does not capture its clock: ask for its `last` rows"):
        one.hold(by_time(one.client, LOAD, START, END, OPTIONS, {}))


def test_a_profile_with_the_newest_row_first() -> None:
    one = link()
    one.meter.put(7, "1-0:99.1.0", 5, enum(2))
    assert one.hold(layout(one.client, LOAD)).newest_first


def test_many_rows_are_converted_in_slices() -> None:
    """Between two of them the loop serves other meters."""
    buffer = array(*[structure(*[number(5)] * 4)] * 10_000)
    talk = read_rows(buffer, Layout(columns(3, 3, 3, 3), 0), OPTIONS)
    breaths, rows = 0, []
    try:
        while True:
            assert isinstance(next(talk), Breath)
            breaths += 1
    except StopIteration as done:
        rows = done.value
    assert len(rows) == 10_000
    assert breaths >= 30
