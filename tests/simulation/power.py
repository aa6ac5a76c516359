"""What is left of a folder after a power cut: what was synced, and any part of what was not.

A file's content is certain up to its last `fsync`, a name up to that of its folder. What came later
may be there or not, each sector and each name for itself. SQLite syncs without being seen: its
shared memory (the file `-shm`) tells when it has copied its log, and begun a new one, both of which
it syncs (https://www.sqlite.org/walformat.html).

Inodes and times of files belong to what is restored: a file that is written anew here still shows
those that it had (`shown`).
"""

# ruff: noqa: PTH108, PTH110, PTH115, PTH123

from __future__ import annotations

import os
import random
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512
#: Where SQLite's shared memory tells the salt of the log, and how many of its pages are copied.
_SALT, _COPIED = slice(32, 40), slice(96, 100)
_LOG_HEADER = 32
_SHARED = "-shm"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, and when it was written last."""

    octets: bytes
    mtime_ns: int


_NOTHING = Content(b"", 0)


class Platter:
    """What is certainly on the disk, of one folder with all below it."""

    def __init__(self, root: Path, seed: str) -> None:
        self._root, self._chance = root, random.Random(seed)
        #: Synced contents by inode, and synced names with their inodes, by folder.
        self._contents: dict[int, Content] = {}
        self._names: dict[str, dict[str, int]] = {}
        #: State of each log when it was last looked at.
        self._logs: dict[str, tuple[bytes, bytes]] = {}
        #: Inodes and times that restored files show: by inode, with the time they truly have.
        self._shown: dict[int, tuple[int, int, int]] = {}

    # What is written

    def synced(self, descriptor: int) -> None:
        """Note that a file or a folder was synced."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not self._is_inside(path) or not os.path.exists(path):
            return
        status = _stat(path)
        if stat.S_ISDIR(status.st_mode):
            self.sync_names(path)
        else:
            self._contents[status.st_ino] = Content(_read(path), status.st_mtime_ns)

    def sync_names(self, folder: str | Path) -> None:
        """Note that the names in a folder are on the disk; what has none any more is gone."""
        before = self._names.get(str(folder), {})
        with os.scandir(folder) as entries:
            names = self._names[str(folder)] = {one.name: one.inode() for one in entries}
        for inode in set(before.values()) - set(names.values()):
            self._contents.pop(inode, None)

    def committed(self, path: str, *, surely: bool) -> None:
        """Note what SQLite has synced with a transaction; all of it if `surely`."""
        log = f"{path}-wal"
        if not self._is_inside(path) or not os.path.exists(log):
            return
        shared = _read(path + _SHARED, _COPIED.stop)
        salt, copied = shared[_SALT], shared[_COPIED]
        before, self._logs[path] = self._logs.get(path), (salt, copied)
        if before is None:  # SQLite has set up the file, and syncs its log with its name
            self._sync(path)
            self.sync_names(Path(path).parent)
        if before is None or salt != before[0]:  # a log that begins: its header is synced
            known = self._contents.get(_stat(log).st_ino, _NOTHING).octets
            self._sync(log, _read(log, _LOG_HEADER) + known[_LOG_HEADER:])
        is_copied = before is not None and copied != before[1] and any(copied)
        if surely or is_copied:
            self._sync(log)
        if is_copied:
            self._sync(path)

    def closed(self, path: str) -> None:
        """Note that SQLite has copied and removed its log."""
        if self._is_inside(path) and not os.path.exists(f"{path}-wal"):
            self._logs.pop(path, None)
            self._sync(path)

    def _sync(self, path: str, octets: bytes | None = None) -> None:
        status, found = _stat(path), _read(path) if octets is None else octets
        self._contents[status.st_ino] = Content(found, status.st_mtime_ns)

    def _is_inside(self, path: str) -> bool:
        return path.startswith(str(self._root))

    # The cut

    def cut(self) -> Left:
        """Return what is left if the power fails now."""
        left = Left()
        self._look(str(self._root), left)
        return left

    def _look(self, folder: str, left: Left) -> None:
        synced = self._names.get(folder, {})
        with os.scandir(folder) as entries:
            now = {one.name: one for one in entries}
        left.folders.append(folder)
        for name in sorted({*synced, *now}):
            path, entry = f"{folder}/{name}", now.get(name)
            inode = entry.inode() if entry is not None else None
            before = synced.get(name)
            if inode != before and self._chance.random() < 0.5:
                inode, entry = before, None  # what was done to the name is not on the disk
            if inode is None or name.endswith(_SHARED):
                continue
            if entry is not None and entry.is_dir():
                self._look(path, left)
            elif entry is not None:
                left.files[path] = self._part(inode, Content(_read(path), _stat(path).st_mtime_ns))
            elif before in self._contents:
                left.files[path] = inode, self._contents[inode]

    def _part(self, inode: int, now: Content) -> tuple[int, Content]:
        """Return what is there of a file."""
        synced = self._contents.get(inode, Content(b"", now.mtime_ns))
        if synced.octets == now.octets:
            return inode, synced
        match self._chance.choice(("synced", "now", "sectors", "cut")):
            case "synced":
                return inode, synced
            case "now":
                return inode, now
            case "cut":
                some = now.octets[: self._chance.randrange(len(now.octets) + 1)]
                return inode, Content(some + synced.octets[len(some) :], now.mtime_ns)
        size = self._chance.choice((len(synced.octets), len(now.octets)))
        sectors = []
        for at in range(0, size, _SECTOR):
            source = self._chance.choice((synced, now)).octets
            sectors.append(source[at : at + _SECTOR].ljust(min(_SECTOR, size - at), b"\0"))
        return inode, Content(b"".join(sectors), self._chance.choice((synced, now)).mtime_ns)

    def restore(self, left: Left) -> None:
        """Let the folder hold what is left."""
        for there in sorted(self._root.rglob("*"), reverse=True):
            if there.is_dir():
                if str(there) not in left.folders:
                    shutil.rmtree(there)
            elif str(there) not in left.files:
                there.unlink()
        self._contents.clear()
        self._names.clear()
        self._logs.clear()
        for path, (inode, content) in left.files.items():
            self._put(path, inode, content)
        for folder in left.folders:
            self.sync_names(folder)

    def _put(self, path: str, inode: int, content: Content) -> None:
        there = _stat(path) if os.path.exists(path) else None
        if there is None or there.st_ino != inode or _read(path) != content.octets:
            if there is not None and there.st_ino != inode:
                os.unlink(path)
            descriptor = _open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            _write(descriptor, content.octets)
            os.close(descriptor)
            there = _stat(path)
            shown, truly_ns, shown_ns = self._shown.get(inode, (inode, 0, 0))
            if content.mtime_ns != truly_ns:
                shown_ns = content.mtime_ns
            self._shown[there.st_ino] = shown, there.st_mtime_ns, shown_ns
        self._contents[there.st_ino] = Content(content.octets, there.st_mtime_ns)

    def shown(self, status: os.stat_result) -> os.stat_result:
        """Return the status of a file as it is after a power cut: with its inode and time."""
        if (found := self._shown.get(status.st_ino)) is None:
            return status
        inode, truly_ns, shown_ns = found
        values = list(status)
        values[stat.ST_INO] = inode
        if status.st_mtime_ns != truly_ns:  # it was written since
            shown_ns = status.st_mtime_ns
        return os.stat_result(
            values,
            {
                "st_mtime_ns": shown_ns, "st_ctime_ns": shown_ns,
                "st_mtime": shown_ns / 1e9, "st_ctime": shown_ns / 1e9,
            },
        )  # fmt: skip


class Left:
    """What a power cut has left: folders, and files with their inodes."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.files: dict[str, tuple[int, Content]] = {}


#: Those of Python itself, whatever stands for them in the simulation.
_stat, _open, _write = os.stat, os.open, os.write


def _read(path: str, most: int = -1) -> bytes:
    with open(path, "rb") as file:
        return file.read(most)
