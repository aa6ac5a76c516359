"""Files to be written or removed: worked out first, then shown or made."""

from __future__ import annotations

import difflib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

#: A single file mounted into a container can be written, but not replaced.
_CANNOT_REPLACE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS}

#: Keys whose texts are not shown. A plain `key` is the name of a telemetry.
_SECRET_KEY = re.compile("token|password|secret|.key|username|clientid", re.IGNORECASE)


class InstallationError(Exception):
    """Something stands in the way; the message says what to do about it."""


@dataclass(frozen=True)
class Change:
    """A file to be written (`new`), or removed where `new` is None; `old` is what is there."""

    path: Path
    old: str | None
    new: str | None

    def diff(self) -> str:
        """Return the change as a unified diff, secrets blanked out."""
        old, new = _blanked(self.old or ""), _blanked(self.new or "")
        lines = difflib.unified_diff(
            old.splitlines(),
            new.splitlines(),
            "/dev/null" if self.old is None else str(self.path),
            "/dev/null" if self.new is None else str(self.path),
            lineterm="",
        )
        return "\n".join(lines)


def apply(changes: Sequence[Change], now: datetime) -> Iterator[str]:
    """Make the changes; yields a line for each. What existed is backed up with a time stamp.

    Raises InstallationError.
    """
    for change in changes:
        try:
            yield from _apply(change, now)
        except OSError as error:
            raise InstallationError(
                f"cannot write {change.path}: {error.strerror or error}; "
                "run this as the user who owns the gateway's files"
            ) from error


def _apply(change: Change, now: datetime) -> Iterator[str]:
    if change.new is None:
        change.path.unlink()
        _tidy(change.path)
        yield f"removed {change.path}"
        return
    if change.old is not None and change.path.suffix == ".json":
        backup = _free(change.path.with_name(f"{change.path.name}.{now:%Y%m%dT%H%M%S}"))
        _create(backup, change.old, like=change.path)
        yield f"kept {backup}"
    _make_folder(change.path.parent)
    _write(change.path.resolve(), change.new)  # a link stays one
    yield f"{'wrote' if change.old is None else 'changed'} {change.path}"


def _free(beside: Path) -> Path:
    """Return the name of a backup that is not there yet: two changes may share a second."""
    endings = chain([""], (f"-{number}" for number in count(2)))
    names = (beside.with_name(f"{beside.name}{ending}.bak") for ending in endings)
    return next(path for path in names if not path.exists())


def _write(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    beside = path.with_name(f".{path.name}.new")
    there = path.exists()
    try:
        if not _create(beside, text, like=path if there else None) and there:
            raise PermissionError(errno.EPERM, "the file would be another's")
        if not there and path.suffix == ".py":  # for whoever runs the gateway
            beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        if error.errno not in _CANNOT_REPLACE or not there:
            raise
        path.write_text(text, encoding="utf-8", newline="")


def _create(path: Path, text: str, *, like: Path | None) -> bool:
    """Make a file with owner and rights of another, else with the owner of its folder.

    The gateway may run as a user of its own, and writes into its configuration. False if
    the owner could not be set.
    """
    path.unlink(missing_ok=True)
    path.touch(mode=0o666 if like is None else 0o600, exist_ok=False)
    path.write_bytes(text.encode())
    given = _give(path, like or path.parent)
    if like is not None:
        shutil.copystat(like, path)
    return given


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, with the owner of what is there already."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir()
    _give(folder, folder.parent)
    folder.chmod(0o755)


def _give(path: Path, like: Path) -> bool:
    """Give something the owner of something else; false if only another user may."""
    owner, own = like.stat(), path.stat()
    try:
        if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
            os.chown(path, owner.st_uid, owner.st_gid)
    except PermissionError:
        return False
    return True


def _tidy(path: Path) -> None:
    """Remove what Python compiled from a module, and its folder if nothing else is in it."""
    if path.suffix != ".py":
        return
    cache = path.parent / "__pycache__"
    for compiled in cache.glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
    for folder in (cache, path.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _blanked(text: str) -> str:
    """Blank out every text under a key that sounds like a secret."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return text
    for secret in sorted(set(_secrets(document)), key=len, reverse=True):
        for written in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
            text = text.replace(written, '"***"')
    return text


def _secrets(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from _secrets(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, key)
    elif isinstance(value, str) and value and _SECRET_KEY.search(key):
        yield value
