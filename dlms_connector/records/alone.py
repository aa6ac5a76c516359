"""One process at a time uses the file of records; connectors of one process share it.

SQLite would let several write, but each would send what the others have in the outbox.
"""

from __future__ import annotations

import os
import threading
from errno import EACCES
from pathlib import Path

from dlms_connector.records.failure import RecordsError
from dlms_connector.state import acquire_lock, private_files

#: A gateway that is being restarted needs some time to end.
WAIT_S = 5.0

_guard = threading.Lock()
#: The descriptor of each lock of this process, and how many hold it.
_held: dict[Path, tuple[int, int]] = {}


def take(path: Path, wait_s: float = WAIT_S) -> Path:
    """Take the lock of a file for this process; return what `give_back` needs.

    Raises RecordsError if another process has it, OSError if there can be no lock.
    """
    lock = path.resolve().with_suffix(".lock")
    with _guard:
        descriptor, holders = _held.get(lock, (-1, 0))
        if not holders:
            descriptor = private_files.create_or_open(lock)
            try:
                _acquire(descriptor, path, wait_s)
            except OSError:
                os.close(descriptor)
                raise
        _held[lock] = descriptor, holders + 1
    return lock


def give_back(lock: Path) -> None:
    """Let others use the file, if nobody else in this process does."""
    with _guard:
        descriptor, holders = _held[lock]
        if holders > 1:
            _held[lock] = descriptor, holders - 1
            return
        del _held[lock]
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float) -> None:
    try:
        acquire_lock(descriptor, wait_s)
    except TimeoutError as error:
        raise RecordsError(
            path, "opening the records", "another process uses them",
            "end the other gateway, or give each its own stateDirectory", EACCES,
        ) from error  # fmt: skip
