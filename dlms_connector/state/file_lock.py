"""One writer at a time, over all processes; and what tells a file from a copy of it."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlms_connector.state.private_files import create_or_open, make_folder

#: How long another process may hold a lock, in seconds.
WAIT_S = 1.0
_LOOK_AGAIN_S = 0.02

#: FS_IOC_GETVERSION: a number that a file system draws for each new file, also where it uses an
#: inode again.
_GET_GENERATION = 0x8008_7601


@contextmanager
def locked(path: Path, wait_s: float = WAIT_S) -> Iterator[int]:
    """Keep other processes out; yield the descriptor of the lock's file, which stays for good.

    Raises TimeoutError if another process holds it for so long, OSError if there can be none.
    """
    make_folder(path.parent)
    descriptor = create_or_open(lock_of(path))
    try:
        acquire_lock(descriptor, wait_s)
        yield descriptor
    finally:
        os.close(descriptor)


def lock_of(path: Path) -> Path:
    """Return the path of the lock of a file."""
    return path.with_suffix(".lock")


def acquire_lock(descriptor: int, wait_s: float) -> None:
    """Lock an open file for this process; raises TimeoutError if another one holds it so long."""
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise TimeoutError(error.errno, "another process holds its lock") from error
            time.sleep(_LOOK_AGAIN_S)
        else:
            return


def identity(descriptor: int) -> str:
    """Return what a copy of a file does not have: its inode and the inode's generation."""
    try:
        found = fcntl.ioctl(descriptor, _GET_GENERATION, b"\0" * 8)
        generation = struct.unpack("I", found[:4])[0]
    except OSError:
        generation = 0  # this file system has none
    return f"{os.fstat(descriptor).st_ino}.{generation}"
