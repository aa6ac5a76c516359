"""Files that store invocation counters: `counter-….json`, and beside it `counter-….lock`.

The number lies in both. The `.lock` file is never replaced: the `.json` file names its inode and
the time of its last change. A copy, such as a backup that was restored, differs in one of them:
its numbers may have been used since.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Lock
from time import monotonic

from dlms_connector.state import private_files
from dlms_connector.state.file_lock import WAIT_S, identity, lock_of
from dlms_connector.state.file_lock import locked as _locked

#: The highest number in 32 bits; after it the key cannot be used any more.
LAST = 0xFFFF_FFFF

#: The stamp of a file that `restore` has written: no file has it.
RESTORED = "restored"

_DIGITS = 11
#: A listing of at least so many names is used for so long, although the folder has changed.
_VERY_MANY, _LISTED_S = 1000, 1.0


class Kind(Enum):
    """What the files of a counter tell."""

    NEW = "there are none"
    KEPT = "they are as we left them"
    SECOND = "only the second file is there"
    UNREADABLE = "the first file makes no sense"
    TOUCHED = "they are a copy, or were changed by another program"


@dataclass(frozen=True, slots=True)
class Found:
    """The first number that is not reserved, None if unknown; and when it was written (Unix).

    `tenure` is that in which it was written, None if there was none or it is not known. `skipped`:
    whether the number is beyond others that were skipped since it was in a copy. `restored`:
    whether it was put back by `restore`.
    """

    kind: Kind
    number: int | None = None
    written_s: float = 0.0
    tenure: str | None = None
    skipped: bool = False
    restored: bool = False


@dataclass(frozen=True, slots=True)
class _Second:
    number: int | None
    stamp: str
    untouched: bool
    written_s: float


def look(path: Path) -> Found:
    """Return what the files tell. Raises OSError if there may be a file that cannot be read."""
    second = _second(path)
    spare = second.number if second else None
    written_s = second.written_s if second else 0.0
    as_left = second is None or second.untouched
    try:
        content = private_files.load(path)
        number, stamp, tenure = _parse(content, path.stem)
        skipped = content.get("skipped") is True
    except FileNotFoundError:
        if spare is None:
            return Found(Kind.NEW)
        return Found(Kind.SECOND if as_left else Kind.TOUCHED, spare, written_s)
    except ValueError:
        return Found(Kind.UNREADABLE, spare if as_left else None, written_s)
    # A file without a stamp is of an earlier version, or written by hand: it is believed.
    if stamp is not None and (second is None or stamp != second.stamp or not as_left):
        written_s = written_s or path.stat().st_mtime
        highest, restored = max(number, spare or 0), stamp == RESTORED
        return Found(Kind.TOUCHED, highest, written_s, tenure, skipped, restored)
    return Found(Kind.KEPT, max(number, spare or 0), written_s, tenure, skipped)


def keep(
    path: Path,
    lock: int,
    number: int,
    device: str,
    tenure: str | None = None,
    *,
    skipped: bool = False,
) -> None:
    """Write a number to both files and to the disk; `lock` is the descriptor of `locked`."""
    text = f"{number:<{_DIGITS}}\n".encode()
    if os.pwrite(lock, text, 0) < len(text):  # that is no error for the system
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(lock)
    content = {
        "device": device,
        "counter": path.stem,
        "next": number,
        "stamp": _stamp(lock),
        **({} if tenure is None else {"tenure": tenure}),
        **({"skipped": True} if skipped else {}),
    }
    private_files.write(path, content)


@contextmanager
def locked(path: Path, wait_s: float = WAIT_S) -> Iterator[int]:
    """Keep other processes from reserving at the same time; yield a descriptor for `keep`."""
    with _locked(path, wait_s) as descriptor:
        yield descriptor


def highest(directory: Path, owner: str) -> int:
    """Return the first number that no file of an earlier version reserves; 1 if there are none.

    An owner is the last part of a file's name. It stands for a key and a system title; files of
    earlier versions have the name of a device before it.
    """
    try:
        files = _LISTING.of(directory).get(owner, ())
    except OSError:
        return 1  # nothing can be stored there either, so no number will be used
    return max((_number_in(path) for path in files), default=1)


class _Listing:
    """The files of earlier versions in the folder that was asked for last, by their owners.

    A fleet asks for each meter before any of them counts, and creates files for each meanwhile: a
    look at ten thousand names for each of ten thousand meters took minutes. So while a folder
    changes, a listing of very many names is used for a second.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: tuple[Path, int] | None = None
        self._count, self._until = 0, 0.0
        self._found: Mapping[str, Sequence[Path]] = {}

    def of(self, directory: Path) -> Mapping[str, Sequence[Path]]:
        """Return what is there. Raises OSError."""
        key = directory, directory.stat().st_mtime_ns
        with self._lock:
            if key == self._key:
                return self._found
            same = self._key is not None and self._key[0] == directory
            if same and self._count >= _VERY_MANY and monotonic() < self._until:
                return self._found
            names = os.listdir(directory)  # noqa: PTH208 - names are all that is needed
            self._key, self._count, self._until = key, len(names), monotonic() + _LISTED_S
            self._found = _older(directory, names)
            return self._found


def _older(directory: Path, names: Iterable[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name in names:
        if name.startswith("counter-") and name.endswith(".json") and name.count("-") > 1:
            path = directory / name
            found.setdefault(path.stem.rpartition("-")[2], []).append(path)
    return found


_LISTING = _Listing()


def _number_in(path: Path) -> int:
    try:
        return look(path).number or 1
    except OSError:
        return 1


def stamp(path: Path) -> tuple[int, int] | None:
    """Return a stamp that changes when the file is written; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _parse(content: object, name: str) -> tuple[int, str | None, str | None]:
    """Return number, stamp and tenure. Raises ValueError if it is no counter, or another one's."""
    if not isinstance(content, dict) or content.get("counter", name) != name:
        raise ValueError("it holds no counter of this key")
    number, stamped = content.get("next"), content.get("stamp")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LAST:
        raise ValueError("it holds no counter")
    if stamped is not None and not isinstance(stamped, str):
        raise ValueError("it holds no stamp")
    tenure = content.get("tenure")
    return number, stamped, tenure if isinstance(tenure, str) else None


def _second(path: Path) -> _Second | None:
    """Return what the lock's file tells; None if there is none."""
    try:
        descriptor = os.open(lock_of(path), private_files.READING)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        text = os.pread(descriptor, _DIGITS, 0).decode("ascii", "replace").strip()
        number = int(text) if text.isascii() and text.isdecimal() else None
        return _Second(
            number if number is None or number <= LAST else None,
            _stamp(descriptor),
            # Our own writing sets both times alike; a program that restores a file, or gives it
            # to another owner, does not.
            status.st_mtime_ns == status.st_ctime_ns or not status.st_size,
            status.st_mtime,
        )
    finally:
        os.close(descriptor)


def _stamp(descriptor: int) -> str:
    return f"{identity(descriptor)}.{os.fstat(descriptor).st_mtime_ns}"
