"""More lines than places for connections: they take turns, and those that answer are not late."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from dlms_connector.config.model import ConnectionGroup, Device
from dlms_connector.fleet import descriptors
from dlms_connector.fleet.descriptors import Descriptors, Room
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.places import Places, Seat
from dlms_connector.link import Link
from tests.support import fake_time
from tests.support.fake_meter import FakeLink, FakeMeter, RecordingSink, client_of, device

LOG = logging.getLogger("test.places")


class Site:
    """Meters with a line each, and a limited number of connections at once."""

    def __init__(
        self, count: int, most: int | None, groups: dict[str, int] | None = None, **more: Any
    ) -> None:
        self.devices = [device(f"M{n}", host=f"h{n}", **more) for n in range(count)]
        self.fakes = [FakeMeter(one.device_name) for one in self.devices]
        self.links: list[_Link] = []
        self.sink = RecordingSink()
        self.most_open = 0
        self.fleet = Fleet(
            self.devices,
            self.sink,
            LOG,
            link_of=self._link_of,
            client_of=client_of(*self.fakes),
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
            room_for=lambda devices, log: most,
            groups={
                name: ConnectionGroup(max_concurrent=number)
                for name, number in (groups or {}).items()
            },
        )

    def _link_of(self, configured: Device) -> Link:
        self.links.append(_Link(self, self.fakes[len(self.links)]))
        return self.links[-1]

    def run(self, seconds: float) -> None:
        async def body() -> None:
            running = asyncio.ensure_future(self.fleet.run())
            await asyncio.sleep(seconds)
            running.cancel()
            await asyncio.wait({running})

        fake_time.run(body())


class _Link(FakeLink):
    def __init__(self, site: Site, meter: FakeMeter) -> None:
        super().__init__(meter, open_s=0.05)
        self._site = site

    async def open(self) -> None:
        await super().open()
        open_now = sum(link.is_open for link in self._site.links)
        self._site.most_open = max(self._site.most_open, open_now)


def test_meters_beyond_the_limit_take_turns() -> None:
    site = Site(12, most=3)
    site.run(120)
    assert site.most_open == 3
    for one in site.devices:
        assert len(site.sink.times(one.device_name)) >= 23, "one poll in each period of 5 s"
    assert not [fake for fake in site.fakes if fake.count("release") == 0], "parted politely"


def test_with_room_for_all_associations_stay_open() -> None:
    site = Site(6, most=6)
    site.run(60)
    assert [link.opened for link in site.links] == [1] * 6


def test_silent_meters_do_not_take_all_places() -> None:
    site = Site(12, most=4)
    for fake in site.fakes[:6]:
        fake.silent = True
    site.run(300)
    for one in site.devices[6:]:
        assert len(site.sink.times(one.device_name)) >= 50
    for link in site.links[:6]:
        assert link.opened > 2, "they are tried again, too"


def test_a_call_gets_its_turn() -> None:
    site = Site(4, most=1, pollPeriod=3_600_000)

    async def body() -> None:
        running = asyncio.ensure_future(site.fleet.run())
        await asyncio.sleep(60)
        for n in range(4):
            await site.fleet.submit(f"M{n}", lambda client: client.get([]), timeout_s=30)
        running.cancel()
        await asyncio.wait({running})

    fake_time.run(body())
    assert site.most_open == 1


def test_a_group_has_no_more_connections_than_it_may() -> None:
    site = Site(9, None, {"modems": 2}, connection={"group": "modems"})
    site.run(120)
    assert site.most_open == 2
    for one in site.devices:
        assert len(site.sink.times(one.device_name)) >= 23


def test_a_group_and_a_limit_of_the_process_together() -> None:
    site = Site(9, 3, {"modems": 4}, connection={"group": "modems"})
    site.run(120)
    assert site.most_open == 3
    for one in site.devices:
        assert len(site.sink.times(one.device_name)) >= 23


def test_other_lines_do_not_wait_for_a_group() -> None:
    site = Site(4, None, {"modems": 1})
    site.run(60)
    assert [link.opened for link in site.links] == [1] * 4


async def test_who_was_idle_longest_gives_way_and_all_are_served_in_order() -> None:
    woken: list[str] = []
    places = Places(2)
    seats = {name: Seat([places], partial(woken.append, name)) for name in "abcd"}
    await seats["a"].take(silent=False)
    await seats["b"].take(silent=False)
    seats["b"].rest()
    seats["a"].rest()
    third = asyncio.ensure_future(seats["c"].take(silent=False))
    fourth = asyncio.ensure_future(seats["d"].take(silent=False))
    await asyncio.sleep(0)
    assert woken == ["b", "a"]
    assert seats["b"].is_wanted
    seats["b"].leave()
    await third
    assert not fourth.done()
    seats["a"].leave()
    await fourth
    assert places.taken == 2
    assert not seats["c"].is_wanted, "nobody waits any more"


async def test_a_busy_one_gives_way_at_the_end_of_its_turn() -> None:
    places = Places(1)
    first, second = Seat([places], lambda: None), Seat([places], lambda: None)
    await first.take(silent=False)
    before = first.is_wanted
    waiting = asyncio.ensure_future(second.take(silent=False))
    await asyncio.sleep(0)
    assert (before, first.is_wanted) == (False, True)
    first.leave()
    await waiting


async def test_who_stops_waiting_takes_no_place_away() -> None:
    places = Places(1)
    first, second, third = (Seat([places], lambda: None) for _ in range(3))
    await first.take(silent=False)
    gone = asyncio.ensure_future(second.take(silent=False))
    waiting = asyncio.ensure_future(third.take(silent=False))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    first.leave()
    await waiting
    late = asyncio.ensure_future(first.take(silent=False))
    await asyncio.sleep(0)
    third.leave()  # granted, and cancelled before it was told
    late.cancel()
    await asyncio.wait({late})
    assert places.taken == 0


@pytest.mark.parametrize(
    ("limit", "lines", "callers", "expected"),
    [
        (None, 10_000, 0, None),
        (16_384, 10_000, 0, None),
        (1024, 100, 0, None),
        (1024, 10_000, 0, 1024 - 24 - 256),
        (1024, 1000, 100, 1024 - 24 - 256 - 100),
        (64, 100, 0, 64 - 24 - 16),
        (30, 100, 0, 1),
    ],
)
def test_arithmetic_of_places(
    limit: int | None, lines: int, callers: int, expected: int | None
) -> None:
    assert Descriptors(limit, used=24).places(lines, callers) == expected


async def test_who_waits_no_more_drives_nobody_out() -> None:
    asked: list[str] = []
    places = Places(1)
    there, gone = Seat((places,), lambda: asked.append("there")), Seat((places,), lambda: None)
    await there.take(silent=False)
    waiting = asyncio.ensure_future(gone.take(silent=False))
    await asyncio.sleep(0)
    assert there.is_wanted
    waiting.cancel()
    await asyncio.wait({waiting})
    there.rest()
    assert (there.is_wanted, asked) == (False, [])


def test_what_is_missing_is_told_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "descriptors", lambda wanted: Descriptors(256, used=56))
    devices = [device(f"M{n}", host=f"h{n // 2}") for n in range(1000)]
    assert Room()(devices, LOG) == 256 - 56 - 64
    assert caplog.messages == [
        "1000 meters on 500 connections need 620 file descriptors, and the process may have 256: "
        "136 connections are open at a time and the meters take turns; set LimitNOFILE=1024 in "
        "the gateway's service (or --ulimit nofile of its container) for all of them"
    ]


_PROGRAM = """
import asyncio, json, logging, resource, sys
hard = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
from dlms_connector.config.model import Device
from dlms_connector.fleet import Fleet
ports = json.loads(sys.argv[2])

