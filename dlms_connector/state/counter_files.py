"""Files that store invocation counters, for one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from dlms_connector.state.private_files import create, make_folder

#: The highest number in 32 bits; after it the key cannot be used any more.
LAST = 0xFFFF_FFFF


def read(path: Path) -> int | None:
    """Return the first number that is not reserved; None without a valid file.

    Raises OSError if there may be a file, but it cannot be read.
    """
    try:
        found = json.loads(path.read_text("utf-8"))["next"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and 0 <= found <= LAST else None


def reads(path: Path | None) -> int | None:
    """Return the same as `read`, but None also if the file cannot be read."""
    try:
        return None if path is None else read(path)
    except OSError:
        return None


def highest(directory: Path, owner: str) -> int:
    """Return the first number that no file of an owner reserves; 1 if there are none.

    An owner is the last part of a file's name. It stands for a key and a system title, and does
    not depend on the device name.
    """
    try:
        return _highest(directory, directory.stat().st_mtime_ns, owner)
    except OSError:
        return 1  # nothing can be stored there either, so no number will be used


# A fleet calls this for each meter before any of them counts: with thousands of files, or
# thousands of meters that share a key. `changed` is the folder's modification time.
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
    """Return a stamp that changes when the file is written; None if there is no file."""
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
        return True  # a file that cannot be accessed may hold used numbers


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
