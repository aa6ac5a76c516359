"""The long form: `make fuzz`, all targets one after the other; FUZZ="--target hdlc --runs 1000000".

With atheris (the extra `fuzz`) it is guided by coverage; `--plain` changes inputs at random. What
is found goes into tests/fuzz/corpus, where the tests run it from then on. With `--results`, a run
goes on where those that the file tells of have ended, with a seed that none of them had.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.target import Target
from tests.support.places import ROOT

if TYPE_CHECKING:
    from tests.fuzz import guided

#: What a long run has found on its way; it may be deleted.
_WORK = ROOT / "build" / "fuzz"
_CORPUS = Path(__file__).with_name("corpus")
_RUNS, _SECONDS = 1_000_000, 600.0
#: Memory of a process, in MB.
_MOST_MEMORY = 1024
#: Octets of kept inputs of a target: all together stay below 200 KB.
_MOST_KEPT = 6000


@dataclass(frozen=True)
class Result:
    """What a run of one target has done, in seconds of processor time."""

    target: str
    what: str
    inputs: int
    seconds: float
    branches: int
    memory_mb: int
    finds: int
    guided: bool
    seed: int

    def __str__(self) -> str:
        rate = self.inputs / max(self.seconds, 0.001)
        return (
            f"| `{self.target}` | {self.what} | {self.inputs:,} | {rate:,.0f} "
            f"| {self.branches or '-'} | {self.memory_mb} | {self.finds} |"
        )


@dataclass(frozen=True)
class Share:
    """What of a target is to be run: so many inputs, and of which seed."""

    runs: int
    seed: int

    @classmethod
    def of(cls, target: str, given: argparse.Namespace, *, guided: bool) -> Share:
        """Return what the results of earlier runs leave."""
        if given.results is None or not given.results.exists():
            return cls(given.runs, given.seed)
        lines = map(json.loads, given.results.read_text().splitlines())
        before = [one for one in lines if (one["target"], one["guided"]) == (target, guided)]
        done = sum(one["inputs"] for one in before)
        seed = max((one["seed"] + 1 for one in before), default=given.seed)
        return cls(max(0, given.runs - done), max(seed, given.seed))


HEAD = """| target | what | inputs | per second | branches | MB | finds |
|---|---|---:|---:|---:|---:|---:|"""


def _plainly(target: Target, given: argparse.Namespace, share: Share) -> Result:
    from tests.fuzz.plain import FindError, fuzz

    began, finds, done = time.process_time(), 0, 0
    more = [path.read_bytes() for path in (_WORK / target.name).glob("*")]
    try:
        done = fuzz(target, share.runs, share.seed, given.seconds, more)
    except FindError as find:
        print(find, file=sys.stderr)
        _keep(target, [find.octets])
        finds, done = 1, find.before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Result(
        target.name, target.what, done, time.process_time() - began, 0, memory, finds,
        guided=False, seed=share.seed,
    )  # fmt: skip


def _guided(target: Target, given: argparse.Namespace, share: Share) -> Result:
    from tests.fuzz import guided
    from tests.fuzz.table import beginnings

    work = _WORK / target.name

    def begin() -> None:
        for octets in beginnings(target):
            _write(work, octets)

    done: guided.Run = guided.run(
        target,
        work,
        (
            *(f"-runs={share.runs}", f"-max_total_time={given.seconds:.0f}"),
            *(f"-seed={share.seed}", f"-rss_limit_mb={_MOST_MEMORY}"),
        ),
        begin,
    )
    if done.finds:
        print(done.said[-3000:], file=sys.stderr)
        _keep(target, done.finds)
    return Result(
        target.name, target.what, done.inputs, done.seconds, done.branches, done.memory_mb,
        len(done.finds), guided=True, seed=share.seed,
    )  # fmt: skip


def _minimize(target: Target) -> None:
    """Keep the few short inputs that reach what no other does, of what long runs have found."""
    from tests.fuzz.reached import reached
    from tests.fuzz.table import beginnings

    known: set[object] = set()
    for octets in beginnings(target):
        known |= reached(target, octets)
    room = _MOST_KEPT - sum(path.stat().st_size for path in (_CORPUS / target.name).glob("*"))
    found = (path.read_bytes() for path in (_WORK / target.name).glob("*"))
    for octets in sorted(found, key=len):
        if len(octets) <= room and (new := reached(target, octets) - known):
            known |= new
            room -= len(octets)
            _keep(target, [octets])


def _keep(target: Target, inputs: Iterable[bytes]) -> None:
    for octets in inputs:
        _write(_CORPUS / target.name, octets)


def _write(folder: Path, octets: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha1(octets, usedforsecurity=False).hexdigest()[:12]).write_bytes(octets)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", help="only this one; repeatable")
    parser.add_argument("--runs", type=int, default=_RUNS, help="inputs of each target")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="most time of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without coverage")
    parser.add_argument("--minimize", action="store_true", help="keep what reaches most")
    parser.add_argument(
        "--results", type=Path, help="go on after the results in this file, and add the new ones"
    )
    return parser.parse_args()


def main() -> None:
    """Fuzz, and print the table of what was done."""
    given = _arguments()
    is_guided = not given.plain and find_spec("atheris") is not None
    if not is_guided and not given.plain:
        print("atheris is not installed (extra `fuzz`): without coverage", file=sys.stderr)
    instrumenting: Any = nullcontext()
    if is_guided:
        from tests.fuzz import guided

        instrumenting = guided.instrumenting()
    with instrumenting:
        from tests.fuzz.table import TARGETS
    if unknown := set(given.target or ()) - set(TARGETS):
        sys.exit(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    print(HEAD, flush=True)
    finds = 0
    for name in given.target or TARGETS:
        share = Share.of(name, given, guided=is_guided)
        if not share.runs:
            continue
        result = (_guided if is_guided else _plainly)(TARGETS[name], given, share)
        finds += result.finds
        print(result, flush=True)
        if given.minimize:
            _minimize(TARGETS[name])
        if given.results:
            with given.results.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
