"""All lines together: independent, supervised, gently started, quickly stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
from itertools import pairwise
from typing import Any, cast

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import ConnectError
from dlms_connector.fleet.fleet import Fleet, GoneError
from dlms_connector.fleet.gate import Gate
from dlms_connector.fleet.line import Line
from dlms_connector.link import Link
from dlms_connector.obis import Obis
from dlms_connector.simulator import MeterOptions, microstar, simulate
from tests.support import fake_time
from tests.support.fake_meter import (
    FakeLink,
    FakeMeter,
    RecordingSink,
    client_of,
    device,
    ref,
)
from tests.support.measured import measured

LOG = logging.getLogger("test.fleet")


class Bench:
    """A fleet of meters with an endpoint each, unless told otherwise."""

    def __init__(self, *devices: Device, open_s: float = 0.05) -> None:
        self.fakes = {one.device_name: FakeMeter(one.device_name) for one in devices}
        self.links: dict[str, FakeLink] = {}
        self.sink = RecordingSink()
        self.opening = self.most_opening = 0

        def link_of(configured: Device) -> Link:
            endpoint = configured.connection.endpoint
            behind = [
                self.fakes[one.device_name]
                for one in devices
                if one.connection.endpoint == endpoint
            ]
            link = _CountingLink(self, *behind, open_s=open_s)
            self.links[endpoint] = link
            return link

        self.fleet = Fleet(
            devices,
            self.sink,
            LOG,
            link_of=link_of,
            client_of=client_of(*self.fakes.values()),
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
        )


class _CountingLink(FakeLink):
    def __init__(self, bench: Bench, *meters: FakeMeter, open_s: float) -> None:
        super().__init__(*meters, open_s=open_s)
        self._bench = bench

    async def open(self) -> None:
        self._bench.opening += 1
        self._bench.most_opening = max(self._bench.most_opening, self._bench.opening)
        try:
            await super().open()
        finally:
            self._bench.opening -= 1


async def stop(running: asyncio.Future[None]) -> float:
    start = asyncio.get_running_loop().time()
    running.cancel()
    await asyncio.wait({running})
    return asyncio.get_running_loop().time() - start


def meters(count: int, **more: Any) -> list[Device]:
    return [device(f"M{n}", host=f"h{n}", **more) for n in range(count)]


def test_dead_and_refusing_meters_leave_the_periods_of_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(*meters(20))
    for n in range(3):
        bench.fakes[f"M{n}"].silent = True
    bench.fakes["M3"].refuses = True

    async def body() -> None:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(600)
        await stop(running)

    fake_time.run(body())
    for n in range(4, 20):
        times = bench.sink.times(f"M{n}")
        assert len(times) >= 118
        for earlier, later in pairwise(times[1:]):
            assert later - earlier == pytest.approx(5.0, rel=0.05)
    # What tests before this one have left behind may speak up at any time.
    ours = [record for record in caplog.records if record.name == LOG.name]
    assert len(ours) == 4, "one line per outage"


def test_one_endpoint_is_one_line() -> None:
    bench = Bench(device("A", host="x"), device("B", host="x"), device("C", host="y"))
    assert set(bench.links) == {"tcp://x:4059", "tcp://y:4059"}
    assert len(bench.links["tcp://x:4059"].meters) == 2


def test_a_thousand_meters_start_without_a_storm() -> None:
    bench = Bench(*meters(1000, pollPeriod=60_000), open_s=0.5)

    async def body() -> None:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(59)
        assert all(len(bench.sink.times(f"M{n}")) == 1 for n in range(1000))
        assert bench.most_opening <= 50
        await stop(running)

    fake_time.run(body())


def test_dead_endpoints_do_not_hold_the_gate_against_living_ones() -> None:
    async def body() -> None:
        gate = Gate(places=2, hold_s=1.0)
        dead = [FakeLink(open_s=10.0) for _ in range(4)]
        for link in dead:
            link.reachable = False
        living = FakeLink(open_s=0.1)
        trying = [asyncio.ensure_future(gate.open(link)) for link in dead]
        await asyncio.sleep(0)
        await gate.open(living)
        assert asyncio.get_running_loop().time() == pytest.approx(2.1)
        results = await asyncio.gather(*trying, return_exceptions=True)
        assert all(isinstance(result, ConnectError) for result in results)

    fake_time.run(body())


def test_a_cancelled_opening_gives_its_place_back() -> None:
    async def body() -> None:
        gate = Gate(places=1, hold_s=1.0)
        for _ in range(3):
            link = FakeLink(open_s=10.0)
            opening = asyncio.ensure_future(gate.open(link))
            await asyncio.sleep(0.1 if _ else 5.0)
            opening.cancel()
            await asyncio.wait({opening})
            assert link.opened == 0
        await gate.open(FakeLink())

    fake_time.run(body())


def test_an_opening_that_fails_as_it_is_cancelled_is_not_complained_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing(FakeLink):
        async def open(self) -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                raise ConnectError("h:1", "connection refused") from None

    async def body() -> None:
        opening = asyncio.create_task(Gate().open(Refusing()))
        await asyncio.sleep(0.5)
        opening.cancel()
        await asyncio.wait({opening})
        await asyncio.sleep(0)

    fake_time.run(body())
    gc.collect()
    assert caplog.records == []


def test_stopping_says_goodbye_to_all_within_half_a_second() -> None:
    bench = Bench(*meters(500, pollPeriod=5000))

    async def body() -> float:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(20.05)
        assert sum(fake.associated for fake in bench.fakes.values()) == 500
        return await stop(running)

    assert fake_time.run(body()) <= 0.5
    assert not any(fake.associated for fake in bench.fakes.values())
    assert not any(link.is_open for link in bench.links.values())


def test_stopping_does_not_wait_for_meters_that_died() -> None:
    bench = Bench(*meters(100))

    async def body() -> float:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(20)
        for fake in bench.fakes.values():
            fake.silent = True
        await asyncio.sleep(2)
        return await stop(running)

    assert fake_time.run(body()) <= 0.5
    assert not any(link.is_open for link in bench.links.values())


def test_stopping_before_the_start_and_with_no_meters_is_quick() -> None:
    async def body() -> None:
        for fleet in (Bench().fleet, Bench(*meters(3)).fleet):
            running = asyncio.ensure_future(fleet.run())
            await asyncio.sleep(0)
            assert await stop(running) <= 0.5

    fake_time.run(body())


def test_a_line_that_fails_by_our_fault_starts_again_and_the_others_never_notice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    bench = Bench(device("A", host="x"), device("B", host="y"))
    line: Line = bench.fleet._lines.at("tcp://x:4059")
    sound = line._rest
    faults = [ZeroDivisionError("our fault")] * 2

    async def faulty() -> None:
        await sound()
        if asyncio.get_running_loop().time() > 20 and faults:
            raise faults.pop()

    line._rest = faulty  # type: ignore[method-assign]

    async def body() -> None:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(90)
        await stop(running)

    fake_time.run(body())
    assert len(bench.sink.times("B")) == 18
    assert len(bench.sink.times("A")) >= 13
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert all(record.exc_info for record in caplog.records)


def test_jobs_reach_their_meter_and_statistics_are_kept() -> None:
    bench = Bench(*meters(2))

    async def body() -> None:
        running = asyncio.ensure_future(bench.fleet.run())
        await asyncio.sleep(7)
        (value,) = await bench.fleet.submit(
            "M1", lambda client: client.get([ref("1-0:1.8.0")]), timeout_s=5
        )
        assert cast("Any", value).value == 23017
        assert bench.fleet.statistics("M1").polls_ok == 2
        assert bench.fleet.state("M1") == "online"
        bench.fleet.reconnect("M1")
        await asyncio.sleep(1)
        assert bench.fakes["M1"].count("connect") == 2
        with pytest.raises(GoneError, match="nobody is not polled any more"):
            await bench.fleet.submit("nobody", lambda client: client.get([]), timeout_s=5)
        for call in (bench.fleet.reconnect, bench.fleet.statistics, bench.fleet.history):
            with pytest.raises(GoneError, match="nobody is not polled any more"):
                call("nobody")
        bench.fleet.refresh("nobody", 3, Obis.parse("1-0:1.8.0"))  # there is nothing to be read
        await stop(running)

    fake_time.run(body())


@measured
async def test_simulated_meters_over_real_sockets() -> None:
    """Nothing faked: good, silent and refusing meters, lists and single reads, a shared line."""
    simulated: list[Any] = [
        MeterOptions(),
        microstar(),
        MeterOptions(framing="WRAPPER"),
        MeterOptions(faults=["silence"]),
        MeterOptions(faults=["refuse-association"]),
        [MeterOptions(physical_address=1), MeterOptions(physical_address=2)],
    ]
    async with simulate(simulated) as servers:

        def one(name: str, server: int, obis: str = "1-0:1.8.0", **dlms: Any) -> Device:
            connection = {"host": "127.0.0.1", "port": servers[server].port, "timeoutMs": 200}
            return device(name, obis, connection=connection, dlms=dlms, pollPeriod=150)

        sink = RecordingSink()
        fleet = Fleet(
            [
                one("hdlc", 0),
                one("microstar", 1, "1-1:32.7.0", clientAddress=1, logicalAddress=0,
                    authentication="LOW", password="2222222222"),
                one("wrapper", 2, interfaceType="WRAPPER"),
                one("silent", 3),
                one("refusing", 4),
                one("shared1", 5, physicalAddress=1),
                one("shared2", 5, physicalAddress=2),
            ],
            sink,
            LOG,
        )  # fmt: skip
        running = asyncio.ensure_future(fleet.run())
        good = ("hdlc", "microstar", "wrapper", "shared1", "shared2")

        def enough() -> bool:
            down = all(sink.state_names(name) for name in ("silent", "refusing"))
            return down and all(len(sink.polls.get(name, ())) >= 4 for name in good)

        await asyncio.wait_for(sink.until(enough), 30)
        assert await stop(running) <= 0.5
    for name in good:
        assert sink.state_names(name) == ["online"]
        assert not any(poll.failures for _, poll in sink.polls[name])
    assert sink.polls["microstar"][0][1].readings[0].unit == "V"
    assert sink.state_names("silent")[0] in ("offline", "backoff")
    assert sink.state_names("refusing") == ["refused"]
    assert fleet.statistics("hdlc").reconnects == 0
