"""A range is found by entry number, whatever rows are missing and however they are ordered."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.cosem import AttributeRef, ByEntry
from dlms_connector.history.entry_reading import read_entries
from dlms_connector.history.profiles import Column, Layout
from dlms_connector.history.range_reading import Question
from dlms_connector.interpret import Options, ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.cosem_time import encode_date_time
from dlms_connector.protocol.data.data import Data, DataType, array, structure

LOAD = Obis.parse("1-0:99.1.0")
COLUMNS = (
    Column(AttributeRef(8, Obis.parse("0-0:1.0.0"), 2), None),
    Column(AttributeRef(3, Obis.parse("1-0:1.8.0"), 2), ScalerUnit(0, "Wh")),
)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Buffer:
    """A meter's buffer that is read by entry only; it counts requests."""

    def __init__(self, minutes: Sequence[int | None], *, newest_first: bool) -> None:
        rows = [self._row(minute, number) for number, minute in enumerate(minutes)]
        self.rows = rows[::-1] if newest_first else rows
        self.asked: list[ByEntry] = []

    @staticmethod
    def _row(minute: int | None, number: int) -> Data:
        octets = b"" if minute is None else encode_date_time(START + timedelta(minutes=minute))
        return structure(
            Data(DataType.OCTET_STRING, octets), Data(DataType.DOUBLE_LONG_UNSIGNED, number)
        )

    def get(self, refs: Sequence[AttributeRef]) -> Generator[bytes, bytes, list[Data]]:
        yield from ()
        (ref,) = refs
        if ref.attribute == 7:
            return [Data(DataType.DOUBLE_LONG_UNSIGNED, len(self.rows))]
        assert isinstance(ref.selection, ByEntry)
        self.asked.append(ref.selection)
        assert 1 <= ref.selection.first <= ref.selection.last <= len(self.rows)
        return [array(*self.rows[ref.selection.first - 1 : ref.selection.last])]


def read(
    buffer: Any,
    minutes: tuple[int, int],
    period_s: int,
    *,
    told: bool,
    seen: Sequence[tuple[int, int]] = (),
) -> list[int]:
    start, end = (START + timedelta(minutes=each) for each in minutes)
    hint = [(depth, (START + timedelta(minutes=each)).timestamp()) for depth, each in seen]
    shape = Layout(COLUMNS, period_s, told)
    question = Question(LOAD, shape, start, end, Options(), seen=hint)
    talk = read_entries(buffer, question)
    while True:
        try:
            next(talk)
        except StopIteration as done:
            return [row.values["1-0:1.8.0"] for row in done.value.rows]


@given(
    st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 50, 4000]), max_size=300),
    st.integers(0, 320),
    st.integers(0, 120),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 900]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(-10_000, 10_000)), max_size=1),
)
@settings(max_examples=200, deadline=None)
def test_the_rows_of_a_range(
    steps: list[int],
    first: int,
    length: int,
    newest_first: bool,
    told: bool,
    period_s: int,
    seen: list[tuple[int, int]],
) -> None:
    minutes = [0]
    for step in steps:
        minutes.append(minutes[-1] + 15 * step)
    begin = minutes[min(first, len(minutes) - 1)] - 7
    wanted = (begin, begin + 15 * length)
    buffer = Buffer(minutes, newest_first=newest_first)
    told = told if len(minutes) > 1 else newest_first
    found = read(buffer, wanted, period_s, told=told, seen=seen)
    assert found == [
        number for number, minute in enumerate(minutes) if wanted[0] <= minute <= wanted[1]
    ]
    assert len(buffer.asked) <= 20


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_day_of_long_ago_costs_few_rows(newest_first: bool) -> None:
    buffer = Buffer([15 * number for number in range(400 * 96)], newest_first=newest_first)
    found = read(buffer, (1440, 2 * 1440 - 1), 900, told=newest_first)
    assert found == list(range(96, 192))
    assert len(buffer.asked) == 2
    assert sum(each.last - each.first + 1 for each in buffer.asked) < 150


class Counting(Buffer):
    """Takes the number of the last entry for the number of entries that are wanted."""

    def get(self, refs: Sequence[AttributeRef]) -> Generator[bytes, bytes, list[Data]]:
        (told,) = yield from super().get(refs)
        selection = refs[0].selection
        if not isinstance(selection, ByEntry):
            return [told]
        first = selection.first - 1
        return [array(*self.rows[first : first + selection.last])]


@pytest.mark.parametrize("newest_first", [False, True])
def test_more_rows_than_asked(newest_first: bool) -> None:
    buffer = Counting([15 * number for number in range(400 * 96)], newest_first=newest_first)
    found = read(buffer, (1440, 2 * 1440 - 1), 900, told=newest_first)
    assert found == list(range(96, 192))
    assert len(buffer.asked) == 2


def test_events_of_one_second() -> None:
    buffer = Buffer([0, 5, 5, 5, 9], newest_first=True)
    assert read(buffer, (5, 5), 0, told=True) == [1, 2, 3]


@pytest.mark.parametrize(
    "minutes",
    [
        # times are left out where nothing tells them
        [None if number % 5 == 2 else 15 * number for number in range(100)],
        [*range(0, 600, 15), *range(300, 900, 15)],  # the clock was set back
    ],
)
def test_where_times_tell_no_place_all_newer_rows_are_read(minutes: list[int | None]) -> None:
    buffer = Buffer(minutes, newest_first=False)
    found = read(buffer, (15, 15), 0, told=False)
    assert set(found) >= {number for number, minute in enumerate(minutes) if minute == 15}


def test_no_rows() -> None:
    assert read(Buffer([], newest_first=False), (0, 10), 900, told=False) == []
