"""Opens the SQLite file of the records; what cannot be read is kept aside and made anew."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from errno import EACCES, EISDIR
from functools import cache
from logging import Logger
from pathlib import Path

from dlms_connector.records.failure import RecordsError, is_damage, our_errors
from dlms_connector.state import private_files

#: "DLMS": says whose file it is (PRAGMA application_id).
_APPLICATION = 0x444C4D53
VERSION = 1
#: How long one connector of a process waits for another one.
_BUSY_S = 10.0
#: A larger file is not checked as a whole at the start: that takes long from a memory card.
_MOST_CHECKED = 64 << 20
#: SQLite's first octets.
_MAGIC = b"SQLite format 3\0"
_SIDES = ("-wal", "-shm")

#: `outbox`: what is not confirmed. `day`: a bit for each interval of a UTC day (little-endian).
#: `moment`: the rows of irregular profiles. Times are in ms since 1970, periods in s.
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE device (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, serial TEXT, seen_ms INTEGER NOT NULL);
CREATE TABLE source (
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, profile TEXT NOT NULL,
    period_s INTEGER NOT NULL DEFAULT 0, first_ms INTEGER, newest_ms INTEGER,
    read_to_ms INTEGER, since_ms INTEGER, horizon_ms INTEGER,
    opens TEXT NOT NULL DEFAULT '[]', covered TEXT NOT NULL DEFAULT '[]',
    UNIQUE (device, profile));
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source,
    device_type TEXT NOT NULL, ts_ms INTEGER NOT NULL, body TEXT NOT NULL,
    journal INTEGER NOT NULL);
CREATE INDEX outbox_history ON outbox (source, ts_ms) WHERE journal = 0;
CREATE INDEX outbox_journal ON outbox (ts_ms) WHERE journal = 1;
CREATE TABLE day (
    source INTEGER NOT NULL REFERENCES source, day INTEGER NOT NULL, period_s INTEGER NOT NULL,
    sent BLOB, confirmed BLOB, empty BLOB, asked BLOB, absent BLOB, refused BLOB,
    why TEXT NOT NULL DEFAULT '', PRIMARY KEY (source, day, period_s)) WITHOUT ROWID;
CREATE TABLE moment (
    source INTEGER NOT NULL REFERENCES source, ts_ms INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (source, ts_ms)) WITHOUT ROWID;
INSERT INTO meta VALUES
    ('next', 0), ('history_entries', 0), ('history_bytes', 0),
    ('journal_entries', 0), ('journal_bytes', 0);
"""


def connect(path: Path, log: Logger) -> sqlite3.Connection:
    """Return a connection to the records, made if there are none.

    A damaged file, and one of another program, is put aside, told in the log. Raises
    RecordsError if there can be none.
    """
    with our_errors(path, "opening the records"):
        try:
            return _connect(path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
            problem = str(error)
    aside = put_aside(path)
    log.error(
        "%s cannot be read (%s): what it said of sent intervals is lost, they are read and sent "
        "again%s", path, problem, f"; it is kept as {aside.name}" if aside else "",
    )  # fmt: skip
    if aside is None:
        raise RecordsError(
            path, "opening the records", problem, "move the file away, nothing else can", EACCES
        )
    with our_errors(path, "making new records"):
        return _connect(path)


def put_aside(path: Path) -> Path | None:
    """Rename the file and what SQLite keeps beside it; None if that cannot be done."""
    aside = private_files.put_aside(path)
    for side in _SIDES:
        with suppress(OSError):
            beside = path.with_name(path.name + side)
            beside.unlink() if aside is None else beside.rename(aside.with_name(aside.name + side))
    return aside


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, beside a gateway that writes. Raises RecordsError."""
    doing = "reading the records"
    if not path.is_file():
        raise RecordsError(path, doing, "there are none", "has the gateway read a profile yet?")
    with our_errors(path, doing):
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            # Without a gateway, and in a folder that we may not write, SQLite cannot make the
            # file that readers and writers share; but then there is no writer.
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
            try:
                connection.execute("PRAGMA busy_timeout = 5000")
                _check_ours(connection)
            except sqlite3.OperationalError:
                connection.close()
                if "immutable" in mode or path.with_name(path.name + "-wal").exists():
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                return connection
    raise AssertionError


def copy_records(path: Path, to: Path) -> int:
    """Copy the records beside whoever writes them, as they are between two transactions.

    Returns the version of the format. Raises RecordsError or another OSError.
    """
    os.close(private_files.create(to))
    with (
        closing(connect_to_read(path)) as source,
        our_errors(path, "copying the records"),
        closing(sqlite3.connect(to, isolation_level=None)) as copy,
    ):
        source.backup(copy)  # in one step: in steps, each commit would begin it anew
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without those beside it
        (version,) = copy.execute("PRAGMA user_version").fetchone()
        if to.stat().st_size <= _MOST_CHECKED:
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"malformed: {found}")
    return int(version)


def check_copy(path: Path) -> None:
    """Check that a file is one of records that this version can use. Raises RecordsError."""
    connect_to_read(path).close()


def _connect(path: Path) -> sqlite3.Connection:
    _make_private(path)
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        # A power cut may cost commits that were not synced since, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        connection.execute("PRAGMA temp_store = MEMORY")
        _make_tables(connection)
        if path.stat().st_size <= _MOST_CHECKED:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"malformed: {found}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            _fill(connection)
            with closing(connection.cursor()) as cursor:
                cursor.execute(f"PRAGMA application_id = {_APPLICATION}")
                cursor.execute(f"PRAGMA user_version = {VERSION}")
        _check_ours(connection)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fill(connection: sqlite3.Connection) -> None:
    with closing(connection.cursor()) as cursor:
        for statement in _SCHEMA.split(";\n"):
            cursor.execute(statement)


@cache
def _tables() -> frozenset[tuple[str, str]]:
    """Return the tables and indices of a new file, each with the statement that makes it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        _fill(new)
        return _found(new)


def _found(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    return frozenset(connection.execute("SELECT name, sql FROM sqlite_master"))


def _check_ours(connection: sqlite3.Connection) -> None:
    """Raise DatabaseError if the file is of another program, OperationalError if it is newer."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise sqlite3.DatabaseError("it is not a database of this connector")
    if version > VERSION:
        raise sqlite3.OperationalError(
            f"it was written by a newer version of the connector (format {version})"
        )
    if not _tables() <= _found(connection):
        raise sqlite3.DatabaseError("malformed: its tables are not those that were made")


def _make_private(path: Path) -> None:
    """Make the file readable by its owner only; SQLite makes those beside it like it."""
    private_files.make_folder(path.parent)
    descriptor = private_files.create_or_open(path)
    try:
        status = os.fstat(descriptor)
        if not path.is_file():
            raise OSError(EISDIR, "it is no regular file", str(path))
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        start = os.pread(descriptor, len(_MAGIC), 0)
    finally:
        os.close(descriptor)
    if start and start != _MAGIC:
        raise sqlite3.DatabaseError("it is not a database")
