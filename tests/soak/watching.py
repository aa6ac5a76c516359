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


def thread_names(path: Path) -> Counter[str]:
    """Return how many threads of each name there were when the objects were counted last."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return _counter(text.splitlines()[-1].rpartition(" | ")[2].split()) if text else Counter()


def objects(path: Path) -> tuple[list[tuple[float, float]], Counter[str]]:
    """Return how many objects there were over time, and which types became more.

    Compared are the middle of the second quarter and that of the last, by type.
    """
    points, types = [], []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        head, kinds, _ = line.split(" | ")
        at, count = map(float, head.split())
        points.append((at, count))
        types.append(_counter(kinds.split()))
    quarter = len(types) // 4
    if not quarter:
        return points, Counter()
    early, late = types[quarter : 2 * quarter], types[-quarter:]
    return points, Counter({name: _mean(late, name) - _mean(early, name) for name in late[-1]})


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


def _mean(counts: list[Counter[str]], name: str) -> int:
    known = [one[name] for one in counts if name in one]
    return sum(known) // len(known) if known else 0
