"""Files that keep invocation counters, for one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from dlms_connector.state.private_files import create, make_folder

#: The last number that fits; the key is worn out then.
LAST = 0xFFFF_FFFF


def read(path: Path) -> int | None:
    """Return the first number that is not reserved; None if the file does not tell.

    Raises OSError where there may be a file, and it cannot be read.
    """
    try:
        found = json.loads(path.read_text("utf-8"))["next"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and 0 <= found <= LAST else None


def reads(path: Path | None) -> int | None:
    """Return the same, and None also where the file cannot be read."""
    try:
        return None if path is None else read(path)
    except OSError:
        return None


def highest(directory: Path, owner: str) -> int:
    """Return the first number that no file of an owner reserves; 1 if there are none.

    An owner is what a file's name ends in: a key and a title, whatever their devices are called.
    """
    try:
        return _highest(directory, directory.stat().st_mtime_ns, owner)
    except OSError:
        return 1  # nothing can be kept there either, so nothing will be given out


# A fleet asks for each of its meters before any of them counts: thousands of files, or
# thousands of meters that share a key. `changed` is when a file was last put there.
@lru_cache(maxsize=256)
def _highest(directory: Path, changed: int, owner: str) -> int:
    return max(
        (reads(path) or 1 for path in _by_owner(directory, changed).get(owner, ())), default=1
    )


@lru_cache(maxsize=1)
def _by_owner(directory: Path, changed: int) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in directory.glob("counter-*.json"):
        found.setdefault(path.stem.rpartition("-")[2], []).append(path)
    return found


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells one writing of a file from the next; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def exists(path: Path | None) -> bool:
    """Whether there is a file, or may be one."""
    try:
        return path is not None and path.exists()
    except OSError:
        return True  # what cannot be looked at may hold numbers that were used


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from reserving at the same time."""
    make_folder(path.parent)
    lock = path.with_suffix(".lock")
    try:
        descriptor = create(lock)
    except FileExistsError:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
