"""The long form: `make fuzz`, all targets one after the other; FUZZ="--target hdlc --runs 1000000".

With atheris (the extra `fuzz`) it is guided by coverage; `--plain` changes inputs at random. What is
found goes into tests/fuzz/corpus, where the tests run it from then on.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.plain import FindError, fuzz
from tests.fuzz.table import CORPUS, TARGETS, beginnings
from tests.fuzz.target import Target
from tests.support.places import ROOT

#: What a long run has found on its way; it may be deleted.
_WORK = ROOT / "build" / "fuzz"
_RUNS, _SECONDS = 1_000_000, 600
#: Memory of a process, in MB.
_MOST_MEMORY = 1024
#: Octets of kept inputs of a target: all together stay below 200 KB.
_MOST_KEPT = 6000
_PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What a run of one target has done."""

    target: str
    what: str
    inputs: int
    seconds: float
    branches: int
    memory_mb: int
    finds: int

    def __str__(self) -> str:
        rate = self.inputs / max(self.seconds, 0.001)
        return (
            f"| `{self.target}` | {self.what} | {self.inputs:,} | {rate:,.0f} "
            f"| {self.branches or '-'} | {self.memory_mb} | {self.finds} |"
        )


HEAD = """| target | what | inputs | per second | branches | MB | finds |
|---|---|---:|---:|---:|---:|---:|"""


def _plainly(target: Target, runs: int, seconds: float, seed: int) -> Result:
    began, finds = time.monotonic(), 0
    try:
        more = [path.read_bytes() for path in (_WORK / target.name).glob("*")]
        done = fuzz(target, runs, seed, seconds, more)
    except FindError as find:
        print(find, file=sys.stderr)
        _keep(target, [find.octets])
        done, finds = 0, 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    took = time.monotonic() - began
    return Result(target.name, target.what, done, took, 0, memory, finds)


def _guided(target: Target, runs: int, seconds: float, seed: int) -> Result:
    """Run libFuzzer in a process of its own."""
    work = _WORK / target.name
    work.mkdir(parents=True, exist_ok=True)
    for octets in beginnings(target):
        _write(work, octets)
    words = _WORK / f"{target.name}.dict"
    quoted = ("".join(f"\\x{octet:02x}" for octet in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    found = _WORK / f"{target.name}-found-"
    options = [
        *(str(work), f"-runs={runs}", f"-max_total_time={seconds:.0f}", f"-seed={seed}"),
        *(f"-max_len={target.longest}", f"-rss_limit_mb={_MOST_MEMORY}", f"-dict={words}"),
        *("-timeout=60", "-print_final_stats=1", f"-artifact_prefix={found}", "-verbosity=1"),
    ]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", target.name, *options],
        cwd=ROOT, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    finds = sorted(_WORK.glob(f"{target.name}-found-*"))
    if done.returncode and not finds:
        sys.exit(f"{target.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    if finds:
        print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
        _keep(target, [path.read_bytes() for path in finds])
        for path in finds:
            path.unlink()
    statistics = dict(_STATISTIC.findall(done.stderr))
    progress = _PROGRESS.findall(done.stderr) or [("0", "0")]
    if (told := _DONE.search(done.stderr)) is not None:
        took = float(told[2])  # without importing and instrumenting
    inputs = int(statistics.get("number_of_executed_units", progress[-1][0]))
    return Result(
        target.name, target.what, inputs, took, int(progress[-1][1]),
        int(statistics.get("peak_rss_mb", 0)), len(finds),
    )  # fmt: skip


def minimize(target: Target) -> None:
    """Keep the few short inputs that reach most, of what a long run has found."""
    merged = _WORK / f"{target.name}.merged"
    merged.mkdir(parents=True, exist_ok=True)
    for path in merged.iterdir():
        path.unlink()
    subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.guided", target.name, "-set_cover_merge=1"),
            *(str(merged), str(_WORK / target.name), f"-max_len={target.longest}"),
        ],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    known = set(beginnings(target))
    room = _MOST_KEPT - sum(path.stat().st_size for path in (CORPUS / target.name).glob("*"))
    for octets in sorted((path.read_bytes() for path in merged.iterdir()), key=len):
        if octets in known or len(octets) > room:
            continue
        room -= len(octets)
        _keep(target, [octets])


def _keep(target: Target, inputs: Iterable[bytes]) -> None:
    for octets in inputs:
        _write(CORPUS / target.name, octets)


def _write(folder: Path, octets: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha1(octets, usedforsecurity=False).hexdigest()[:12]).write_bytes(octets)


def main() -> None:
    """Fuzz, and print the table of what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one")
    parser.add_argument("--runs", type=int, default=_RUNS, help="inputs of each target")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="most time of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without coverage")
    parser.add_argument("--minimize", action="store_true", help="keep what reaches most, and end")
    parser.add_argument("--results", type=Path, help="add the results to this file, one a line")
    given = parser.parse_args()
    guided = not given.plain and find_spec("atheris") is not None
    if not guided and not given.plain:
        print("atheris is not installed (extra `fuzz`): without coverage", file=sys.stderr)
    print(HEAD)
    finds = 0
    for name in given.target or TARGETS:
        target = TARGETS[name]
        if given.minimize:
            minimize(target)
            continue
        run = _guided if guided else _plainly
        result = run(target, given.runs, given.seconds, given.seed)
        finds += result.finds
        print(result, flush=True)
        if given.results:
            with given.results.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
