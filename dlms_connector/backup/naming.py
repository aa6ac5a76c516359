"""The files of backups: their names, which is due, and how many are kept.

A name has the beginning of the random id of the folder that it is of, so that several gateways may
keep their backups in one folder, and none removes those of another one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dlms_connector.backup.archive import BackupError
from dlms_connector.state import acquire_lock, private_files

_NAME = re.compile(r"dlms-backup-([0-9a-f]{8})-(\d{8}T\d{6})Z(?:-\d+)?\.tar\.gz")
_TIME = "%Y%m%dT%H%M%S"
_NOBODY = "00000000"
_LOCK = ".dlms-backup.lock"
#: How names of what is being written begin.
DRAFT = ".dlms-backup-"


class BusyError(BackupError):
    """Another process writes a backup into the folder."""


def short(installation: str | None) -> str:
    """Return what stands in names for an installation."""
    return installation[:8] if installation else _NOBODY


def path_in(folder: Path, installation: str | None, now: datetime) -> Path:
    """Return an unused name for a backup."""
    stem = f"dlms-backup-{short(installation)}-{now.astimezone(timezone.utc):{_TIME}}Z"
    path, number = folder / f"{stem}.tar.gz", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.tar.gz"
    return path


def those_of(folder: Path, installation: str | None) -> list[Path]:
    """Return the backups of an installation in a folder, the oldest first. Raises OSError."""
    return [path for whose, _, path in _found(folder) if whose == short(installation)]


def newest(folder: Path, installation: str | None) -> datetime | None:
    """Return when the newest backup of an installation was made; None without one."""
    try:
        times = [time for whose, time, _ in _found(folder) if whose == short(installation)]
    except FileNotFoundError:
        return None
    return max(times, default=None)


def newest_of_one(folder: Path) -> Path:
    """Return the newest backup in a folder. Raises BackupError if it has none, or of several."""
    found = _found(folder)
    if not found:
        raise BackupError(f"{folder} has no backup: their names are dlms-backup-….tar.gz")
    if len({whose for whose, _, _ in found}) > 1:
        last = {whose: path.name for whose, _, path in found}
        raise BackupError(
            f"{folder} has backups of {len(last)} installations; name the file, the newest of each "
            "are " + ", ".join(last.values())
        )
    return found[-1][2]


def is_due(last: datetime | None, now: datetime, at: str) -> bool:
    """Whether a daily backup is to be made; `now` has the zone in which `at` (`02:30`) is meant.

    A backup of the future was made with a wrong clock, and does not count.
    """
    hour, minute = (int(part) for part in at.split(":"))
    due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if due > now:
        due -= timedelta(days=1)
    return last is None or last < due or last > now + timedelta(days=1)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep others from writing backups into a folder, and remove what they left half-written.

    Raises BusyError, OSError.
    """
    private_files.make_folder(folder)
    descriptor = private_files.create_or_open(folder / _LOCK)
    try:
        try:
            acquire_lock(descriptor, 0)
        except TimeoutError:
            raise BusyError(f"another process writes a backup into {folder}") from None
        for path in folder.glob(f"{DRAFT}*"):
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
    finally:
        os.close(descriptor)


def thin_out(folder: Path, installation: str | None, keep: int) -> list[Path]:
    """Remove the oldest backups of an installation beyond so many; return them. Raises OSError."""
    gone = those_of(folder, installation)[:-keep]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _found(folder: Path) -> list[tuple[str, datetime, Path]]:
    found = []
    for path in folder.iterdir():
        if match := _NAME.fullmatch(path.name):
            try:
                made = datetime.strptime(match[2], _TIME).replace(tzinfo=timezone.utc)
            except ValueError:
                continue
            found.append((match[1], made, path))
    return sorted(found, key=lambda each: (each[1], each[2].name))
