"""Meters that are too slow for their period: it is lengthened to what they reach, and said once."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest

from dlms_connector.config.model import ConnectionGroup, Device
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.pace import Demand, Pace
from tests.support import fake_time
from tests.support.fake_meter import FakeLink, FakeMeter, RecordingSink, client_of, device

LOG = logging.getLogger("test.pace")


PATIENT = {"timeoutMs": 10_000}


class Site:
    """Meters, each with as much latency as it is given; on one endpoint or on several."""

    def __init__(self, *devices: Device, groups: dict[str, int] | None = None) -> None:
        self.fakes = [FakeMeter(one.device_name) for one in devices]
        self.sink = RecordingSink()
        at: dict[str, list[FakeMeter]] = {}
        for one, fake in zip(devices, self.fakes, strict=True):
            at.setdefault(one.connection.endpoint, []).append(fake)
        self.fleet = Fleet(
            devices,
            self.sink,
            LOG,
            link_of=lambda one: FakeLink(*at[one.connection.endpoint]),
            client_of=client_of(*self.fakes),
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
            room_for=lambda devices, log: None,
            groups={
                name: ConnectionGroup(max_concurrent=number)
                for name, number in (groups or {}).items()
            },
        )

    async def run(self, *stages: tuple[float, float]) -> list[list[float]]:
        """Run for so many seconds with each latency; return the gaps between polls at the end."""
        running = asyncio.ensure_future(self.fleet.run())
        found: list[list[float]] = []
        for latency_s, seconds in stages:
            for fake in self.fakes:
                fake.latency_s = latency_s
            since = asyncio.get_running_loop().time() + seconds / 2
            await asyncio.sleep(seconds)
            stamps = [each for each in self.sink.times(self.fakes[0].name) if each >= since]
            found.append([later - before for before, later in itertools.pairwise(stamps)])
        running.cancel()
        await asyncio.wait({running})
        return found


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [each for each in caplog.messages if word in each]


def test_a_slow_meter_is_polled_as_often_as_it_can(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site = Site(device("M1", pollPeriod=2000, connection=PATIENT))
    usual, slow, again = fake_time.run(site.run((0.1, 100), (3.0, 200), (0.1, 200)))
    assert usual == pytest.approx([2.0] * len(usual), abs=0.01)
    assert slow == pytest.approx([3.0] * len(slow), abs=0.1), "not each 4 s, a slot of its grid"
    assert again == pytest.approx([2.0] * len(again), abs=0.01)
    assert len(lines(caplog, "cannot be kept")) == len(lines(caplog, "is kept again")) == 1
    assert "there is time for one every" in lines(caplog, "cannot be kept")[0]


def test_the_figure_is_told() -> None:
    site = Site(device("M1", pollPeriod=2000, connection=PATIENT))
    assert site.fleet.statistics("M1").cycle_ms is None

    async def body() -> int | None:
        await site.run((3.0, 200))
        return site.fleet.statistics("M1").cycle_ms

    assert fake_time.run(body()) == pytest.approx(3000, rel=0.02)


def test_the_meters_of_a_line_share_its_time(caplog: pytest.LogCaptureFixture) -> None:
    shared = [
        device(f"M{n}", pollPeriod=5000, connection={"host": "h"}, dlms={"physicalAddress": n + 1})
        for n in range(8)
    ]
    site = Site(*shared)
    (gaps,) = fake_time.run(site.run((0.5, 600)))
    assert min(gaps) > 5.5
    assert max(gaps) < 1.3 * min(gaps), "each gets its turn"
    assert len(lines(caplog, "cannot be kept")) == 8
    assert not lines(caplog, "is kept again")


def test_the_lines_of_a_group_share_its_places(caplog: pytest.LogCaptureFixture) -> None:
    grouped = [
        device(f"M{n}", pollPeriod=5000, connection={"host": f"h{n}", "group": "modems"})
        for n in range(12)
    ]
    site = Site(*grouped, groups={"modems": 2})
    fake_time.run(site.run((1.0, 600)))
    assert len(lines(caplog, "cannot be kept")) == 12
    assert not lines(caplog, "is kept again")
    most = max(len(site.sink.times(fake.name)) for fake in site.fakes)
    least = min(len(site.sink.times(fake.name)) for fake in site.fakes)
    assert least > 0.7 * most, "none starves"


def test_one_slow_poll_changes_nothing() -> None:
    pace = Pace("M1", (Demand(),), LOG)
    took = [9.0, 0.5, 0.5, 2.1, 0.5, 0.5, 0.5]
    assert [pace.polled(each, 1.0) for each in took] == [1.0] * len(took)


def test_a_silent_meter_demands_nothing() -> None:
    line = Demand()
    one, other = Pace("M1", (line,), LOG), Pace("M2", (line,), LOG)
    for _ in range(10):
        one.polled(0.9, 1.0)
        other.polled(0.9, 1.0)
    assert other.is_slow
    assert line.level() == pytest.approx(0.5)
    one.silent()
    assert [other.polled(0.9, 1.0) for _ in range(4)][-1] == 1.0


def test_who_demands_little_keeps_its_period() -> None:
    line = Demand()
    modest, greedy = Pace("M1", (line,), LOG), Pace("M2", (line,), LOG)
    stretches = [(modest.polled(0.5, 5.0), greedy.polled(0.5, 0.5)) for _ in range(10)]
    assert {one for one, _ in stretches} == {1.0}
    assert stretches[-1][1] == pytest.approx(1 / 0.9)
