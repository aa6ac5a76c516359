"""A fleet whose meters change while it runs: the others go on, and notice nothing of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from dlms_connector.config import ConnectionGroup, Device
from dlms_connector.fleet import Fleet
from dlms_connector.fleet.fleet import GoneError
from dlms_connector.fleet.jobs import ReplacedError
from dlms_connector.link import Link
from dlms_connector.meter import Meter
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.records import Records
from tests.support import fake_time
from tests.support.fake_meter import FakeLink, FakeMeter, RecordingSink, client_of, device, ref
from tests.support.history_line import EPOCH_S, KeepingSink, meter_for, now_ms
from tests.support.links import SimulatedLink

LOG = logging.getLogger("test.fleet")
ENERGY, VOLTAGE = "1-0:1.8.0", "1-0:32.7.0"
LOAD = Obis.parse("1-0:99.1.0")


class Bench:
    """A fleet of meters in memory; `links` are those that were made, by endpoint, the last last."""

    def __init__(self, *devices: Device, room: int | None = None, **more: Any) -> None:
        self.fakes = {f"M{n}": FakeMeter(f"M{n}") for n in range(20)}
        for fake in self.fakes.values():
            fake.give(VOLTAGE, 2300, -1)
        self.links: dict[str, list[FakeLink]] = {}
        self.sink = RecordingSink()
        self.fleet = Fleet(
            devices,
            self.sink,
            LOG,
            link_of=self._link_of,
            client_of=client_of(*self.fakes.values()),
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
            room_for=lambda devices, log: room,
            **more,
        )

    def _link_of(self, configured: Device) -> Link:
        shared = configured.connection.endpoint == "tcp://x:4059"
        there = ["M0", "M1", "M2"] if shared else [configured.device_name]
        link = FakeLink(*(self.fakes[name] for name in there), open_s=0.05)
        self.links.setdefault(configured.connection.endpoint, []).append(link)
        return link

    def connects(self) -> dict[str, int]:
        """Return how many associations each meter has been asked for."""
        return {name: count for name, one in self.fakes.items() if (count := one.count("connect"))}

    def asked(self, name: str) -> list[float]:
        """Return when a meter was asked for values."""
        return self.fakes[name].times("get")

    def disturbances(self) -> list[str]:
        return [each for links in self.links.values() for link in links
                for each in link.disturbances]  # fmt: skip


def run(bench: Bench, test: Callable[[], Awaitable[None]]) -> None:
    async def body() -> None:
        running = asyncio.ensure_future(bench.fleet.run())
        await test()
        running.cancel()
        await asyncio.wait({running})
        assert not any(link.is_open for links in bench.links.values() for link in links)
        assert bench.disturbances() == []

    fake_time.run(body())


def periods(times: list[float], since: float = 0.0) -> set[float]:
    """Return the periods of polls, but for the first, which opens the association."""
    return {round(b - a, 1) for a, b in pairwise([at for at in times if at >= since][1:])}


def meters(*numbers: int, **more: Any) -> list[Device]:
    return [device(f"M{n}", host=f"h{n}", **more) for n in numbers]


def reading(client: Client) -> Talk[Any]:
    return client.get([ref(ENERGY)])


def test_only_what_changed_is_touched() -> None:
    before = meters(*range(10))
    bench = Bench(*before)

    async def test() -> None:
        await asyncio.sleep(31)
        statistics = {name: bench.fleet.statistics(name) for name in bench.connects()}
        changed = device("M1", VOLTAGE, host="h1", pollPeriod=7000)
        moved = device("M2", host="elsewhere")
        kept = [one.model_copy(deep=True) for one in before[3:]]  # another, that says the same
        bench.fleet.change([changed, moved, *kept, device("M10", host="h10")])
        await asyncio.sleep(31)
        same = [f"M{n}" for n in range(3, 10)]
        assert bench.connects() == {"M0": 1, "M1": 2, "M2": 2, "M10": 1} | dict.fromkeys(same, 1)
        for name in same:
            assert bench.fleet.statistics(name) is statistics[name]
            assert bench.sink.state_names(name) == ["online"]
            assert periods(bench.sink.times(name)) == {5.0}
        # Those that left were told so, and are asked no more.
        assert [bench.fakes[name].count("release") for name in ("M0", "M1", "M2")] == [1, 1, 1]
        assert max(bench.asked("M0")) < 31
        assert bench.fleet.statistics("M1") is not statistics["M1"]
        assert bench.fleet.departed.polls_ok == sum(statistics[f"M{n}"].polls_ok for n in range(3))
        assert not any(link.is_open for link in bench.links["tcp://h2:4059"])
        # What changed is read as it is configured now.
        obis = {str(one.obis) for at, poll in bench.sink.polls["M1"] for one in poll.readings
                if at > 32}  # fmt: skip
        assert obis == {VOLTAGE}
        assert periods(bench.sink.times("M1"), since=32) == {7.0}
        with pytest.raises(GoneError, match="M0 is not polled any more"):
            await bench.fleet.submit("M0", reading, timeout_s=5)
        assert bench.fleet.state("M0") is None
        assert [name for name, _ in bench.fleet.counters()] == ["M1", "M2", *same, "M10"]

    run(bench, test)


def test_a_running_call_and_waiting_ones_survive() -> None:
    bench = Bench(*meters(0, 1))

    async def test() -> None:
        await asyncio.sleep(11)
        bench.fakes["M0"].latency_s = 0.9
        running = bench.fleet.submit("M0", reading, timeout_s=5)
        interrupted = bench.fleet.submit("M1", reading, timeout_s=5)
        waiting = bench.fleet.submit("M1", reading, timeout_s=5)
        await asyncio.sleep(0.05)
        bench.fleet.change([*meters(0), device("M1", VOLTAGE, host="h1")])
        at_once = bench.fleet.submit("M1", reading, timeout_s=5)
        for future in (running, waiting, at_once):
            (value,) = await future
            assert value.value == 23017
        with pytest.raises(ReplacedError, match="has changed meanwhile"):
            await interrupted
        assert bench.connects() == {"M0": 1, "M1": 2}

    run(bench, test)


def test_a_call_that_waits_for_a_place_goes_to_who_comes() -> None:
    """It has its turn on the line already, and nothing of it was sent."""
    groups = {"pool": ConnectionGroup(max_concurrent=1)}
    pooled = [device(f"M{n}", host=f"h{n}", connection={"group": "pool"}) for n in range(2)]
    bench = Bench(*pooled, groups=groups)

    async def test() -> None:
        await asyncio.sleep(11)
        bench.fakes["M0"].latency_s = 0.95
        holding = bench.fleet.submit("M0", reading, timeout_s=5)
        await asyncio.sleep(0.2)
        waiting = bench.fleet.submit("M1", reading, timeout_s=15)
        await asyncio.sleep(0.2)
        assert bench.fakes["M1"].verbs[-1] == "release", "it waits"
        changed = device("M1", VOLTAGE, host="h1", connection={"group": "pool"})
        bench.fleet.change([pooled[0], changed])
        for future in (holding, waiting):
            (value,) = await future
            assert value.value == 23017

    run(bench, test)


def test_the_calls_of_a_meter_that_leaves_fail() -> None:
    bench = Bench(*meters(0, 1))

    async def test() -> None:
        await asyncio.sleep(11)
        calls = [bench.fleet.submit("M1", reading, timeout_s=5) for _ in range(3)]
        await asyncio.sleep(0.05)
        bench.fleet.change(meters(0))
        done = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 0.1)
        assert [type(each) for each in done] == [ReplacedError] * 3

    run(bench, test)


def test_those_behind_one_endpoint_begin_anew_together() -> None:
    """They share what changed; two lines never talk there at a time."""
    shared = [device(f"M{n}", host="x") for n in range(3)]
    bench = Bench(*shared, *meters(5))

    async def test() -> None:
        await asyncio.sleep(21)
        waiting = bench.fleet.submit("M0", reading, timeout_s=5)
        changed = [shared[0], device("M1", VOLTAGE, host="x"), *meters(5)]
        bench.fleet.change(changed)
        (value,) = await waiting
        assert value.value == 23017
        await asyncio.sleep(21)
        first, second = bench.links["tcp://x:4059"]
        assert not first.is_open
        assert second.opened
        assert bench.connects()["M5"] == 1
        assert max(bench.asked("M2")) < 22
        assert max(bench.asked("M0")) > 37
        # In another order nothing has changed.
        bench.fleet.change([changed[2], changed[1], changed[0]])
        await asyncio.sleep(6)
        assert len(bench.links["tcp://x:4059"]) == 2

    run(bench, test)


def test_what_begins_waits_for_what_ends() -> None:
    """Also if it is changed again meanwhile, and the first does not answer the farewell."""
    bench = Bench(*meters(0))

    async def test() -> None:
        await asyncio.sleep(11)
        bench.fakes["M0"].silent = True
        start = asyncio.get_running_loop().time()
        for period in (6000, 7000, 8000):
            bench.fleet.change(meters(0, pollPeriod=period))
            await asyncio.sleep(0.2)
        bench.fakes["M0"].silent = False
        await asyncio.sleep(20)
        first, *between, last = bench.links["tcp://h0:4059"]
        assert [link.opened for link in between] == [0, 0]
        assert last.opened == 1
        assert not first.is_open
        assert min(at for at in bench.asked("M0") if at > start) < start + 3 + 1.5
        assert periods(bench.sink.times("M0"), since=start) == {8.0}

    run(bench, test)


def test_a_link_that_does_not_close_keeps_nobody_waiting() -> None:
    """A serial port, say, whose driver hangs."""
    bench = Bench(*meters(0, 1))

    async def test() -> None:
        await asyncio.sleep(11)
        (stuck,) = bench.links["tcp://h0:4059"]
        close = stuck.close
        stuck.close = asyncio.Event().wait  # type: ignore[method-assign,assignment]
        bench.fleet.change([*meters(1), device("M2", host="h2")])
        await asyncio.sleep(5)
        assert bench.connects() == {"M0": 1, "M1": 1, "M2": 1}
        await close()

    run(bench, test)


def test_a_change_before_the_start_and_at_the_end() -> None:
    bench = Bench(*meters(0, 1))
    bench.fleet.change(meters(1, 2))

    async def test() -> None:
        await asyncio.sleep(11)
        assert bench.connects() == {"M1": 1, "M2": 1}
        bench.fleet.change(meters(2, 3))  # and the fleet ends at once

    run(bench, test)
    assert bench.connects() == {"M1": 1, "M2": 1}
    assert bench.fakes["M1"].count("release") + bench.fakes["M2"].count("release") >= 1


def test_a_silent_meter_is_tried_when_it_would_have_been() -> None:
    def tried(change: bool) -> list[tuple[float, str, Any]]:
        bench = Bench(*meters(0, 1))
        bench.fakes["M0"].silent = True

        async def test() -> None:
            await asyncio.sleep(63)
            if change:
                bench.fleet.change(meters(0))
            await asyncio.sleep(300)
            assert len(bench.sink.state_names("M0")) <= 2

        run(bench, test)
        return bench.fakes["M0"].heard

    assert tried(change=True) == tried(change=False)


def test_groups_and_places_are_given_back() -> None:
    """A meter that leaves while it waits for its place must not keep others waiting."""
    groups = {"pool": ConnectionGroup(max_concurrent=1)}
    pooled = [device(f"M{n}", host=f"h{n}", connection={"group": "pool"}) for n in range(4)]
    bench = Bench(*pooled, groups=groups, room=2)
    bench.fakes["M0"].silent = True  # holds the place, and the others wait

    async def test() -> None:
        for number in range(1, 4):
            await asyncio.sleep(4.3)
            bench.fleet.change(pooled[:number])
        before = len(bench.asked("M1"))
        bench.fakes["M0"].silent = False
        await asyncio.sleep(120)
        assert len(bench.asked("M1")) > before + 15
        assert len(bench.asked("M3")) == 0 or max(bench.asked("M3")) < 20
        (pool,) = bench.fleet._lines._pools.values()
        assert pool.taken <= 1
        (demand,) = bench.fleet._lines._demands.values()
        assert len(demand._members) == 3
        bench.fleet.change([])
        await asyncio.sleep(5)
        assert pool.taken == 0
        assert demand._members == []

    run(bench, test)


def test_places_follow_the_number_of_meters() -> None:
    """Where there are enough for all, and then are not, those that were there take turns too."""
    bench = Bench(*meters(*range(4)))
    rooms = iter([2, None])
    bench.fleet._lines._room_for = lambda devices, log: next(rooms)

    def now_open() -> int:
        return sum(link.is_open for links in bench.links.values() for link in links)

    async def test() -> None:
        await asyncio.sleep(20)
        assert now_open() == 4
        bench.fleet.change(meters(*range(6)))
        await asyncio.sleep(20)
        assert now_open() <= 2
        assert all(max(bench.asked(f"M{n}")) > 33 for n in range(6))
        bench.fleet.change(meters(*range(5)))
        await asyncio.sleep(20)
        assert now_open() == 5

    run(bench, test)


def test_a_trace_goes_on_or_ends_with_its_meter() -> None:
    bench = Bench(*meters(0, 1, 2))

    class Tap:
        def __init__(self) -> None:
            self.seen, self.closed = 0, False

        def sent(self, *_: Any) -> None:
            self.seen += 1

        def received(self, *_: Any) -> None:
            self.seen += 1

        def close(self) -> None:
            self.closed = True

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    async def test() -> None:
        await asyncio.sleep(11)
        taps = [Tap() for _ in range(3)]
        for number, tap in enumerate(taps):
            bench.fleet.trace(f"M{number}", cast("Any", tap))
        bench.fleet.change([*meters(0), device("M1", VOLTAGE, host="h1")])
        await asyncio.sleep(4)  # the farewells are over
        seen = [tap.seen for tap in taps]
        await asyncio.sleep(11)
        assert [tap.closed for tap in taps] == [False, False, True]
        assert all(tap.seen > before for tap, before in zip(taps[:2], seen[:2], strict=True))

    run(bench, test)


def test_nothing_stays_of_meters_that_have_left() -> None:
    """Without a search for garbage: that would stand in the way of all the others."""
    bench = Bench(*meters(*range(3)), groups={"g": ConnectionGroup(max_concurrent=3)})

    async def test() -> None:
        await asyncio.sleep(11)
        bench.fleet.change(meters(1, 3))
        await asyncio.sleep(11)
        line = bench.fleet._lines.of["M3"]
        member = line.members["M3"]
        meter = cast("Meter", member.meter)
        what = (line, member, meter, meter.device, meter.session, meter._noticed)
        watched = [weakref.ref(each) for each in what]
        del line, member, meter, what
        gc.collect()
        gc.disable()
        try:
            bench.fleet.change([*meters(1), device("M0", host="h0")])
            await asyncio.sleep(5)
            bench.links.clear()
            assert [each() for each in watched] == [None] * 6
        finally:
            gc.enable()

    run(bench, test)


def test_history_in_progress_survives_and_begins_where_it_is_new(tmp_path: Path) -> None:
    """A profile half read is read to its end without a second association."""
    records = Records.open(tmp_path / "records.sqlite", LOG, clock=lambda: EPOCH_S)
    profile = {"obis": str(LOAD), "backfill": "P20D"}
    one = device("M1", pollPeriod=60_000, profiles=[profile])
    two = device("M2", pollPeriod=60_000, host="h2")
    sims: dict[str, Any] = {}

    def link_of(configured: Device) -> Any:
        sims.setdefault(configured.device_name, meter_for(configured))
        return SimulatedLink(sims[configured.device_name])

    async def body() -> None:
        sink = KeepingSink(records)
        fleet = Fleet([one, two], sink, LOG, link_of=link_of, now_ms=now_ms, records=records,
                      room_for=lambda devices, log: None)  # fmt: skip
        running = asyncio.ensure_future(fleet.run())
        await sink.until(lambda: bool(sink.slices))
        (before,) = fleet.history("M1")
        assert before.unread > 100
        changed = device("M2", pollPeriod=60_000, host="h2", profiles=[profile])
        fleet.change([one, changed], records)
        assert fleet.history("M1") == (before,)
        await asyncio.sleep(3600)
        for name in ("M1", "M2"):
            (after,) = fleet.history(name)
            assert after.unread <= 4
        assert sink.repeats == 0
        # Nothing stays of it when it leaves.
        member = fleet._lines.of["M1"].members["M1"]
        watched = [weakref.ref(each) for each in (member, member.history, member.meter.session)]
        del member
        gc.collect()
        gc.disable()
        try:
            fleet.change([changed], records)
            await asyncio.sleep(600)
            assert [each() for each in watched] == [None] * 3
        finally:
            gc.enable()
        running.cancel()
        await asyncio.wait({running})

    try:
        fake_time.run(body())
    finally:
        records.close()


def test_profiles_of_the_first_meter_that_has_some(tmp_path: Path) -> None:
    records = Records.open(tmp_path / "records.sqlite", LOG, clock=lambda: EPOCH_S)
    one = device("M1", pollPeriod=60_000)
    reads = device("M1", pollPeriod=60_000, profiles=[{"obis": str(LOAD), "backfill": "P1D"}])

    async def body() -> None:
        sink = KeepingSink(records)
        fleet = Fleet([one], sink, LOG, link_of=lambda each: SimulatedLink(meter_for(each)),
                      now_ms=now_ms, room_for=lambda devices, log: None)  # fmt: skip
        running = asyncio.ensure_future(fleet.run())
        await asyncio.sleep(100)
        fleet.change([reads], records)
        await sink.until(lambda: len(sink.rows) > 20)
        running.cancel()
        await asyncio.wait({running})

    try:
        fake_time.run(body())
    finally:
        records.close()


def test_a_fault_in_the_making_changes_nothing() -> None:
    bench = Bench(*meters(0, 1))

    def broken(_device: Device) -> Link:
        raise RuntimeError("a fault of ours")

    async def test() -> None:
        await asyncio.sleep(11)
        bench.fleet._lines._link_of = broken
        with pytest.raises(RuntimeError):
            bench.fleet.change(meters(1, 2))
        await asyncio.sleep(20)
        assert bench.connects() == {"M0": 1, "M1": 1}
        assert periods(bench.sink.times("M0")) == {5.0}

    run(bench, test)


def test_shared_keys_are_told_when_they_are_new(caplog: pytest.LogCaptureFixture) -> None:
    keys = {"security": "AUTHENTICATION_ENCRYPTION", "systemTitle": "4D4D4D0000000001",
            "blockCipherKey": "000102030405060708090A0B0C0D0E0F",
            "authenticationKey": "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"}  # fmt: skip
    bench = Bench(*meters(0, 1, dlms=keys))

    def told() -> int:
        return caplog.text.count("share one blockCipherKey")

    assert told() == 1
    bench.fleet.change([*meters(0, 1, dlms=keys), *meters(2)])
    assert told() == 1
    bench.fleet.change([*meters(0, 1, 3, dlms=keys), *meters(2)])
    assert told() == 2
