"""What happens to the file of records: crashes, damage, other users, full disks."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from dlms_connector.obis import Obis
from dlms_connector.records import (
    DAY_MS,
    Entry,
    Records,
    RecordsError,
    Slice,
    Source,
    alone,
    opening,
    reading,
)
from dlms_connector.records import records as records_module
from dlms_connector.records.opening import put_aside

_LOG = logging.getLogger(__name__)
_LOAD = Source("meter", Obis.parse("1-0:99.1.0"))
_Q, _START = 900_000, 20_000 * DAY_MS

#: Keeps and confirms without end, and says what is done.
_CHILD = """
import logging, sys
from pathlib import Path
from dlms_connector.obis import Obis
from dlms_connector.records import DAY_MS, Entry, Records, Slice, Source

records = Records.open(Path(sys.argv[1]), logging.getLogger())
source, start = Source("meter", Obis.parse("1-0:99.1.0")), int(sys.argv[2])
for day in range(1000):
    begin = start + day * DAY_MS
    rows = tuple(range(begin, begin + DAY_MS, 3_600_000))
    kept = records.keep(
        Slice(source, 3600, begin, begin + DAY_MS, rows),
        [Entry(source, "type", at, {"key": at}) for at in rows],
    )
    print("kept", *(entry.number for entry in kept), flush=True)
    done = [entry.number for entry in kept[:12]]
    records.confirmed(done)
    print("confirmed", *done, flush=True)
    records.journal([Entry(Source("meter"), "type", begin, {"a": 1})])
"""


def _kept(records: Records, count: int = 4) -> tuple[Entry, ...]:
    rows = tuple(_START + at * _Q for at in range(count))
    part = Slice(_LOAD, 900, _START, _START + count * _Q, rows)
    return records.keep(part, [Entry(_LOAD, "type", at, {"key": 1.5}) for at in rows])


def test_a_killed_process_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    kept: set[int] = set()
    confirmed: set[int] = set()
    chance = random.Random(9)
    for turn in range(12):
        start = _START + turn * 1000 * DAY_MS
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(path), str(start)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            _note(child.stdout.readline(), kept, confirmed)
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        for line in rest:
            _note(line, kept, confirmed)
        records = Records.open(path, _LOG)
        waiting = {entry.number for entry in records.pending(limit=100_000)}
        size = records.size()
        records.close()
        assert size.entries == len(waiting)
        # The last transaction may be done without having been told.
        assert len(kept - confirmed - waiting) <= 12
        kept &= waiting | confirmed
        assert not confirmed & waiting
    assert len(confirmed) > 100


def _note(line: str, kept: set[int], confirmed: set[int]) -> None:
    if line.endswith("\n"):  # a line that was cut off says nothing
        what, *numbers = line.split()
        (kept if what == "kept" else confirmed).update(map(int, numbers))


@pytest.mark.parametrize(
    "content",
    [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\0" + b"\7" * 5000],
)
def test_a_file_that_cannot_be_read_is_kept_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(content)
    records = Records.open(path, _LOG)
    assert len(_kept(records)) == 4
    records.close()
    assert (tmp_path / "records.sqlite.unreadable-1").read_bytes() == content
    assert "it is kept as records.sqlite.unreadable-1" in caplog.text
    assert len(caplog.records) == 1


def test_a_database_of_another_program_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (thing)")
    other.close()
    records = Records.open(path, _LOG)
    assert len(_kept(records)) == 4
    records.close()
    aside = sqlite3.connect(tmp_path / "records.sqlite.unreadable-1")
    assert aside.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    aside.close()


def test_a_truncated_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    records = Records.open(path, _LOG)
    _kept(records, 90)
    records.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    records = Records.open(path, _LOG)
    assert records.pending() == ()
    assert len(_kept(records)) == 4
    records.close()
    assert (tmp_path / "records.sqlite.unreadable-1").exists()


def test_an_empty_file_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.touch()
    records = Records.open(path, _LOG)
    assert len(_kept(records)) == 4
    records.close()


def test_damage_that_shows_later_is_told_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.sqlite"
    records = Records.open(path, _LOG)
    _kept(records)
    lost: list[bool] = []
    records.on_damage = lambda: lost.append(records.pending() == ())
    with pytest.raises(RecordsError, match="malformed"), records._transaction("trying"):
        raise sqlite3.DatabaseError("database disk image is malformed")
    assert "is damaged" in caplog.text
    assert lost == [True]
    assert len(_kept(records)) == 4
    records.close()


_SPOILS = {
    "a counter has another name": "UPDATE meta SET name = 'nexu' WHERE name = 'next'",
    "values are no JSON": "UPDATE outbox SET body = '{'",
    "values are no text": "UPDATE outbox SET body = CAST(X'7B22FF227D' AS TEXT)",
    "an instant is a text": "UPDATE outbox SET ts_ms = 'a'",
    "nobody has the rows": "UPDATE outbox SET source = 99",
    "a profile is no OBIS code": "UPDATE source SET profile = '1-0:99.x'",
    "spans are no pairs": "UPDATE source SET covered = '[[1]]'",
    "a period of nothing": "UPDATE day SET period_s = 0",
    "slots are a number": "UPDATE day SET sent = 7",
}


@pytest.mark.parametrize("spoil", _SPOILS)
def test_rows_that_nobody_has_written_are_damage(
    tmp_path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite reads them: without a look at them, no row would ever be delivered again."""
    path = tmp_path / "records.sqlite"
    records = Records.open(path, _LOG)
    _kept(records)
    records.close()
    with sqlite3.connect(path) as spoilt:
        spoilt.execute(_SPOILS[spoil])
    records = Records.open(path, _LOG)
    with pytest.raises(RecordsError, match=r"malformed|UTF-8"):
        _used(records)
    assert "is damaged" in caplog.text
    _used(records)
    records.close()
    assert len(list(tmp_path.glob("records.sqlite.unreadable-?"))) == 1


