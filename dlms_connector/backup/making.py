"""Makes a backup beside a gateway that runs.

Each file of the state is replaced as a whole by who writes it, so it is read as it was at one
moment. The records are copied by SQLite, as they are between two transactions.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dlms_connector import __version__
from dlms_connector.backup import naming
from dlms_connector.backup.archive import RECORDS, BackupError, Manifest, Writing
from dlms_connector.backup.redaction import LeftOut, Redaction
from dlms_connector.config import DEVICES_FILE
from dlms_connector.installation import InstallationError, entry_of
from dlms_connector.records import copy_records
from dlms_connector.state import copies, private_files

COUNTERS = "state/counters.json"
RECORDS_FILE = "records.sqlite"
_LARGEST = 200_000_000
#: What of the gateway's entry is kept: everything else may be a secret of the gateway.
_ENTRY = ("type", "name", "class", "configuration", "id", "useGRPC", "disabled")


@dataclass(frozen=True)
class Made:
    """A backup that was written."""

    path: Path
    manifest: Manifest
    left_out: tuple[LeftOut, ...]
    #: Files of counters that tell no number, so that they are not in it.
    unread: tuple[str, ...]
    removed: tuple[Path, ...]


def make(
    config_dir: Path,
    state: Path | None,
    target: Path,
    *,
    keep: int | None = None,
    connector: str | None = None,
    with_secrets: bool = False,
    now: datetime | None = None,
    breathe: Callable[[], None] = lambda: None,
) -> Made:
    """Write a backup of a gateway's connector into the folder `target`.

    `state` is the folder of its state, if there is one. With `keep`, the oldest backups of the same
    installation beyond so many are removed afterwards. `breathe` is called between pieces of work.
    Raises BackupError, BusyError or OSError; then nothing is left behind.
    """
    now = (now or datetime.now(timezone.utc)).replace(microsecond=0)
    installation = copies.installation_of(state) if state is not None else None
    with naming.alone_in(target):
        draft = target / f"{naming.DRAFT}{os.getpid()}"
        draft.mkdir(mode=0o700)
        try:
            new = draft / "backup"
            with os.fdopen(private_files.create(new), "wb") as stream:
                written = Writing(stream, breathe)
                redaction = None if with_secrets else Redaction()
                told, unread = _write(
                    written, config_dir, state, draft, redaction, connector, breathe
                )
                manifest = Manifest(
                    **told, created=now, installation=installation, files=written.files
                )
                written.finish(manifest)
                stream.flush()
                os.fsync(stream.fileno())
            path = naming.path_in(target, installation, now)
            new.rename(path)
            _to_disk(target)
        except OSError as error:
            error.filename = error.filename or str(target)  # a full disk names none
            raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        removed = naming.thin_out(target, installation, keep) if keep is not None else []
    left_out = tuple(redaction.left_out) if redaction is not None else ()
    return Made(path, manifest, left_out, tuple(unread), tuple(removed))


def _write(
    written: Writing,
    config_dir: Path,
    state: Path | None,
    draft: Path,
    redaction: Redaction | None,
    connector: str | None,
    breathe: Callable[[], None],
) -> tuple[dict[str, Any], list[str]]:
    entry, document, table = _configuration(written, config_dir, redaction, connector)
    counters: Mapping[str, copies.Copied] = {}
    unread: list[str] = []
    version = None
    if state is not None:
        counters, unread = copies.counters_in(state, breathe)
        written.add(COUNTERS, copies.to_json(counters))
        for path in copies.files_in(state):
            try:
                written.add(f"state/{path.name}", copies.read_file(path))
            except FileNotFoundError:
                continue  # it was replaced by none meanwhile
            except ValueError as error:
                raise BackupError(f"{path}: {error}") from None
        if (state / RECORDS_FILE).is_file():
            version = copy_records(state / RECORDS_FILE, draft / "records")
            written.add_file(RECORDS, draft / "records")
    return {
        "connector": __version__,
        "host": socket.gethostname(),
        "document": document,
        "table": table,
        "entry": entry,
        "left_out": tuple((one.path, one.file) for one in redaction.left_out) if redaction else (),
        "counters": len(counters),
        "records_version": version,
    }, unread


def _configuration(
    written: Writing, config_dir: Path, redaction: Redaction | None, connector: str | None
) -> tuple[dict[str, Any] | None, str, str | None]:
    try:
        entry = entry_of(config_dir, connector)
    except InstallationError as error:
        raise BackupError(str(error)) from error
    if entry is None:
        raise BackupError(
            f"tb_gateway.json in {config_dir} has no entry of the connector: "
            f"dlms-connector install --gateway-config {config_dir}"
        )
    document = str(entry.get("configuration") or "dlms.json")
    text = _text(_within(config_dir, document))
    try:
        raw = json.loads(text)
        told = redaction.document(text) if redaction else text
    except (ValueError, RecursionError) as error:
        raise BackupError(
            f"{config_dir / document} is no valid JSON, so it is not known what in it is secret: "
            f"{error}"
        ) from None
    written.add(f"config/{document}", told.encode())
    table = raw.get(DEVICES_FILE) if isinstance(raw, dict) else None
    if isinstance(table, str) and table:
        try:
            text = _text(_within(config_dir, table))
            told = redaction.table(text, table) if redaction else text
        except ValueError as error:
            raise BackupError(f"{config_dir / table} is no table: {error}") from None
        written.add(f"config/{table}", told.encode())
    own = {key: entry[key] for key in _ENTRY if key in entry}
    return own, document, table if isinstance(table, str) and table else None


def _within(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BackupError(f"{name} does not lie in {folder}")
    return path


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise BackupError(f"{path} is larger than {_LARGEST} bytes")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BackupError(f"{path} is not UTF-8 text") from None


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
