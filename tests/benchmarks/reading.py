"""What reading costs us: processor time of one poll, in µs, and round trips."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dlms_connector.config.model import Device
from dlms_connector.link import make_link
from dlms_connector.meter import AnyMeter, meter_of, wanted
from dlms_connector.protocol.client import make_client
from tests.benchmarks import meters, sample_way

#: Meters that are read at the same time.
METERS = 20
RUNS = 5
#: Counters of the sample way are far above ours, which are read from the meter at each start.
_counters = itertools.count(100_000, 100_000)
_firsts = itertools.count(0, METERS)


@dataclass(frozen=True)
class Costs:
    """Medians of alternating runs, in µs of processor time: one exchange of either way."""

    ours: float
    theirs: float


def exchanges(framing: str, *, ciphered: bool) -> Costs:
    """Compare single GETs: the same registers of the same simulated meters."""
    ours, theirs = [], []
    rounds = 4 if ciphered else 20
    with served_meters(framing, ciphered=ciphered) as served:
        for _ in range(RUNS):
            # Ours first: it asks the meter for its counter, which theirs then raises.
            ours.append(polls(served, items=5, single=True) / 5)
            theirs.append(_of_samples(served, rounds))
    return Costs(median(ours), median(theirs))


def list_and_single(framing: str = "WRAPPER", *, ciphered: bool = False) -> tuple[float, float]:
    """Return the cost of a poll of five registers in one list, and of a poll of one register."""
    listed, single = [], []
    with served_meters(framing, ciphered=ciphered) as served:
        for _ in range(RUNS):
            listed.append(polls(served, items=5))
            single.append(polls(served, items=1))
    return median(listed), median(single)


@dataclass(frozen=True)
class Served:
    """Simulated meters from a number on, and the folder of state for all runs with them.

    Each set of meters has its own keys: the connector keeps their counters apart from those of
    any folder that the process has used, and otherwise each run would cost more than the last.
    """

    first: int
    ports: Sequence[int]
    folder: Path
    framing: str
    ciphered: bool


@contextmanager
def served_meters(framing: str, *, ciphered: bool, **more: Any) -> Iterator[Served]:
    first = next(_firsts)
    options = [meters.options(first + n, framing, ciphered=ciphered, **more) for n in range(METERS)]
    with tempfile.TemporaryDirectory() as folder, meters.Simulated(options) as ports:
        yield Served(first, ports, Path(folder), framing, ciphered)


def polls(
    served: Served, *, items: int, single: bool = False, rounds: int = 50, **more: Any
) -> float:
    """Return the processor time of one poll in µs, associations kept."""

    async def body() -> float:
        made = meters.ours(
            served.ports,
            served.framing,
            served.folder,
            ciphered=served.ciphered,
            first=served.first,
            workarounds={"singleReads": single},
            **more,
        )
        due = [wanted(meter.device)[:items] for meter in made]

        async def poll(meter: AnyMeter, number: int, times: int) -> None:
            for _ in range(times):
                outcome = await meter.poll(due[number])
                if outcome.error or len(outcome.poll.readings) != items:
                    raise SystemExit(f"a poll failed: {outcome.error or outcome.poll.failures}")

        async def all_poll(times: int) -> None:
            await asyncio.gather(*(poll(meter, n, times) for n, meter in enumerate(made)))

        await all_poll(3)
        cpu = time.process_time()
        await all_poll(rounds)
        cpu = time.process_time() - cpu
        for meter in made:
            await meter.session.release()
            await meter.session.hang_up()
        return cpu / rounds / len(made) * 1e6

    return asyncio.run(body())


def _of_samples(served: Served, rounds: int) -> float:
    counter = next(_counters) if served.ciphered else None
    readers = [
        sample_way.Reader(number, port, served.framing, counter)
        for number, port in enumerate(served.ports, served.first)
    ]
    try:
        # Gurux prints while it deciphers.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            for reader in readers:
                reader.connect()
            cpu = time.process_time()
            count = sample_way.read_all(readers, rounds)
            return (time.process_time() - cpu) / count * 1e6
    finally:
        for reader in readers:
            reader.close()


class _Counting:
    """A link that counts what is sent: one frame out is one round trip."""

    def __init__(self, link: object) -> None:
        self._link, self.sent = link, 0

    def send(self, data: bytes) -> None:
        self.sent += 1
        self._link.send(data)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._link, name)


@dataclass(frozen=True)
class Cycle:
    """One steady poll of five registers: round trips, and its time in ms."""

    trips: float
    ms: float


def cycle(delay_s: float, *, single: bool, times: int = 10) -> Cycle:
    """Poll a meter that takes so long for each reply."""

    async def body(port: int) -> Cycle:
        section = meters.section(0, port, "HDLC", ciphered=False)
        device = Device.model_validate(section | {"workarounds": {"singleReads": single}})
        link = _Counting(make_link(device.connection))
        meter = meter_of(
            device, link, open_link=link.open,  # type: ignore[arg-type]
            make_client=make_client, now_ms=lambda: time.time_ns() // 1_000_000,
            log=meters.LOG, state_dir=None,
        )  # fmt: skip
        due = wanted(device)
        await meter.poll(due)
        before, took = link.sent, []
        for _ in range(times):
            start = time.perf_counter()
            await meter.poll(due)
            took.append(time.perf_counter() - start)
        trips = (link.sent - before) / times
        await meter.session.release()
        await meter.session.hang_up()
        return Cycle(trips, median(took) * 1000)

    faults = [f"delay={delay_s}"]
    with meters.Simulated([meters.options(0, "HDLC", ciphered=False, faults=faults)]) as (port,):
        return asyncio.run(body(port))
