"""State files: private, and complete after a crash.

Files that root creates, by a command beside the gateway, are given to the owner of the folder:
a gateway that cannot read the numbers that were reserved would use them again.

Anything may lie in the folder: a file of any size and depth, a pipe, a link. `load` raises
OSError or ValueError for all of it, and never waits for a writer.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from errno import EISDIR
from pathlib import Path
from typing import Any

#: Most octets that are read of a state file, unless its owner says otherwise.
_MOST = 64 * 1024
#: A link is not followed, and a pipe without a writer is not waited for.
READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def read(path: Path, most: int = _MOST) -> bytes:
    """Return the content of a regular file. Raises OSError, and ValueError if it is too large."""
    descriptor = os.open(path, READING)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EISDIR, "it is no regular file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} octets")
    return content


def load(path: Path, most: int = _MOST) -> Any:
    """Return the JSON value in a file. Raises OSError, or ValueError if there is none."""
    try:
        return json.loads(read(path, most).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def put_aside(path: Path) -> Path | None:
    """Rename an unreadable file, so that it is kept and does not hinder; None if that fails."""
    for number in range(1, 10):
        aside = path.with_name(f"{path.name}.unreadable-{number}")
        if not os.path.lexists(aside):
            break
    try:
        path.rename(aside)
    except OSError:
        return None
    return aside


def write(path: Path, content: Mapping[str, object]) -> None:
    """Replace a file by one with a JSON object, see `write_octets`."""
    write_octets(path, json.dumps(content).encode())


def write_octets(path: Path, content: bytes) -> None:
    """Replace a file so that after a crash the old or the new one is there, complete.

    Raises OSError.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(create(temporary), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Write the names in a folder to the disk: without them a power cut may cost whole files."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, as private folders that outlive a power cut."""
    if folder.is_dir():
        return
    if folder != folder.parent:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if (owner := _other_owner(folder.parent)) is not None:
            os.chown(folder, *owner, follow_symlinks=False)
        sync_names(folder.parent)


def create(path: Path) -> int:
    """Create a private file that does not exist yet; return its descriptor."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if (owner := _other_owner(path.parent)) is not None:
            os.fchown(descriptor, *owner)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def create_or_open(path: Path, flags: int = 0) -> int:
    """Return the descriptor of a private file, created if there is none; links are refused."""
    try:
        return create(path)
    except FileExistsError:
        pass
    wanted = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | flags
    return os.open(path, wanted)


def _other_owner(folder: Path) -> tuple[int, int] | None:
    """Return the user and group that root must give a new file to; None if no other."""
    status = folder.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return status.st_uid, status.st_gid