class Sink:
    def __init__(self):
        self.read, self.troubles, self.done = {}, [], asyncio.Event()
    def polled(self, device, poll):
        name = device.device_name
        self.read[name] = self.read.get(name, 0) + bool(poll.readings)
        if len(self.read) == len(ports) and min(self.read.values()) >= 3:
            self.done.set()
    def state(self, device, state, error):
        if error is not None:
            self.troubles.append(str(error))
    def history(self, *slice_):
        pass

async def main():
    devices = [
        Device.model_validate({
            "deviceName": f"M{port}", "pollPeriod": 1000,
            "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 60_000},
            "timeseries": [{"key": "e", "obis": "1-0:1.8.0"}],
        })
        for port in ports
    ]
    sink = Sink()
    running = asyncio.ensure_future(Fleet(devices, sink, logging.getLogger("fleet")).run())
    await asyncio.wait_for(sink.done.wait(), 120)
    running.cancel()
    await asyncio.wait({running})
    print(json.dumps([sink.troubles, resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))

asyncio.run(main())
"""


async def test_a_process_with_too_few_descriptors_reads_all_its_meters() -> None:
    from dlms_connector.simulator import MeterOptions, simulate

    options: Sequence[MeterOptions] = [MeterOptions(serial=n + 1) for n in range(60)]
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft > 256, "the simulated meters need some, too"
    async with simulate(options) as endpoints:
        ports = json.dumps([endpoint.port for endpoint in endpoints])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, "48", ports,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == 0, err.decode()
    troubles, limit = json.loads(out)
    assert troubles == []
    assert limit == 48, "the soft limit was raised to the hard one"
    assert b"60 meters on 60 connections need" in err
    assert b"Too many open files" not in err
