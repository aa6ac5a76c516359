"""What is seen of the gateway's process from outside, now and over time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at an instant; `at` is in seconds since 1970.

    Memory is what the process has for itself: of files the system keeps in memory what it likes.
    """

    at: float
    own_mb: float
    threads: int
    files: int
    cpu_s: float


def sample(pid: int) -> Sample:
    """Look at a process now."""
    process = psutil.Process(pid)
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
        return Sample(
            time.time(),
            (memory.rss - memory.shared) / 1e6,
            process.num_threads(),
            process.num_fds(),
            times.user + times.system,
        )


@dataclass
class Watch:
    """Samples of a process, taken while `run` runs, and the load of the machine."""

    pid: int
    samples: list[Sample] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.samples.append(sample(self.pid))
            self.loads.append(psutil.getloadavg()[0])
            await asyncio.sleep(_EVERY_S)


@dataclass(frozen=True, slots=True)
class Count:
    """What the gateway's process has counted itself (`inside/sitecustomize.py`).

    `objects` are those that Python's collector tracks, `blocks` what Python has in use of its own
    memory, `in_use_mb` what is in use of the C library's; `parts` are all that stands between the
    gateway and the meters of a configuration, one each. Then numbers by the name of a type, of
    those there are most of, and of a thread.
    """

    at: float
    objects: int
    blocks: int
    in_use_mb: float
    parts: int
    types: Counter[str]
    threads: Counter[str]


def counts(path: Path) -> list[Count]:
    """Return all that was counted until now."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        head, types, threads = line.split(" | ")
        at, objects, blocks, octets, parts = map(int, head.split())
        found.append(
            Count(
                at, objects, blocks, octets / 1e6, parts,
                _counter(types.split()), _counter(threads.split()),
            )
        )  # fmt: skip
    return found


def became_more(counted: list[Count]) -> Counter[str]:
    """Return which types became more, from the second quarter of the counts to the last."""
    quarter = len(counted) // 4
    if not quarter:
        return Counter()
    early, late = counted[quarter : 2 * quarter], counted[-quarter:]
    return Counter({name: _mean(late, name) - _mean(early, name) for name in late[-1].types})


async def metrics(port: int) -> dict[tuple[str, ...], float]:
    """Return the connector's metrics by name and labels; empty if it serves none just now."""
    try:
        text = await asyncio.to_thread(_scraped, port)
    except (URLError, OSError):
        return {}
    return {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def _scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _counter(cells: Iterable[str]) -> Counter[str]:
    pairs = (cell.rpartition("=") for cell in cells)
    return Counter({name: int(count) for name, _, count in pairs})


def _mean(counted: list[Count], name: str) -> int:
    known = [one.types[name] for one in counted if name in one.types]
    return sum(known) // len(known) if known else 0
