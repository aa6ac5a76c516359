"""Slices of a configured profile of a simulated meter, and what a slice costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history import Held, ProfileRead, ProfileReader
from dlms_connector.history.rows import RowShapeError
from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import Data, array, octets, structure, u8
from tests.support.commands import Link, device
from tests.support.simulated import NOW, make_meter

DAY_MS, QUARTER_MS = 86_400_000, 900_000
END_MS = int(NOW) // 900 * 900_000
LOAD = "1-0:99.1.0"


class Bench:
    """A simulated meter with one followed profile."""

    def __init__(
        self,
        *faults: str,
        profile: Mapping[str, Any] | None = None,
        days: float = 10,
        keys: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        one = device(profiles=[{"obis": LOAD, **(profile or {})}], **(keys or {}))
        self.meter = make_meter(profile_days=days, faults=faults, **options)
        self.link = Link(self.meter, one)
        self.reader = ProfileReader(one, one.profiles[0])

    def read(self, start_ms: int, end_ms: int) -> ProfileRead:
        return self.link.hold(self.reader.read(self.link.client, start_ms, end_ms))

    def held(self) -> Held:
        return self.link.hold(self.reader.held(self.link.client))

    def cost(self, start_ms: int, end_ms: int) -> int:
        """Return how many requests a slice takes."""
        self.meter.seen.clear()
        self.read(start_ms, end_ms)
        return sum(self.meter.seen[kind] for kind in ("get", "get-with-list"))


def day(back: int) -> tuple[int, int]:
    """Return a slice of 96 quarters, some days ago."""
    end = END_MS + QUARTER_MS - back * DAY_MS
    return end - DAY_MS, end


def quarters(start_ms: int, end_ms: int) -> tuple[int, ...]:
    return tuple(range(-(-start_ms // QUARTER_MS) * QUARTER_MS, end_ms, QUARTER_MS))


@pytest.mark.parametrize(
    ("faults", "most"),
    [
        ((), 1),
        (("local-range",), 1),
        (("delta-rows", "compressed-rows"), 1),
        (("lost-rows=7",), 2),  # a row that is missing at an end might be beyond a limit
    ],
)
def test_a_slice_by_range_costs_one_request(faults: tuple[str, ...], most: int) -> None:
    bench = Bench(*faults)
    bench.read(*day(0))
    for back in range(1, 5):
        assert 1 <= bench.cost(*day(back)) <= most
        assert bench.meter.seen["by-range"] <= most


@pytest.mark.parametrize(
    ("faults", "most"),
    [
        (("no-range",), 2),
        (("no-range", "wrong-order"), 3),
        (("no-range", "lost-rows=7"), 4),
        (("no-range", "lost-rows=2"), 4),
    ],
)
def test_a_slice_by_entry_costs_few_requests_however_old_it_is(
    faults: tuple[str, ...], most: int
) -> None:
    bench = Bench(*faults, days=400)
    bench.read(*day(0))
    for back in (1, 2, 50, 200, 398):
        assert bench.cost(*day(back)) <= most


@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("no-range",),
        ("no-range", "no-entry"),
        ("no-range", "wrong-order"),
        ("wrong-order",),
        ("few-rows=10",),
        ("compressed-rows",),
        ("delta-rows",),
        ("lost-rows=5",),
        ("lost-rows=5", "no-range"),
        ("local-range", "summer-time"),
        ("unspecified-deviation",),
        ("whole-objects",),
        ("index-255",),
    ],
)
def test_slices_side_by_side_give_every_row_once(faults: tuple[str, ...]) -> None:
    bench = Bench(*faults, days=3)
    one, other = bench.read(*day(1)), bench.read(*day(0))
    expected = quarters(day(1)[0], day(0)[1])
    if "lost-rows=5" in faults:
        expected = tuple(at for at in expected if at // QUARTER_MS % 5)
    assert one.rows_ms + other.rows_ms == expected
    assert (one.without_time, one.suspect, one.remarks) == (0, 0, ())
    energies = [
        each.value for each in (*one.readings, *other.readings) if each.key == "load_active_energy"
    ]
    assert len(energies) == len(expected)
    table = bench.meter.objects[7, Obis.parse(LOAD).octets].table
    assert table is not None
    exact = [table.row(bench.meter, at / 1000)[2].value for at in expected]
    assert energies == exact


@pytest.mark.parametrize("now", ["2026-10-27T00:00:00", "2026-03-31T00:00:00"])
@pytest.mark.parametrize("faults", [(), ("local-range",), ("no-range",), ("compressed-rows",)])
@pytest.mark.parametrize("told", [True, False])
def test_days_of_92_and_100_quarters(now: str, faults: tuple[str, ...], *, told: bool) -> None:
    instant = datetime.fromisoformat(now).replace(tzinfo=timezone.utc).timestamp()
    more = () if told else ("unspecified-deviation",)
    bench = Bench(
        "summer-time",
        *faults,
        *more,
        keys={"dlms": {"timeZone": "Europe/Berlin"}},
        days=6,
        now=lambda: instant,
        utc_offset_minutes=60,
    )
    autumn = "-10-" in now
    # From midnight to midnight of the day of the change in Berlin.
    change = "2026-10-25" if autumn else "2026-03-29"
    start_s = datetime.fromisoformat(f"{change}T00:00:00+{'02' if autumn else '01'}:00").timestamp()
    count = 100 if autumn else 92
    start_ms = round(start_s * 1000)
    result = bench.read(start_ms, start_ms + count * QUARTER_MS)
    assert result.rows_ms == quarters(start_ms, start_ms + count * QUARTER_MS)
    assert len(result.rows_ms) == count


@pytest.mark.parametrize("fault", [None, "wrong-order", "no-entry"])
def test_what_the_meter_holds(fault: str | None) -> None:
    held = Bench(*([fault] if fault else []), days=2).held()
    oldest, newest = END_MS - 2 * DAY_MS + QUARTER_MS, END_MS
    expected = (None, None) if fault == "no-entry" else (oldest, newest)
    assert held == Held(900, 192, 192, *expected)


def test_what_a_meter_holds_that_tells_little() -> None:
    bench = Bench(days=1)
    for attribute in (7, 8):
        bench.meter.put(7, LOAD, attribute, octets(b"many"))
    assert bench.held() == Held(900, None, None, None, None)


def test_a_layout_that_changed_is_read_again() -> None:
    bench = Bench(days=1)
    name = Obis.parse(LOAD).octets
    captured = bench.meter.value(7, name, 3)
    bench.meter.put(7, LOAD, 3, Data(captured.tag, captured.value[:4]))
    with pytest.raises(RowShapeError, match="has 5 cells for 4 columns"):
        bench.read(*day(0))
    assert bench.reader.layout is None
    bench.meter.put(7, LOAD, 3, captured)
    assert len(bench.read(*day(0)).rows_ms) == 96
    bench.meter.put(7, LOAD, 3, Data(captured.tag, captured.value[:4]))
    assert len(bench.read(*day(0)).rows_ms) == 96  # a kept layout is not asked for


def test_another_layout_than_the_kept_one_costs_no_row() -> None:
    bench = Bench(days=1)
    before = bench.read(*day(0))
    layout = bench.reader.layout
    assert layout is not None
    kept = type(layout)(layout.columns[:3], layout.period_s)
    bench.reader._layout = kept
    assert bench.read(*day(0)) == before
    assert bench.reader.layout == layout


def test_a_meter_that_refuses_is_asked_for_its_layout_again() -> None:
    bench = Bench(days=1)
    bench.read(*day(0))
    bench.meter.faults.set("exception")
    with pytest.raises(ServiceError):
        bench.read(*day(0))
    bench.meter.faults.clear()
    period = bench.reader.period_s
    assert period is None
    assert len(bench.read(*day(0)).rows_ms) == 96
    missing = Bench(profile={"obis": "1-0:99.9.0"})
    with pytest.raises(ObjectError):
        missing.read(*day(0))


def test_an_empty_slice() -> None:
    bench = Bench(days=1)
    bench.read(*day(0))
    result = bench.read(*day(40))
    assert result == ProfileRead(900)
    assert bench.read(END_MS + DAY_MS, END_MS + 2 * DAY_MS).rows_ms == ()


def test_a_profile_without_any_time() -> None:
    bench = Bench(days=1)
    captured = bench.meter.value(7, Obis.parse(LOAD).octets, 3)
    bench.meter.put(7, LOAD, 3, Data(captured.tag, captured.value[2:3]))
    with pytest.raises(CommandError, match="does not capture its clock"):
        bench.read(*day(0))
    assert bench.reader.period_s == 900  # and its layout need not be read again


# Event logs


def test_an_event_log() -> None:
    log = {"obis": "0-0:99.98.0", "events": "idis"}
    bench = Bench(profile=log)
    for code in (40, 41):
        bench.meter.events.append((NOW - 50.0, code))
    result = bench.read(END_MS - 300 * DAY_MS, END_MS + DAY_MS)
    assert result.period_s == 0
    assert {one.key for one in result.readings} == {"event", "event_name"}
    names = {one.value for one in result.readings if one.key == "event_name"}
    assert names >= {"power down", "power up"}
    assert len(result.readings) == 2 * len(result.rows_ms)
    assert list(result.rows_ms) == sorted(set(result.rows_ms))


# Scaler profiles


def scalers(*columns: tuple[str, int, int]) -> Mapping[str, Any]:
    """Return a scaler profile as an object of the simulated meter."""

    def number(kind: str, value: Any) -> dict[str, Any]:
        return {"type": kind, "value": value}

    captured = [
        {
            "type": "structure",
            "value": [
                number("long-unsigned", 3),
                {"type": "octet-string", "value": Obis.parse(obis).octets.hex()},
                number("integer", 3),
                number("long-unsigned", 0),
            ],
        }
        for obis, _, _ in columns
    ]
    cells = [
        {"type": "structure", "value": [number("integer", power), number("enum", unit)]}
        for _, power, unit in columns
    ]
    row = {"type": "structure", "value": cells}
    return {
        "class": 7,
        "attributes": {
            "2": {"type": "array", "value": [row]},
            "3": {"type": "array", "value": captured},
        },
    }


def units(bench: Bench) -> dict[str, Any]:
    result = bench.read(END_MS, END_MS + QUARTER_MS)
    return {one.key: one.unit for one in result.readings if "energy" in one.key}


@pytest.mark.parametrize(
    ("standard", "obis", "stated", "expected"),
    [
        ("INDIA", "1-0:94.91.4", None, "kWh"),
        ("DLMS", "1-0:94.7.4", None, "kWh"),
        ("DLMS", "1-0:94.91.9", "1-0:94.91.9", "kWh"),
        ("IDIS", "1-0:94.91.4", None, None),
        ("INDIA", "1-0:94.91.4", "1-0:94.91.9", None),
    ],
)
def test_scalers_from_a_scaler_profile_where_the_objects_refuse_theirs(
    standard: str, obis: str, stated: str | None, expected: str | None
) -> None:
    overrides = {obis: scalers(("1-0:1.8.0", 1, 30), ("1-0:2.8.0", 0, 30))}
    bench = Bench(
        "no-scaler=3",
        profile={"scalerProfile": stated},
        keys={"dlms": {"standard": standard}},
        overrides=overrides,
        days=1,
    )
    found = units(bench)
    if expected is None:
        assert set(found) == {
            "load_active_energy_raw", "load_active_energy_export_raw", "load_reactive_energy_raw"
        }  # fmt: skip
    else:
        assert found == {
            "load_active_energy": "Wh",
            "load_active_energy_export": "Wh",
            "load_reactive_energy_raw": None,
        }


def test_a_stated_scaler_profile_goes_before_the_objects() -> None:
    overrides = {"1-0:94.91.9": scalers(("1-0:1.8.0", 3, 30))}
    bench = Bench(profile={"scalerProfile": "1-0:94.91.9"}, overrides=overrides, days=1)
    result = bench.read(END_MS, END_MS + QUARTER_MS)
    energy = next(one for one in result.readings if one.key == "load_active_energy")
    assert isinstance(energy.value, int)
    assert energy.value % 1000 == 0


@pytest.mark.parametrize(
    ("fault", "column", "key", "unit", "power"),
    [
        ("no-scaler=3", {"scaler": -1, "unit": "Wh"}, "load_active_energy", "Wh", -1),
        ("no-scaler=3", {"scaler": 2}, "load_active_energy", None, 2),
        ("no-scaler=3", {"unit": "Wh"}, "load_active_energy_raw", "Wh", 0),
        ("long-scaler", {"scaler": 1}, "load_active_energy", "Wh", 1),
    ],
)
def test_a_scaler_may_be_stated(
    fault: str, column: Mapping[str, Any], key: str, unit: str | None, power: int
) -> None:
    profile = {"columns": [{"obis": "1-0:1.8.0", **column}]}
    bench = Bench(fault, profile=profile, days=1)
    result = bench.read(END_MS, END_MS + QUARTER_MS)
    reading = next(one for one in result.readings if one.key == key)
    table = bench.meter.objects[7, Obis.parse(LOAD).octets].table
    assert table is not None
    raw = table.row(bench.meter, END_MS / 1000)[2].value
    assert reading.unit == unit
    assert float(reading.value) == pytest.approx(raw * 10**power)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cells", [array(), array(structure()), u8(5), array(structure(u8(1), octets(b"?")))]
)
def test_a_scaler_profile_that_makes_no_sense_is_none(cells: Data) -> None:
    overrides = {"1-0:94.7.4": scalers(("1-0:1.8.0", 1, 30))}
    bench = Bench("no-scaler=3", overrides=overrides, days=1)
    bench.meter.put(7, "1-0:94.7.4", 2, cells)
    assert all(key.endswith("_raw") for key in units(bench))
