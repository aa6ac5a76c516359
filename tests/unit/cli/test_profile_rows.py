"""Rows of a profile slice by slice, over links that break."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from dlms_connector.cli.profile_rows import Rows, read_last, read_range
from dlms_connector.errors import LinkTimeoutError
from dlms_connector.history import ProfileReader
from dlms_connector.meter import AnyMeter
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from tests.support.commands import Link, device
from tests.support.simulated import NOW, make_meter

_QUARTER_MS = 900_000
_NEWEST = datetime.fromtimestamp(NOW // 900 * 900, timezone.utc)


class Bench:
    """A meter in memory whose link breaks at the talks with these numbers."""

    def __init__(self, broken: Callable[[int], bool]) -> None:
        one = device(profiles=[{"obis": "1-0:99.1.0"}])
        self._link = Link(make_meter(profile_days=30), one)
        self._broken, self._talks = broken, 0
        self.rows = Rows(ProfileReader(one, one.profiles[0]))
        self.told: list[tuple[float, int]] = []

    @property
    def meter(self) -> AnyMeter:
        return cast(AnyMeter, self)

    async def run(self, job: Callable[[Client], Talk[Any]], *, timeout_s: float) -> Any:
        assert timeout_s > 0
        self._talks += 1
        if self._broken(self._talks):
            raise LinkTimeoutError(0, 1)
        return self._link.hold(job(self._link.client))

    def tell(self, part: float, rows: int) -> None:
        self.told.append((part, rows))

    def instants(self) -> list[int]:
        return [line.ts_ms for line in self.rows.lines]


@pytest.mark.parametrize("back", [1, 20])
async def test_a_range_comes_whole_over_a_link_that_breaks_now_and_then(back: int) -> None:
    bench = Bench(lambda talk: talk % 3 == 2)
    start = _NEWEST - timedelta(days=back)
    await read_range(bench.meter, bench.rows, start, _NEWEST, bench.tell)
    first = int(start.timestamp() * 1000)
    assert bench.instants() == [first + at * _QUARTER_MS for at in range(96 * back)]
    assert bench.rows.complete
    assert bench.told[-1] == (1.0, 96 * back)
    assert bench.told == sorted(bench.told)


async def test_the_newest_rows_come_whole_over_a_link_that_breaks_now_and_then() -> None:
    bench = Bench(lambda talk: talk % 3 == 2)
    await read_last(bench.meter, bench.rows, 1000, bench.tell)
    newest = int(_NEWEST.timestamp() * 1000)
    assert bench.instants() == [newest - at * _QUARTER_MS for at in reversed(range(1000))]


async def test_what_came_stays_when_the_meter_falls_silent() -> None:
    bench = Bench(lambda talk: talk > 4)
    with pytest.raises(LinkTimeoutError):
        await read_last(bench.meter, bench.rows, 2500, bench.tell)
    assert not bench.rows.complete
    assert 24 < len(bench.rows) < 2500
    newest, count = int(_NEWEST.timestamp() * 1000), len(bench.instants())
    assert bench.instants() == [newest - at * _QUARTER_MS for at in reversed(range(count))]


async def test_a_range_that_begins_long_ago_begins_with_the_oldest_row() -> None:
    bench = Bench(lambda talk: False)
    start = datetime(2000, 1, 1)
    await read_range(bench.meter, bench.rows, start, None, bench.tell)
    assert bench.instants()[-1] == int(_NEWEST.timestamp() * 1000)
    assert len(bench.rows) >= 30 * 96
    assert len(bench.told) < 60


async def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    bench = Bench(lambda talk: False)
    with pytest.raises(ValueError, match="ends before it begins"):
        await read_range(bench.meter, bench.rows, _NEWEST, _NEWEST - timedelta(days=1), bench.tell)
