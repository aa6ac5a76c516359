"""How fast meters are read: ratios of one run, so that they say the same on any machine.

    python -m tests.benchmarks.bench_fleet [--meters 200] [--delay-ms 20]

The simulated meters run in a process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any

from dlms_connector.config.model import Device
from dlms_connector.errors import DlmsError
from dlms_connector.fleet import Fleet, MeterState
from dlms_connector.link import Link, make_link
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.plan import wanted
from dlms_connector.protocol.client import make_client
from dlms_connector.reading import Poll
from dlms_connector.simulator import MeterOptions, simulate

LOG = logging.getLogger("bench")
ITEMS = (
    "1-0:1.8.0", "1-0:2.8.0", "1-0:1.7.0", "1-0:2.7.0", "1-0:32.7.0", "1-0:31.7.0",
    "1-0:14.7.0", "1-0:13.7.0",
)  # fmt: skip


def serve(pipe: Pipe, meters: int, faults: Sequence[str]) -> None:
    """Serve simulated meters until the pipe says something."""

    async def body() -> None:
        options = [MeterOptions(serial=n + 1, faults=faults) for n in range(meters)]
        async with simulate(options) as endpoints:
            pipe.send([endpoint.port for endpoint in endpoints])
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    asyncio.run(body())


class Simulated:
    """Meters in another process, as a context."""

    def __init__(self, meters: int, *faults: str) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, meters, faults), daemon=True
        )

    def __enter__(self) -> list[int]:
        self._process.start()
        ports: list[int] = self._pipe.recv()
        return ports

    def __exit__(self, *_: object) -> None:
        self._pipe.send("stop")
        self._process.join()


def device(port: int, **more: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": f"M{port}",
            "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 10_000},
            "timeseries": [{"key": code, "obis": code} for code in ITEMS],
        }
        | more
    )


def meter_of(configured: Device, link: Link) -> Meter:
    return Meter(
        configured,
        link,
        open_link=link.open,
        make_client=make_client,
        now_ms=lambda: time.time_ns() // 1_000_000,
        log=LOG,
    )


class CountingLink:
    """A link that counts what is sent: one frame out is one round trip."""

    def __init__(self, link: Link) -> None:
        self._link, self.sent = link, 0

    def send(self, data: bytes) -> None:
        self.sent += 1
        self._link.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


async def cycle(configured: Device, *, polls: int = 10, keep: bool = True) -> tuple[float, float]:
    """Return seconds and round trips of a steady cycle."""
    link = CountingLink(make_link(configured.connection))
    meter = meter_of(configured, link)
    await meter.poll(wanted(configured))
    if not keep:
        await meter.session.release()
        await link.close()
    sent, start = link.sent, time.perf_counter()
    for _ in range(polls):
        outcome = await meter.poll(wanted(configured))
        assert not outcome.error, outcome.error
        if not keep:
            await meter.session.release()
            await link.close()
    seconds, trips = time.perf_counter() - start, link.sent - sent
    await meter.session.release()
    await link.close()
    return seconds / polls, trips / polls


async def all_once(ports: Sequence[int], rounds: int) -> tuple[float, float]:
    """Return meters per second of wall and of processor time, associations kept."""
    meters = []
    for port in ports:
        configured = device(port)
        meters.append(meter_of(configured, make_link(configured.connection)))
    for meter in meters:
        await meter.poll(wanted(meter.device))
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        outcomes = await asyncio.gather(*(meter.poll(wanted(meter.device)) for meter in meters))
        assert not any(outcome.error for outcome in outcomes)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for meter in meters:
        await meter.session.hang_up()
    return rounds * len(meters) / wall, rounds * len(meters) / cpu


class _Counting:
    """A sink that counts."""

    def __init__(self) -> None:
        self.polls = 0

    def polled(self, device: Device, poll: Poll) -> None:
        self.polls += 1

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        pass

    def history(self, *slice_: object) -> None:
        pass


async def fleet_farewell(ports: Sequence[int], seconds: float) -> tuple[int, float, float]:
    """Return polls, the share of a core that polling took, and the seconds of stopping."""
    sink = _Counting()
    fleet = Fleet([device(port, pollPeriod=1000) for port in ports], sink, LOG)
    running = asyncio.ensure_future(fleet.run())
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    stop = time.perf_counter()
    running.cancel()
    await asyncio.wait({running})
    return sink.polls, cpu / seconds, time.perf_counter() - stop


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--meters", type=int, default=200)
    arguments.add_argument("--delay-ms", type=float, default=20)
    given = arguments.parse_args()
    with Simulated(1, f"delay={given.delay_ms / 1000}") as (port,):
        listed = asyncio.run(cycle(device(port)))
        single = asyncio.run(cycle(device(port, workarounds={"singleReads": True})))
        anew = asyncio.run(cycle(device(port), keep=False))
    print(f"{len(ITEMS)} objects, {given.delay_ms:g} ms per reply: seconds and round trips a cycle")
    for name, (seconds, trips) in (
        ("list, association kept", listed),
        ("single reads, kept", single),
        ("list, associated anew", anew),
    ):
        print(f"  {name:<24} {seconds:8.4f} s {trips:6.1f}   {seconds / listed[0]:6.2f} x")
    with Simulated(given.meters) as ports:
        wall, cpu = asyncio.run(all_once(ports, 5))
        polls, share, stopping = asyncio.run(fleet_farewell(ports, 5.0))
    print(f"{given.meters} meters at once: {wall:.0f} polls/s, {cpu:.0f} per second of processor")
    print(f"  a fleet with a period of 1 s: {polls} polls in 5 s, {share:.0%} of a core")
    print(f"  stopping it takes {stopping:.3f} s")


if __name__ == "__main__":
    main()
