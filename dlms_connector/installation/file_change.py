"""Changes to files: planned first, then shown or applied."""

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
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from dlms_connector.errors import DlmsError

#: A single file mounted into a container can be written, but not replaced.
_CANNOT_REPLACE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS}

#: Files of users: what is written over is kept.
_KEPT = (".json", ".csv")

#: Lines of a diff that are shown: the schema for editors has thousands.
_MOST_LINES = 60

#: Keys whose texts are not shown. A plain `key` is a telemetry key.
_SECRET_KEY = re.compile("token|password|secret|.key|username|clientid", re.IGNORECASE)


class InstallationError(DlmsError):
    """The installation is not possible; the message says what to do."""


@dataclass(frozen=True)
class Change:
    """A file to be written, or removed if `new` is None; `old` is its present text, if any."""

    path: Path
    old: str | None
    new: str | None

    def diff(self) -> str:
        """Return the change as a unified diff, with secrets blanked out."""
        old, new = _blanked(self.old or ""), _blanked(self.new or "")
        lines = difflib.unified_diff(
            old.splitlines(),
            new.splitlines(),
            "/dev/null" if self.old is None else str(self.path),
            "/dev/null" if self.new is None else str(self.path),
            lineterm="",
        )
        shown = list(islice(lines, _MOST_LINES + 1))
        if len(shown) > _MOST_LINES:
            shown[_MOST_LINES:] = ["… (the rest is not shown)"]
        return "\n".join(shown)


def apply(changes: Sequence[Change], now: datetime) -> Iterator[str]:
    """Apply the changes; yield a line for each step.

    A changed file of a user is backed up with a time stamp. Raises InstallationError.
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
    if change.old is not None and change.path.suffix in _KEPT:
        backup = _free(change.path.with_name(f"{change.path.name}.{now:%Y%m%dT%H%M%S}"))
        _create(backup, change.old, like=change.path)
        yield f"kept {backup}"
    _make_folder(change.path.parent)
    _write(change.path.resolve(), change.new)  # a symbolic link stays a link
    yield f"{'wrote' if change.old is None else 'changed'} {change.path}"


def _free(beside: Path) -> Path:
    """Return an unused name for a backup: two changes may be made in the same second."""
    endings = chain([""], (f"-{number}" for number in count(2)))
    names = (beside.with_name(f"{beside.name}{ending}.bak") for ending in endings)
    return next(path for path in names if not path.exists())


def _write(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new content."""
    beside = path.with_name(f".{path.name}.new")
    there = path.exists()
    try:
        if not _create(beside, text, like=path if there else None) and there:
            raise PermissionError(errno.EPERM, "the file would be another's")
        if not there and path.suffix == ".py":  # readable by the gateway's user
            beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        if error.errno not in _CANNOT_REPLACE or not there:
            raise
        path.write_text(text, encoding="utf-8", newline="")


def _create(path: Path, text: str, *, like: Path | None) -> bool:
    """Create a file with owner and mode of `like`, else with the owner of its folder.

    The gateway may run as a user of its own, and writes its configuration. Returns False if
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
    """Create a folder and its parents, with the owner of the existing parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir()
    _give(folder, folder.parent)
    folder.chmod(0o755)


def give_to_folder(path: Path) -> None:
    """Set the owner of a new file to that of its folder: the gateway writes into its files."""
    _give(path, path.parent)


def _give(path: Path, like: Path) -> bool:
    """Set the owner of `path` to that of `like`; return False if it is not permitted."""
    owner, own = like.stat(), path.stat()
    try:
        if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
            os.chown(path, owner.st_uid, owner.st_gid)
    except PermissionError:
        return False
    return True


def _tidy(path: Path) -> None:
    """Remove the compiled files of a Python module, and its folders if they are empty."""
    if path.suffix != ".py":
        return
    cache = path.parent / "__pycache__"
    for compiled in cache.glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
    for folder in (cache, path.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _blanked(text: str) -> str:
    """Blank out every text under a key that looks like a secret."""
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
