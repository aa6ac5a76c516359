"""State files: private, and complete after a crash.

Files that root creates, by a command beside the gateway, are given to the owner of the folder:
a gateway that cannot read the numbers that were reserved would use them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: Mapping[str, object]) -> None:
    """Replace a file so that after a crash the old or the new one is there, complete."""
    temporary = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(create(temporary), "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, as private folders."""
    if folder.is_dir():
        return
    if folder != folder.parent:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if (owner := _other_owner(folder.parent)) is not None:
            os.chown(folder, *owner, follow_symlinks=False)


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


def _other_owner(folder: Path) -> tuple[int, int] | None:
    """Return the user and group that root must give a new file to; None if no other."""
    status = folder.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return status.st_uid, status.st_gid
