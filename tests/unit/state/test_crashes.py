"""Whatever ends a process or fills a disk, and when: no number comes twice with one key."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dlms_connector.errors import DlmsError
from dlms_connector.state import counters
from dlms_connector.state.invocation_counter import InvocationCounter
from tests.support.counting import device
from tests.support.places import ROOT

#: What a counter needs of the system to be kept.
CALLS = ("open", "pwrite", "fsync", "replace", "unlink", "close", "mkdir")
#: Numbers taken in one life: the disk is needed several times.
LIFE = 250


class Crash(BaseException):
    """The process ends here."""


def fresh(folder: Path) -> InvocationCounter:
    """Return a counter as a new process has it."""
    counters._numbers.clear()
    counters._heard.clear()
    counters._folders.clear()
    made = counters.counter_of(device(), folder)
    assert made is not None
    return made


@contextmanager
def failing(
    patch: pytest.MonkeyPatch, fails: Callable[[int], BaseException | None], *, done: bool
) -> Iterator[Any]:
    """Let calls of the system fail by their number; if `done`, after they have been carried out."""
    count = itertools.count(1)

    def meddled(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def meddle(*args: Any, **more: Any) -> Any:
            error = fails(next(count))
            if error is None:
                return call(*args, **more)
            if done or name == "close":
                with suppress(OSError):
                    call(*args, **more)
            raise error

        return meddle

    with patch.context() as patched:
        for name in CALLS:
            patched.setattr(os, name, meddled(getattr(os, name), name))
        yield count


def take(one: InvocationCounter, count: int, numbers: list[int]) -> None:
    for _ in range(count):
        numbers.append(one.next())


@pytest.mark.parametrize("done", [False, True], ids=["before the call", "behind the call"])
def test_a_crash_at_any_call_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    numbers: list[int] = []
    for last in itertools.count(1):
        crashed = False
        with failing(monkeypatch, lambda at, last=last: Crash() if at == last else None, done=done):  # type: ignore[misc]
            try:
                take(fresh(tmp_path), LIFE, numbers)
            except Crash:
                crashed = True
        if not crashed:
            break
    assert last > 30
    assert len(set(numbers)) == len(numbers)
    take(fresh(tmp_path), LIFE, numbers)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("lasts", [1, 1000])
def test_a_disk_that_is_full_or_broken_at_any_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lasts: int
) -> None:
    """No number is given out that is not kept, and all is well again when the disk is."""
    numbers: list[int] = []
    for first in range(1, 40, 3):
        one = fresh(tmp_path)
        ends = first + lasts

        def fails(at: int, first: int = first, ends: int = ends) -> OSError | None:
            return OSError(code, os.strerror(code)) if first <= at < ends else None

        with failing(monkeypatch, fails, done=False):
            for _ in range(LIFE):
                with suppress(DlmsError):
                    numbers.append(one.next())
        take(one, LIFE, numbers)
    assert len(set(numbers)) == len(numbers)


def test_a_new_counter_begins_when_the_disk_is_well_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call fails once, such as by a table of files that is full for a moment."""
    for first in range(1, 14):
        one = fresh(tmp_path / str(first))

        def fails(at: int, first: int = first) -> OSError | None:
            return OSError(errno.EMFILE, os.strerror(errno.EMFILE)) if at == first else None

        with failing(monkeypatch, fails, done=False), suppress(DlmsError):
            one.next()
        one.next()  # also with nothing to read it from: no file can have been there


@pytest.mark.parametrize("seed", [1, 2])
def test_processes_that_are_killed_while_others_count(tmp_path: Path, seed: int) -> None:
    """Some of them find the disk full at some octet: that is the kernel's own doing."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.counting", str(tmp_path), "60", str(seed)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lives = json.loads(done.stdout)
    numbers = [number for life in lives for number in life]
    assert len(lives) == 60
    assert numbers
    assert len(set(numbers)) == len(numbers)
    assert all(life == sorted(life) for life in lives)


def _moved(path: Path, target: Path) -> None:
    beside = target.with_name("restored")
    shutil.copy2(path, beside)
    beside.replace(target)


RESTORES: list[Callable[[Path, Path], object]] = [shutil.copy, shutil.copy2, _moved]


def test_a_backup_that_is_restored_under_a_running_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any time, as a whole or in part, while it counts on and another one begins."""
    rng, numbers, state = Random(1), list[int](), tmp_path / "state"
    backups: list[Path] = []
    monkeypatch.setattr("dlms_connector.state.numbers.randbelow", Random(2).randrange)
    alive = fresh(state)
    for turn in range(40):
        take(alive, rng.randrange(1, 150), numbers)
        backup = tmp_path / f"backup-{turn}"
        shutil.copytree(state, backup)
        backups.append(backup)
        for path in rng.choice(backups).iterdir():
            if rng.random() < 0.7:
                rng.choice(RESTORES)(path, state / path.name)
        if rng.random() < 0.3:
            take(alive, rng.randrange(1, 150), numbers)
        other = fresh(state)
        take(other, rng.randrange(1, 150), numbers)
        if rng.random() < 0.5:
            alive = other
    assert len(set(numbers)) == len(numbers)
