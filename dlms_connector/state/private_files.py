"""Files of state: private, and whole after a crash.

What root makes, with a command run beside the gateway, is left to the owner of the folder:
a gateway that cannot read what another reserved would use its numbers again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: Mapping[str, object]) -> None:
    """Replace a file such that after a crash there is the old one or the new one, whole."""
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
    """Make a folder and those above it, private, where they are missing."""
    if folder.is_dir():
        return
    if folder != folder.parent:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if (owner := _other_owner(folder.parent)) is not None:
            os.chown(folder, *owner, follow_symlinks=False)


def create(path: Path) -> int:
    """Make a private file that is not there yet; return its descriptor."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if (owner := _other_owner(path.parent)) is not None:
            os.fchown(descriptor, *owner)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _other_owner(folder: Path) -> tuple[int, int] | None:
    """Return whom root shall leave a new entry of a folder to; None if that is nobody else."""
    status = folder.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return status.st_uid, status.st_gid
