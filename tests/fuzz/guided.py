"""Fuzzing guided by coverage, with atheris (libFuzzer).

The package is instrumented as it is imported, which takes longer than anything else. So it is
imported once, and each target runs in a fork, which libFuzzer ends.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import atheris

from tests.fuzz.target import Target

#: Instrumented code takes so many times longer.
_SLOWER = 3
_PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_MEMORY = re.compile(r"^stat::peak_rss_mb:\s+(\d+)", re.MULTILINE)


class Run(NamedTuple):
    """What libFuzzer told of a run; `said` is all of it."""

    inputs: int
    seconds: float
    branches: int
    memory_mb: int
    finds: list[bytes]
    said: str


@contextmanager
def instrumenting() -> Iterator[None]:
    """Instrument what is imported of the package."""
    logging.getLogger().addHandler(logging.NullHandler())  # what is logged is not printed
    with (
        redirect_stderr(StringIO()),  # a line for each module
        atheris.instrument_imports(include=["dlms_connector", "dlms_converters"]),
    ):
        yield


def run(target: Target, work: Path, options: Sequence[str]) -> Run:
    """Run a target until libFuzzer ends; `work` is the folder of its inputs."""
    words = work.with_suffix(".dict")
    quoted = ("".join(f"\\x{octet:02x}" for octet in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    found = f"{work}-found-"
    began = time.monotonic()
    said, status = _forked(
        lambda: _fuzz(
            target,
            [
                *(*options, str(work), f"-max_len={target.longest}", f"-dict={words}"),
                *("-timeout=60", "-print_final_stats=1", f"-artifact_prefix={found}"),
            ],
        ),
        work.with_suffix(".log"),
    )
    took = time.monotonic() - began
    finds = []
    for path in sorted(work.parent.glob(f"{work.name}-found-*")):
        finds.append(path.read_bytes())
        path.unlink()
    if status and not finds:
        sys.exit(f"{target.name}: {said[-3000:]}")
    progress = _PROGRESS.findall(said) or [("0", "0")]
    told, memory = _DONE.search(said), _MEMORY.search(said)
    return Run(
        int(told[1] if told else progress[-1][0]),
        float(told[2]) if told else took,
        int(progress[-1][1]),
        int(memory[1]) if memory else 0,
        finds,
        said,
    )


def merge(target: Target, work: Path, merged: Path) -> None:
    """Copy into `merged` the inputs of `work` that reach all that any of them reaches."""
    _forked(
        lambda: _fuzz(target, ["-set_cover_merge=1", "-merge_inner=1", str(merged), str(work)]),
        work.with_suffix(".log"),
    )


def _fuzz(target: Target, options: Sequence[str]) -> None:
    from tests.fuzz.watch import LIMIT_S, check, interrupting

    atheris.Setup(
        [sys.argv[0], *options], lambda octets: _try(target, octets, _SLOWER * LIMIT_S, check)
    )
    with interrupting():
        atheris.Fuzz()


def _try(
    target: Target, octets: bytes, limit_s: float, check: Callable[[Target, bytes, float], float]
) -> None:
    check(target, octets, limit_s)


def _forked(work: Callable[[], None], log: Path) -> tuple[str, int]:
    """Do work in a fork that does not come back; return what it printed, and its status."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            work()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return log.read_text("utf-8", "replace"), status
