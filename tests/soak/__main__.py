"""Accelerated weeks of a whole installation, on the real gateway's process.

    python -m tests.soak --meters 200 --minutes 30 --seed 1

It prints `name: value` lines, and ends with 1 if something grows, or is not accounted for.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.soak.running import Result, soak
from tests.soak.trouble import Pace

#: From which time on growth is judged: before that caches fill.
_JUDGED_S = 600.0
#: Part of the process that it may seem to grow by in the measured time.
_GROWTH = 0.05
_SECONDS_A_DAY = 86_400


def lines(result: Result, meters: int) -> Iterator[tuple[str, object]]:
    """Yield the figures of a run by name."""
    account = result.account
    polls = account.ok + account.failed
    yield "polls answered", account.ok
    yield "polls failed", account.failed
    for reason, count in sorted(account.reasons.items()):
        yield f"polls failed, {reason}", count
    yield "polls not sent", account.dropped
    yield "values read", account.values
    yield "values on the platform", result.stored
    yield "values unaccounted", result.unaccounted
    yield "unconfirmed at the end", result.unconfirmed
    yield "connector made anew", account.ends - 1
    for name, count in sorted((result.done + result.meters_did).items()):
        yield name, count
    yield "days of the fleet at 60 s", round(polls / meters * 60 / _SECONDS_A_DAY, 1)
    yield "days of the fleet at 900 s", round(polls / meters * 900 / _SECONDS_A_DAY, 1)
    yield "minutes measured", round(result.measured_s / 60, 1)
    yield "memory MB, middle", round(result.memory.middle, 1)
    for name, slope, digits in (
        ("memory MB", result.memory, 2),
        ("C library's MB in use", result.in_use, 2),
        ("Python's blocks in use", result.blocks, 0),
        ("objects", result.objects, 0),
        ("threads", result.threads, 2),
        ("descriptors", result.files, 2),
    ):
        each, low, high = (
            round(one * 3600, digits) for one in (slope.each_s, slope.low, slope.high)
        )
        yield f"{name} an hour", f"{each} ({low} to {high})"
    grown = ", ".join(f"{name} {count:+}" for name, count in result.more_objects.most_common(5))
    yield "objects that became most", grown
    first, last = result.before.counted, result.after.counted
    yield (
        "C library's MB in use at rest",
        f"{first.in_use_mb:.1f} before, {last.in_use_mb:.1f} after",
    )
    yield "Python's blocks in use at rest", f"{first.blocks} before, {last.blocks} after"
    yield "objects at rest", f"{first.objects} before, {last.objects} after"
    before, after = result.before.process, result.after.process
    yield "memory MB at rest", f"{before.own_mb:.1f} before, {after.own_mb:.1f} after"
    yield "threads at rest", f"{before.threads} before, {after.threads} after"
    yield "descriptors at rest", f"{before.files} before, {after.files} after"
    if took := result.recoveries:
        for name, part in (("median", 0.5), ("99 %", 0.99), ("longest", 1.0)):
            at = min(len(took) - 1, int(len(took) * part))
            yield f"seconds from fault's end to value, {name}", round(took[at], 1)
    yield "cores", round(result.cores, 2)
    yield "load", round(result.load, 1)


def problems(result: Result) -> Iterator[str]:
    """Yield what must not be."""
    for when, rest in (("before", result.before), ("after", result.after)):
        if rest.restless:
            yield f"{when} the trouble: {rest.restless}"
    if result.unrecovered:
        yield f"{result.unrecovered} faults of meters behind which no value came any more"
    if result.unaccounted:
        yield f"{result.unaccounted} values were read that the platform has not"
    if result.account.failed != sum(result.account.reasons.values()):
        yield "polls failed without a reason"
    if result.unconfirmed:
        yield f"{result.unconfirmed} entries are not confirmed"
    if result.tracebacks:
        yield f"{result.tracebacks} exceptions in the log"
    if left := result.threads_left:
        yield f"threads are left behind: {dict(left)}"
    if result.after.process.files > result.before.process.files:
        yield "descriptors are left behind"
    if (more := result.after.counted.parts - 1) > 0:
        yield f"{more} connectors of before are still in memory"
    if result.measured_s >= _JUDGED_S:
        for slope, told in (
            (result.memory, "memory grows"),
            (result.in_use, "what is in use of the C library's memory grows"),
            (result.blocks, "what Python has in use grows"),
            (result.objects, "objects become more"),
        ):
            if slope.low * result.measured_s > _GROWTH * slope.middle:
                yield told


def main() -> None:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--period", type=float, default=1.0, help="seconds between two polls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--receipts", action="store_true", help="the platform sends receipts")
    parser.add_argument("--folder", type=Path, help="where all of the run is left")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(
            soak(
                folder, meters=given.meters, seconds=given.minutes * 60,
                period_s=given.period, seed=given.seed, pace=Pace(), receipts=given.receipts,
            )
        )  # fmt: skip
    for name, value in lines(result, given.meters):
        print(f"{name}: {value}", flush=True)
    found = list(problems(result))
    for problem in found:
        print(f"FAILED: {problem}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
