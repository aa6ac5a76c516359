"""The disk: a folder in memory, that can be full, slow, or lose the process while it writes."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

from tests.simulation.power import Platter
from tests.simulation.substitutes import World

#: SQLite's statements that write.
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Disk:
    """What happens to what is written."""

    def __init__(self) -> None:
        #: Whether nothing more can be written.
        self.full = False
        #: How long a job of a thread that writes takes, in seconds.
        self.slow_s = 0.0
        #: Connections to databases, by process.
        self.connections: dict[int, list[sqlite3.Connection]] = {}
        self.platter: Platter | None = None

    def wrote(self) -> None:
        """Something was written: here the process may die."""
        World.hub.step()

    def check(self) -> None:
        """Raise OSError if the disk is full."""
        if self.full and World.hub.current is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def job_s(self) -> float:
        """Return how long a job of an executor takes."""
        return self.slow_s * World.hub.random.random() if self.slow_s else 0.0

    def close(self, process: int) -> None:
        """Close the databases of a process that has died."""
        for connection in self.connections.pop(process, ()):
            connection.close()


class _Connection(sqlite3.Connection):
    """A connection whose disk may be full, and whose process may die before a commit or after."""

    disk: Disk
    path = ""
    #: Whether each transaction is synced, and what was changed before the present one.
    syncs, before = False, 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.disk.wrote()
            result = super().execute(sql)
            if self.disk.platter is not None:
                changed = self.total_changes != self.before
                self.disk.platter.committed(self.path, surely=self.syncs and changed)
            self.disk.wrote()
            return result
        if sql.startswith("PRAGMA synchronous"):
            self.syncs = sql.endswith("FULL")
        elif sql == "BEGIN IMMEDIATE":
            self.before = self.total_changes
        if self.disk.full and sql.lstrip().startswith(_WRITES):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self.disk.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().executemany(sql, *args)

    def close(self) -> None:
        super().close()
        if self.disk.platter is not None:
            self.disk.platter.closed(self.path)


def install(disk: Disk) -> None:
    """Let everything that is written go through the disk."""
    connect, opened, replace, rename = sqlite3.connect, os.open, os.replace, os.rename
    pwrite, write, stat, fstat = os.pwrite, os.write, os.stat, os.fstat

    def connected(*args: Any, **keys: Any) -> sqlite3.Connection:
        if disk.full:
            raise sqlite3.OperationalError("unable to open database file")
        made: _Connection = connect(*args, factory=_Connection, **keys)
        made.path = str(args[0])
        thread = World.hub.current
        disk.connections.setdefault(thread.process.number if thread else 0, []).append(made)
        return made

    def fsync(descriptor: Any) -> None:
        disk.check()
        disk.wrote()
        if disk.platter is not None:
            disk.platter.synced(descriptor)

    def status(*args: Any, **keys: Any) -> os.stat_result:
        found = stat(*args, **keys)
        return found if disk.platter is None else disk.platter.shown(found)

    def status_of(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        return found if disk.platter is None else disk.platter.shown(found)

    def open_(path: Any, flags: int, *args: Any, **keys: Any) -> int:
        if flags & os.O_CREAT:
            disk.check()
        return opened(path, flags, *args, **keys)

    def pwrite_(descriptor: int, data: bytes, offset: int) -> int:
        disk.check()
        return pwrite(descriptor, data, offset)

    def write_(descriptor: int, data: bytes) -> int:
        disk.check()
        return write(descriptor, data)

    def replace_(source: Any, target: Any, **keys: Any) -> None:
        disk.wrote()
        replace(source, target, **keys)
        disk.wrote()

    def rename_(source: Any, target: Any, **keys: Any) -> None:
        disk.wrote()
        rename(source, target, **keys)
        disk.wrote()

    _Connection.disk = disk
    sqlite3.connect = connected  # type: ignore[assignment]
    os.fsync, os.open, os.pwrite, os.write = fsync, open_, pwrite_, write_  # type: ignore[assignment]
    os.replace, os.rename = replace_, rename_  # type: ignore[assignment]
    os.stat, os.fstat = status, status_of  # type: ignore[assignment]


def memory() -> Path | None:
    """Return a folder in memory; None where there is none."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else None


def close(descriptor: int) -> None:
    """Close what a process that has died had open."""
    os.close(descriptor)
