"""Who may read files with secrets and state."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from dlms_connector.verification.snapshot import FileRights

_MOST = 5000


def rights(paths: Iterable[Path], user: int | None) -> tuple[FileRights, ...]:
    """Return what others may do with files and folders; `user` is whoever runs the gateway."""
    return tuple(_rights(path, user) for path in paths if os.path.lexists(path))


def below(folder: Path) -> Iterator[Path]:
    """Yield a folder and what is in it."""
    if folder.is_dir():
        yield folder
        try:
            yield from sorted(folder.rglob("*"))[:_MOST]
        except OSError:
            return


def _rights(path: Path, user: int | None) -> FileRights:
    try:
        status = path.stat()
    except OSError:
        return FileRights(path, unreadable=user is not None)
    mode = status.st_mode
    # A folder that nobody may enter or list protects what is in it; its mode is what counts.
    shared = [name for bit, name in (
        (stat.S_IRGRP, "group may read"), (stat.S_IWGRP, "group may write"),
        (stat.S_IROTH, "all may read"), (stat.S_IWOTH, "all may write")) if mode & bit]  # fmt: skip
    if path.is_dir():
        shared = [name for name in shared if name == "all may write"]
    if shared and _is_enclosed(path):
        shared = []
    unreadable = user not in (None, 0, status.st_uid) and not mode & (stat.S_IRGRP | stat.S_IROTH)
    return FileRights(path, ", ".join(shared), unreadable=unreadable)


def _is_enclosed(path: Path) -> bool:
    """Whether the folder around it lets nobody but its owner in."""
    try:
        return not path.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    except OSError:
        return False
