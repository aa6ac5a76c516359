"""Writes the new files: none that exists, and those with passwords for their owner only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dlms_connector.installation import is_example
from dlms_connector.migration.bridge import MigrationError
from dlms_connector.migration.plan import Migration

_SECRETS = "secrets"


def write(migration: Migration, output: Path) -> Iterator[str]:
    """Write the configuration and its secrets beside it; yield a line for each file.

    Raises MigrationError before anything is written if a file is in the way. What root writes
    belongs to the owner of the folder: the gateway may run as a user of its own.
    """
    folder = output.parent / _SECRETS
    files = {folder / name: bytes(content) for name, content in migration.secrets.items()}
    text = json.dumps(migration.document, indent=2, ensure_ascii=False) + "\n"
    example = _is_example(output)
    wanted = (*files,) if example else (output, *files)
    in_the_way = [str(path) for path in wanted if os.path.lexists(path)]
    if in_the_way:
        raise MigrationError(
            *(f"{path}: exists already, and nothing is overwritten" for path in in_the_way),
            "name another file by --output in another folder, or move it away",
        )
    if files and not folder.is_dir():
        folder.mkdir(mode=0o700)
        _give(folder, output.parent)
    # The configuration comes last: it never names a file that is not there.
    for path, content in files.items():
        _create(path, content, 0o600)
        yield f"wrote {path} (mode 600)"
    if example:
        output.unlink()
    # It holds references only, and the gateway may run as another user.
    _create(output, text.encode(), 0o644)
    yield f"wrote {output}"


def _is_example(path: Path) -> bool:
    """Whether a file is the example that `install` left, which nobody has edited."""
    with suppress(OSError, UnicodeDecodeError):
        return not path.is_symlink() and is_example(path.read_text("utf-8"))
    return False


def _create(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _give(path, path.parent)


def _give(path: Path, like: Path) -> None:
    owner = like.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        with suppress(OSError):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
