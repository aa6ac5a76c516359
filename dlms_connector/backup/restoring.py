"""Puts a backup back: planned and proved first, then done; what is replaced is kept aside.

The configuration becomes that of the backup. The state never goes back: where the folder is the
one that the backup is of, what is there and whole is newer, and stays. Elsewhere the backup's is
taken, and no counter of it is used before its meter was asked, or more numbers were skipped than
can have been used since.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from dlms_connector.backup.archive import BackupError, Opened
from dlms_connector.backup.making import COUNTERS, RECORDS_FILE
from dlms_connector.config import load
from dlms_connector.installation import Change, InstallationError, apply, with_entry
from dlms_connector.records import VERSION, RecordsError, check_copy
from dlms_connector.state import copies, private_files

Part = Literal["config", "state"]

#: By how much a clock may be behind that of the gateway that made the backup.
_BEHIND = timedelta(minutes=10)
_SIDES = ("", "-wal", "-shm")


@dataclass
class Restored:
    """What was done, or would be: a line for each step."""

    state: Path | None = None
    lines: list[str] = field(default_factory=list)
    #: Counters that are read from the meter, or raised, before they are used.
    counters: int = 0
    #: Whether the state's folder is the one that the backup is of.
    same: bool = False


def restore(
    backup: Opened,
    config_dir: Path,
    *,
    parts: tuple[Part, ...] = ("config", "state"),
    dry_run: bool = False,
    now: datetime | None = None,
) -> Restored:
    """Put a backup back into a gateway that does not run.

    Raises BackupError before anything is changed: where the backup cannot be used here, or the
    host's clock is behind it, so that the age of its counters is not known. Raises
    InstallationError and OSError where files cannot be written.
    """
    now = now or datetime.now(timezone.utc)
    made = backup.manifest.created
    if now < made - _BEHIND:
        raise BackupError(
            f"this host's clock says {now:%Y-%m-%d %H:%M} UTC, and the backup was made at "
            f"{made:%Y-%m-%d %H:%M}: set the clock first (sudo timedatectl set-ntp true), because "
            "how many invocation counters were used since is told by it"
        )
    _check(backup)
    changes = [*_changes(backup, config_dir)] if "config" in parts else []
    done = Restored()
    configured = _configured(backup, config_dir, taken="config" in parts)
    if "state" in parts:
        try:
            done.state = copies.state_folder_of(configured, config_dir)
        except ValueError as error:
            raise BackupError(f"{config_dir}/tb_gateway.json cannot be read: {error}") from None
        installation = copies.installation_of(done.state)
        done.same = installation is not None and installation == backup.manifest.installation
    if dry_run:
        done.lines += [f"would write {change.path}" for change in changes]
        done.lines += _planned(backup, done)
        return done
    if "state" in parts:  # first: a gateway that starts meanwhile uses no counter twice
        _restore_state(backup, configured, config_dir, done, now)
    for change in changes:
        done.lines += apply([change], now)
        if change.old is None:
            change.path.chmod(0o600)
    return done


def _check(backup: Opened) -> None:
    """Refuse names that would lead anywhere else, and records of a newer version."""
    manifest = backup.manifest
    config = {f"config/{name}" for name in (manifest.document, manifest.table) if name}
    for name in manifest.files:
        folder, _, rest = name.partition("/")
        if name in (COUNTERS, f"state/{RECORDS_FILE}") or name in config:
            continue
        if folder != "state" or not copies.is_ours(rest):
            raise BackupError(f"{backup.path}: {name} belongs into no backup of this version")
    for name in config:
        path = PurePosixPath(name)
        if name not in manifest.files or ".." in path.parts or "\0" in name or "//" in name:
            raise BackupError(f"{backup.path}: {name} is missing, or no name of a file")
    try:
        copies.of_json(backup.contents.get(COUNTERS, b"{}"))
    except ValueError as error:
        raise BackupError(f"{backup.path}: {COUNTERS}: {error}") from None
    if (manifest.records_version or 0) > VERSION:
        raise BackupError(
            f"{backup.path}: its records were written by a newer version of the connector "
            f"({manifest.connector}): install that version, or a newer one"
        )


def _changes(backup: Opened, config_dir: Path) -> Iterator[Change]:
    manifest = backup.manifest
    root = config_dir.resolve()
    for name in (manifest.table, manifest.document):
        if name is None:
            continue
        path = config_dir / name
        if not path.resolve().is_relative_to(root):
            raise BackupError(f"{name} would not lie in {config_dir}")
        old = path.read_bytes().decode("utf-8", "replace") if path.exists() else None
        new = backup.contents[f"config/{name}"].decode("utf-8", "replace")
        if new != old:
            yield Change(path, old, new)
    if manifest.entry is not None:
        try:
            yield from with_entry(config_dir, manifest.entry)
        except InstallationError as error:
            raise BackupError(f"{error}; install the gateway first") from None


def _configured(backup: Opened, config_dir: Path, *, taken: bool) -> str | None:
    """Return the folder of the state that is configured, by the environment or `dlms.json`."""
    try:
        if taken:
            text = backup.contents[f"config/{backup.manifest.document}"].decode("utf-8-sig")
        else:
            text = (config_dir / backup.manifest.document).read_text("utf-8-sig")
        raw = json.loads(text)
    except (OSError, ValueError):
        raw = {}
    wanted = ("stateDirectory", "enableRemoteLogging", "configVersion")
    own: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    named = {key: own[key] for key in wanted if key in own}
    return load(named, base=config_dir).configuration.state_directory


def _planned(backup: Opened, done: Restored) -> Iterator[str]:
    if done.state is None:
        return
    if done.same:
        yield f"{done.state} is the folder of this backup: what is whole there stays"
        return
    yield f"would restore the state into {done.state}: {_what(backup)}"


def _what(backup: Opened) -> str:
    records = "the records" if backup.has_records else "no records"
    return f"{backup.manifest.counters} invocation counters, {records}"


def _restore_state(
    backup: Opened, configured: str | None, config_dir: Path, done: Restored, now: datetime
) -> None:
    installation = backup.manifest.installation
    assert done.state is not None
    private_files.make_folder(done.state)
    records = done.state / f".{RECORDS_FILE}.restored"
    try:
        if backup.has_records:
            _unpack(backup, records)
        folder = copies.prepare_folder(configured, config_dir, installation)
        if folder != done.state:
            raise BackupError(f"the state lies in {folder}, not in {done.state}: try again")
        counters = copies.of_json(backup.contents.get(COUNTERS, b"{}"))
        done.counters = copies.restore_counters(folder, counters, same=done.same)
        done.lines.append(f"restored {done.counters} of {len(counters)} invocation counters")
        for name in sorted(backup.contents):
            if name.startswith("state/") and name != COUNTERS:
                plain = name.partition("/")[2]
                stays = not copies.restore_file(
                    folder, plain, backup.contents[name], same=done.same
                )
                done.lines.append(f"{'left' if stays else 'restored'} {folder / plain}")
        if backup.has_records:
            done.lines += _restore_records(folder / RECORDS_FILE, records, done, now)
    finally:
        for side in _SIDES:
            records.with_name(records.name + side).unlink(missing_ok=True)


def _unpack(backup: Opened, to: Path) -> None:
    to.unlink(missing_ok=True)
    with os.fdopen(private_files.create(to), "wb") as file:
        backup.unpack_records(file)
        file.flush()
        os.fsync(file.fileno())
    check_copy(to)


def _restore_records(path: Path, new: Path, done: Restored, now: datetime) -> Iterator[str]:
    if path.exists():
        if done.same and _is_whole(path):
            yield f"left {path}: it is whole, and newer than the backup"
            return
        aside = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}.bak")
        for side in _SIDES:
            beside = path.with_name(path.name + side)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + side))
        yield f"kept {aside}"
    new.rename(path)
    yield f"restored {path}"


def _is_whole(path: Path) -> bool:
    try:
        check_copy(path)
    except RecordsError:
        return False
    return True