def _used(records: Records) -> None:
    _kept(records)
    numbers = [entry.number for entry in records.pending()]
    records.known(_LOAD)
    records.size()
    records.lost("meter")
    records.journal([Entry(Source("b"), "t", 1, {})])
    records.confirmed(numbers)
    records.missing(_LOAD, [_START])
    records.confirmed_instants(_LOAD, 0, 1 << 52, 900)


def test_a_fault_of_ours_is_no_damage(tmp_path: Path) -> None:
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    _kept(records)
    with pytest.raises(KeyError), records._transaction("trying"):
        raise KeyError("ours")
    assert len(records.pending()) == 4
    records.close()
    assert list(tmp_path.glob("*.unreadable-*")) == []


def test_who_reads_beside_a_gateway_is_told_of_rows_that_nobody_has_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "records.sqlite"
    records = Records.open(path, _LOG)
    _kept(records)
    records._connection.execute("UPDATE source SET profile = '1-0:99.x'")  # type: ignore[union-attr]
    with pytest.raises(RecordsError, match="malformed"), reading(path) as ledger:
        ledger.sources()
    records.close()


@pytest.mark.parametrize(
    "sql",
    ["replace(sql, 'ts_ms INTEGER', 'ts_mz INTEGER')", "CAST(sql || X'FF' AS TEXT)"],
    ids=["a column has another name", "it is no text"],
)
def test_tables_that_nobody_has_made_are_damage(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "records.sqlite"
    Records.open(path, _LOG).close()
    spoilt = sqlite3.connect(path, isolation_level=None)
    spoilt.execute("PRAGMA writable_schema = ON")
    spoilt.execute(f"UPDATE sqlite_master SET sql = {sql} WHERE name = 'outbox'")
    spoilt.close()
    records = Records.open(path, _LOG)
    assert len(_kept(records)) == 4
    records.close()
    assert (tmp_path / "records.sqlite.unreadable-1").exists()


def test_records_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    Records.open(path, _LOG).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(RecordsError, match="written by a newer version"):
        Records.open(path, _LOG)
    assert [each.name for each in tmp_path.glob("*unreadable*")] == []


def test_another_process_that_uses_the_records_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "WAIT_S", 0.0)
    monkeypatch.setattr(alone.take, "__defaults__", (0.0,))
    path = tmp_path / "records.sqlite"
    descriptor = os.open(tmp_path / "records.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(RecordsError, match=r"another process uses them; end the other"):
            Records.open(path, _LOG)
    finally:
        os.close(descriptor)
    Records.open(path, _LOG).close()


def test_connectors_of_one_process_share_the_records(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    first, second = Records.open(path, _LOG), Records.open(path, _LOG)
    _kept(first)
    assert len(second.pending()) == 4
    numbers = {entry.number for entry in second.journal([Entry(Source("b"), "t", 1, {})])}
    numbers |= {entry.number for entry in first.journal([Entry(Source("b"), "t", 2, {})])}
    assert len(numbers) == 2
    first.close()
    assert second.size().entries == 6
    second.close()


def test_a_connector_follows_when_another_one_keeps_the_file_aside(tmp_path: Path) -> None:
    """What is written to a file that was renamed would be lost with the next start."""
    path = tmp_path / "records.sqlite"
    first, second = Records.open(path, _LOG), Records.open(path, _LOG)

    def meets_damage() -> None:
        put_aside(path)
        _kept(first)
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(RecordsError, match="malformed"), second._transaction("trying"):
        meets_damage()
    assert len(list(tmp_path.glob("records.sqlite.unreadable-?"))) == 1
    assert len(second.pending()) == 4
    put_aside(path)
    second.journal([Entry(Source("b"), "t", 1, {})])
    first.close()
    second.close()
    again = Records.open(path, _LOG)
    assert again.size().journal_entries == 1
    again.close()


def test_threads_may_use_the_records_at_once(tmp_path: Path) -> None:
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for at in range(20):
                (entry,) = records.journal([Entry(Source(f"m{number}"), "t", at, {"v": at})])
                if at % 2:
                    records.confirmed([entry.number])
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert records.size().journal_entries == 40
    assert len(records.pending()) == 40
    records.close()


def test_a_full_disk_is_told_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    _kept(records)
    connection = records._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    many = [Entry(Source("meter"), "t", at, {"text": "x" * 500}) for at in range(200)]
    with pytest.raises(RecordsError, match=r"full; free some space"):
        records.journal(many)
    assert len(records.pending()) == 4
    connection.execute("PRAGMA max_page_count = 1000000")
    assert len(records.journal(many)) == 200
    records.close()


def test_a_disk_that_is_full_at_the_start_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as full:
        full.setattr(records_module, "connect", _no_room)
        records = Records.open(path, _LOG)
        with pytest.raises(RecordsError, match="No space left"):
            records.size()
    assert [one.levelname for one in caplog.records] == ["ERROR"]
    assert len(_kept(records)) == 4
    assert len(records.pending()) == 4
    records.close()


def _no_room(path: Path, log: logging.Logger) -> sqlite3.Connection:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    with pytest.raises(RecordsError, match="Permission denied"):
        Records.open(folder / "records.sqlite", _LOG)


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").mkdir()
    with pytest.raises(RecordsError, match="directory"):
        Records.open(tmp_path / "records.sqlite", _LOG)


def test_closing_does_not_wait_for_a_disk_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for it closes the file at last, and another gateway can have it."""
    monkeypatch.setattr(opening, "_BUSY_S", 600.0)
    path = tmp_path / "records.sqlite"
    records = Records.open(path, _LOG)
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    waiting = Thread(target=records.size)
    waiting.start()
    while records._lock.acquire(blocking=False):  # until the other thread has it
        records._lock.release()
        sleep(0.001)
    closing = Thread(target=records.close, args=(0.05,))
    closing.start()
    closing.join(60.0)
    ended = not closing.is_alive()
    blocker.execute("ROLLBACK")
    blocker.close()
    waiting.join(60.0)
    closing.join(60.0)
    assert ended
    with pytest.raises(RecordsError, match="closed"):
        records.size()
    Records.open(path, _LOG).close()
