"""Rows in every form that a meter may write them in are the rows that it captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.cosem import AttributeRef
from dlms_connector.history.profiles import Column, Layout
from dlms_connector.history.rows import in_order, rows_of
from dlms_connector.interpret import Options, ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import decode_whole, encode
from dlms_connector.protocol.data.cosem_time import encode_date_time
from dlms_connector.protocol.data.data import Data, DataType, array, structure
from tests.support.generated import ANY

CLOCK = Column(AttributeRef(8, Obis.parse("0-0:1.0.0"), 2), None)
ENERGY = Column(AttributeRef(3, Obis.parse("1-0:1.8.0"), 2), ScalerUnit(0, "Wh"))
POWER = Column(AttributeRef(3, Obis.parse("1-0:1.7.0"), 2), ScalerUnit(0, "W"))
BERLIN = ZoneInfo("Europe/Berlin")
NULL = Data(DataType.NULL)
#: Around the changes of the season, the new year, and a leap day.
BEGINNINGS = [
    datetime(2026, 3, 28, 23, tzinfo=timezone.utc),
    datetime(2026, 10, 24, 22, tzinfo=timezone.utc),
    datetime(2026, 12, 31, 20, tzinfo=timezone.utc),
    datetime(2028, 2, 28, 22, tzinfo=timezone.utc),
]


@dataclass(frozen=True)
class Written:
    """A buffer, and the rows that it was written from, oldest first."""

    buffer: Data
    rows: Sequence[tuple[float, int, int]]
    shape: Layout
    options: Options


def clock(at: float, form: str, zone: tzinfo, period_s: int, before: float | None) -> Data:
    """Write the time of a row; it may be left out where it follows from the row before."""
    moment = datetime.fromtimestamp(at, zone)
    follows = before is not None and abs(at - before) == period_s
    if form == "left out" and follows:
        return NULL
    if form == "empty" and follows:
        return Data(DataType.OCTET_STRING, b"\xff" * 12)
    skip = frozenset({"deviation"} if form in ("status", "local") else set[str]())
    if form == "local":
        skip |= {"status"}
    octets = encode_date_time(moment, skip=skip)
    return Data(DataType.DATE_TIME if form == "date-time" else DataType.OCTET_STRING, octets)


@st.composite
def buffers(draw: st.DrawFn) -> Written:
    period_s = draw(st.sampled_from([60, 900, 1800, 3600, 86_400]))
    count = draw(st.integers(1, 40))
    start = draw(st.sampled_from(BEGINNINGS)).timestamp()
    local = draw(st.booleans())
    # A clock that tells neither deviation nor season shows the hour that comes twice by the
    # order of its rows alone: there must be no gap then.
    forms = ["whole", "left out", "empty", "date-time", "status"] + (["local"] if local else [])
    steps = draw(st.lists(st.sampled_from([1] if local else [1, 1, 1, 2, 9]), max_size=count - 1))
    times = [start]
    for step in steps:
        times.append(times[-1] + step * period_s)
    values = [(draw(st.integers(0, 2**31 - 1)), draw(st.integers(-50, 50))) for _ in times]
    rows = [(at, *pair) for at, pair in zip(times, values, strict=True)]
    newest_first = draw(st.booleans())
    written = list(reversed(rows)) if newest_first else rows
    entries: list[Data] = []
    before: tuple[float, int, int] | None = None
    for row in written:
        form = draw(st.sampled_from(forms)) if before else "whole"
        cells = [clock(row[0], form, BERLIN, period_s, before and before[0])]
        for index, value in enumerate(row[1:], 1):
            cells.append(cell(draw, value, before and before[index]))
        entries.append(structure(*cells))
        before = row
    # What the meter says of the order may be wrong where two rows show their times.
    empty = (b"\xff" * 12, None)
    shown = sum(entry.value[0].value not in empty for entry in entries)
    told = draw(st.booleans()) if shown > 1 else newest_first
    shape = Layout((CLOCK, ENERGY, POWER), period_s, told)
    buffer = decode_whole(encode(array(*entries)))
    return Written(buffer, rows, shape, Options(zone=BERLIN))


def cell(draw: st.DrawFn, value: int, before: float | None) -> Data:
    """Write a value: as it is, as null where it is that of the row before, or as a difference."""
    if before is not None and value == before and draw(st.booleans()):
        return NULL
    if before is not None and draw(st.booleans()):
        return Data(DataType.DELTA_DOUBLE_LONG, value - int(before))
    return Data(DataType.DOUBLE_LONG, value)


@given(buffers())
@settings(max_examples=100, deadline=None)
def test_rows_are_what_the_meter_captured(written: Written) -> None:
    rows = in_order(
        rows_of(written.buffer, written.shape, written.options),
        newest_first=written.shape.newest_first,
    )
    decoded = [
        (row.at.timestamp() if row.at else None, row.values["1-0:1.8.0"], row.values["1-0:1.7.0"])
        for row in rows
    ]
    assert decoded == list(written.rows)
    assert not any(row.suspect or row.clock for row in rows)


@given(
    st.lists(st.lists(ANY, min_size=3, max_size=3), max_size=6),
    st.sampled_from([0, 900, 2**62]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_no_cell_breaks_the_others(
    cells: list[list[Data]], period_s: int, newest_first: bool, whole: bool
) -> None:
    captured = tuple(Column(each.ref, each.scaler, whole=whole) for each in (CLOCK, ENERGY, POWER))
    good = structure(
        Data(DataType.OCTET_STRING, encode_date_time(BEGINNINGS[0])),
        Data(DataType.UNSIGNED, 1),
        Data(DataType.UNSIGNED, 2),
    )
    buffer = array(*(structure(*row) for row in cells), good)
    shape = Layout(captured, period_s, newest_first)
    rows = rows_of(buffer, shape, Options())
    assert len(rows) == len(cells) + 1
    assert dict(rows[-1].values) == {"1-0:1.8.0": 1, "1-0:1.7.0": 2}
    assert rows[-1].at == BEGINNINGS[0]
    ordered = in_order(rows, newest_first=newest_first)
    assert len(ordered) == len(rows)
    times = [row.at for row in ordered if row.at is not None]
    assert len(times) < len(rows) or times == sorted(times, key=datetime.timestamp)


def test_rows_of_one_instant_keep_the_order_of_the_buffer() -> None:
    """Also where the newest row comes first, so that they are sent in the order of capture."""
    noon = encode_date_time(datetime(2026, 6, 1, 12, tzinfo=timezone.utc))
    later = encode_date_time(datetime(2026, 6, 1, 12, tzinfo=timezone.utc) + timedelta(hours=1))
    written = [(noon, 1), (noon, 2), (later, 3)]
    for newest_first in (False, True):
        buffer = array(
            *(
                structure(Data(DataType.OCTET_STRING, at), Data(DataType.UNSIGNED, value))
                for at, value in (reversed(written) if newest_first else written)
            )
        )
        shape = Layout((CLOCK, ENERGY), 0, newest_first)
        rows = in_order(rows_of(buffer, shape, Options()), newest_first=newest_first)
        assert [row.values["1-0:1.8.0"] for row in rows] == [1, 2, 3]


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(-128, 127)), max_size=30),
    st.booleans(),
)
def test_rows_in_a_compact_array(values: list[tuple[int, int]], newest_first: bool) -> None:
    """The types are written once, so every row has all of its cells."""
    start = BEGINNINGS[0].timestamp()
    rows = [(start + 900 * index, *pair) for index, pair in enumerate(values)]
    written = [
        structure(
            Data(DataType.OCTET_STRING, encode_date_time(datetime.fromtimestamp(at, BERLIN))),
            Data(DataType.DOUBLE_LONG_UNSIGNED, energy),
            Data(DataType.INTEGER, power),
        )
        for at, energy, power in (reversed(rows) if newest_first else rows)
    ]
    buffer = array(*written)
    if written:
        buffer = decode_whole(encode(Data(DataType.COMPACT_ARRAY, tuple(written))))
    shape = Layout((CLOCK, ENERGY, POWER), 900, newest_first)
    decoded = in_order(rows_of(buffer, shape, Options()), newest_first=newest_first)
    assert [
        (row.at.timestamp() if row.at else None, *row.values.values()) for row in decoded
    ] == rows
