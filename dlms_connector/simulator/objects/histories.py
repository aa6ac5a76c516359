"""Profiles (class 7): load profile, billing values, events. Their rows are computed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    UINT32,
    Data,
    array,
    enum,
    i8,
    octets,
    structure,
    u8,
    u16,
    u32,
)
from dlms_connector.simulator.objects import clock, moments
from dlms_connector.simulator.objects import measurements as m
from dlms_connector.simulator.objects.consumption import DAY, INSTALLED
from dlms_connector.simulator.objects.cosem_object import CosemObject, Source, Table, logical_name
from dlms_connector.simulator.objects.demand import maximum_demand
from dlms_connector.simulator.objects.view import MeterView

QUARTER = 900
_BILLINGS = 13
_CLOCK_COLUMN = (8, clock.NAME, 2, 0)
_FIFO = 1
POWER_DOWN, POWER_UP = 1, 2


def _column(text: str, class_id: int = 3) -> tuple[int, bytes, int, int]:
    return (class_id, logical_name(text), 2, 0)


def _wh(value: float) -> Data:
    return Data(UINT32, int(value))


def _quarters(meter: MeterView) -> Sequence[float]:
    last = int(meter.measuring() // QUARTER) * QUARTER
    first = max(int(INSTALLED), last - int(meter.options.profile_days * DAY) + QUARTER)
    quarters = range(first, last + 1, QUARTER)
    every = int(meter.faults["lost-rows"])
    return [at for at in quarters if at // QUARTER % every] if every else quarters


def _load_row(meter: MeterView, at: float) -> tuple[Data, ...]:
    return (
        moments.write(meter, at),
        u8(0),
        _wh(m.energy(meter, at)),
        _wh(m.feed_in_energy(meter, at)),
        _wh(m.reactive_energy(meter, at)),
    )


def _months(meter: MeterView) -> Sequence[float]:
    """Return the Unix times at which the last months began in the meter's local time."""
    offset = timedelta(minutes=meter.options.utc_offset_minutes)
    now = datetime.fromtimestamp(meter.measuring(), timezone.utc) + offset
    month = now.year * 12 + now.month - 1
    starts = (
        datetime(number // 12, number % 12 + 1, 1, tzinfo=timezone.utc) - offset
        for number in range(month - _BILLINGS + 1, month + 1)
    )
    return [start.timestamp() for start in starts if start.timestamp() > INSTALLED]


def _billing_row(meter: MeterView, at: float) -> tuple[Data, ...]:
    return (
        moments.write(meter, at),
        _wh(m.energy(meter, at)),
        _wh(m.energy_day(meter, at)),
        _wh(m.energy_night(meter, at)),
        _wh(m.feed_in_energy(meter, at)),
        _wh(maximum_demand(meter, at)[0]),
    )


def _events(meter: MeterView) -> list[tuple[float, int]]:
    """Return past events: a short power failure about every two weeks, and `meter.events`."""
    rng = random.Random(meter.seed)  # noqa: S311 (no secret, only variety)
    now, at, found = meter.measuring(), INSTALLED, []
    while (at := at + rng.randrange(5, 25) * DAY + rng.randrange(86_400)) < now:
        found += [(at, POWER_DOWN), (at + rng.randrange(2, 600), POWER_UP)]
    return found[-100:] + meter.events


def _event_times(meter: MeterView) -> Sequence[float]:
    return [at for at, _ in _events(meter)]


def _event_row(meter: MeterView, at: float) -> tuple[Data, ...]:
    code = next(code for when, code in reversed(_events(meter)) if when == at)
    return (moments.write(meter, at), u8(code))


def last_event(meter: MeterView) -> Data:
    """Return the last event's code."""
    events = _events(meter)
    return u8(events[-1][1] if events else 0)


def _profile(text: str, table: Table, period: int, entries: Source) -> CosemObject:
    columns = array(
        *(
            structure(u16(class_id), octets(name), i8(attribute), u16(index))
            for class_id, name, attribute, index in table.columns
        )
    )

    def in_use(meter: MeterView) -> Data:
        return u32(len(table.times(meter)))

    attributes: dict[int, Source] = {
        3: columns,
        4: u32(period),
        5: enum(_FIFO),
        6: columns.value[0],
        7: in_use,
        8: entries,
    }
    return CosemObject(
        7,
        logical_name(text),
        attributes,
        version=1,
        methods={2: lambda meter, argument: NOTHING},
        table=table,
    )


def make_histories() -> list[CosemObject]:
    """Make the profiles."""
    energies = [_column("1-0:1.8.0"), _column("1-0:2.8.0"), _column("1-0:3.8.0")]
    tariffs = [_column(f"1-0:1.8.{tariff}") for tariff in range(3)]
    load = Table((_CLOCK_COLUMN, _column("0-0:96.10.1", 1), *energies), _quarters, _load_row)
    billing = Table(
        (_CLOCK_COLUMN, *tariffs, _column("1-0:2.8.0"), _column("1-0:1.6.0", 4)),
        _months,
        _billing_row,
    )
    events = Table((_CLOCK_COLUMN, _column("0-0:96.11.0", 1)), _event_times, _event_row)

    def capacity(meter: MeterView) -> Data:
        return u32(int(meter.options.profile_days * DAY) // QUARTER)

    return [
        _profile("1-0:99.1.0", load, QUARTER, capacity),
        _profile("0-0:98.1.0", billing, 0, u32(_BILLINGS)),
        _profile("0-0:99.98.0", events, 0, u32(200)),
        CosemObject(1, logical_name("0-0:96.10.1"), {2: u8(0)}),
        CosemObject(1, logical_name("0-0:96.11.0"), {2: last_event}),
    ]
