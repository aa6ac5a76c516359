"""Fuzzing guided by coverage, with atheris (libFuzzer).

The package is instrumented as it is imported, which takes longer than anything else. So it is
imported once, and each target runs in a fork, which libFuzzer ends. Nothing of the package is run
before: threads would be missing in the fork.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from resource import struct_rusage
from typing import NamedTuple

import atheris

from tests.fuzz.target import Target

#: Instrumented code takes so many times longer.
_SLOWER = 3
_PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)


class Run(NamedTuple):
    """What a run has done, in seconds of processor time; `said` is what libFuzzer told."""

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


def run(target: Target, work: Path, options: Sequence[str], begin: Callable[[], None]) -> Run:
    """Run a target until libFuzzer ends; `begin` puts the first inputs into the folder `work`."""
    work.mkdir(parents=True, exist_ok=True)
    more = []
    if target.words:
        words = work.with_suffix(".dict")
        quoted = ("".join(f"\\x{octet:02x}" for octet in word) for word in target.words)
        words.write_text("".join(f'"{word}"\n' for word in quoted))
        more = [f"-dict={words}"]
    found = work.with_suffix(".found")
    found.unlink(missing_ok=True)
    log = work.with_suffix(".log")
    settings = [
        *(*options, *more, str(work), f"-max_len={target.longest}"),
        *("-timeout=60", "-print_final_stats=1", f"-artifact_prefix={work}-"),
    ]

    def fuzz() -> None:
        begin()
        _fuzz(target, settings, found)

    status, used = _forked(fuzz, log)
    said = log.read_text("utf-8", "replace")
    finds = [found.read_bytes()] if found.exists() else []
    if status and not finds:
        raise RuntimeError(f"{target.name}: {said[-3000:]}")
    progress = _PROGRESS.findall(said) or [("0", "0")]
    told = _DONE.search(said)
    return Run(
        int(told[1] if told else progress[-1][0]),
        used.ru_utime + used.ru_stime,
        int(progress[-1][1]),
        used.ru_maxrss // 1024,
        finds,
        said,
    )


def _fuzz(target: Target, options: Sequence[str], found: Path) -> None:
    from tests.fuzz.watch import LIMIT_S, check, interrupting

    def run(octets: bytes) -> None:
        try:
            check(target, octets, _SLOWER * LIMIT_S)
        except BaseException:  # libFuzzer ends the process, and does not always write it down
            found.write_bytes(octets)
            raise

    atheris.Setup([sys.argv[0], *options], run)
    with interrupting():
        atheris.Fuzz()


def _forked(work: Callable[[], None], log: Path) -> tuple[int, struct_rusage]:
    """Do work in a fork that does not come back; return its status and what it has used."""
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
    _, status, used = os.wait4(child, 0)
    return status, used
