"""The records of one gateway: what was read, what waits for confirmation, and what is certain."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import tzinfo
from errno import EIO
from logging import Logger
from pathlib import Path
from threading import RLock
from time import monotonic

from dlms_connector.records import alone, housekeeping, outbox, tables
from dlms_connector.records.completeness import DayCount
from dlms_connector.records.days import DAY_MS, grid, runs
from dlms_connector.records.entry import Entry, Slice, Source
from dlms_connector.records.examining import suspecting
from dlms_connector.records.failure import RecordsError, is_damage, our_errors
from dlms_connector.records.housekeeping import Dropped
from dlms_connector.records.known import CLOCK_IS_SET_MS, Known
from dlms_connector.records.ledger import counted
from dlms_connector.records.opening import connect, put_aside
from dlms_connector.records.outbox import OutboxSize
from dlms_connector.records.settling import lose, lose_all, settle
from dlms_connector.records.tables import Sources
from dlms_connector.state import private_files

#: Beyond any instant.
_EVER_MS = 1 << 52
#: Seconds of transactions that a power cut may cost.
_SYNC_S = 10.0
#: States of rows that are not to be sent again.
_GIVEN = ("sent", "confirmed", "refused")


class Records:
    """The file of records. Thread-safe; any method may wait for the disk.

    Each method is one transaction: after a crash all of it is there, or nothing. A power cut may
    cost those of the last ten seconds, so that rows are read, and entries sent, once more; but not
    those that note an exchanged meter or what the platform lacks, nor those before. Every method
    raises RecordsError if the file cannot be used; then it has done nothing.
    """

    #: The numbers of sources in the present connection.
    _sources: Sources

    def __init__(self, path: Path, log: Logger, clock: Callable[[], float]) -> None:
        self._path, self._log, self._clock = path, log, clock
        self._connection: sqlite3.Connection | None = None
        self._lock = RLock()
        self._inode: int | None = None
        self._held: Path | None = None
        self._closing = False
        #: When the next transaction is synced, by the monotonic clock.
        self._sync_at = 0.0
        #: Called, in any thread, when the file was lost while in use: nothing is known any more.
        self.on_damage: Callable[[], None] = lambda: None

    @classmethod
    def open(cls, path: Path, log: Logger, *, clock: Callable[[], float] = time.time) -> Records:
        """Open the records, made if there are none.

        A file that cannot be read is kept aside, told in the log, and made anew. Where the disk
        is full or broken that is told too, and each method tries again. Raises RecordsError if
        another process uses the file, or if there can be none.
        """
        records = cls(path, log, clock)
        try:
            with records._transaction("opening the records", wait_s=alone.WAIT_S):
                pass
        except RecordsError as error:
            if not error.is_passing:
                records.close()
                raise
            log.error("%s; it is tried again until that succeeds", error)
        except BaseException:
            records.close()
            raise
        return records

    def close(self, within_s: float = 1.0) -> None:
        """Close the file; afterwards every method raises RecordsError.

        Who still waits for the disk after `within_s` closes it then: a gateway that ends does not
        wait for a card that does not answer.
        """
        self._closing = True
        if self._lock.acquire(timeout=within_s):
            try:
                self._close()
            finally:
                self._lock.release()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        held, self._held = self._held, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        if held is not None:
            alone.give_back(held)

    def keep(self, part: Slice, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Put the entries of a slice into the outbox, and note that it was read.

        Returns those that are new there, with their numbers: they are to be sent. Rows that were
        entered before, and that a wider slice reads again, are not entered again; an entry that
        waits and says something else of the same instant is replaced.
        """
        with self._transaction(f"keeping rows of {_named(part.source)}") as connection:
            number = self._sources.id_of(part.source)
            known = tables.load(connection, part.source, number, part.start_ms, part.end_ms)
            inside = {each.ts_ms for each in entries if part.start_ms <= each.ts_ms < part.end_ms}
            part = replace(part, rows_ms=tuple(sorted({*part.rows_ms, *inside})))
            after, fresh = known.after(part, inside)
            if after.first_ms is None and self._sources.now_ms >= CLOCK_IS_SET_MS:
                after = replace(after, first_ms=self._sources.now_ms)
            if not grid(part.period_s):
                fresh = self._keep_moments(connection, number, part, inside)
            new = [each for each in entries if each.ts_ms in fresh or each.ts_ms not in inside]
            new = list(outbox.replace_older(connection, number, new))
            changed = {
                key: day for key, day in after.days.items() if day is not known.days.get(key)
            }
            tables.store_days(connection, number, changed)
            tables.store_state(connection, number, after, part.period_s)
            return outbox.insert(connection, self._sources, new, journal=False)

    def journal(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Put polled readings into the outbox; return them with their numbers."""
        with self._transaction("keeping polled readings") as connection:
            return outbox.insert(connection, self._sources, entries, journal=True)

    def pending(
        self, after: int = 0, limit: int = 1000, devices: Collection[str] | None = None
    ) -> tuple[Entry, ...]:
        """Return entries that wait, with numbers above `after`, ascending; of some devices only."""
        with self._transaction("reading what waits") as connection:
            return outbox.pending(connection, self._sources, after, limit, devices)

    def devices_pending(self) -> Mapping[str, int]:
        """Return how many entries wait of each device."""
        with self._transaction("counting what waits") as connection:
            return outbox.by_device(connection, self._sources)

    def confirmed(self, numbers: Iterable[int]) -> int:
        """Note that the platform has stored entries; return how many of them waited."""
        with self._transaction("noting what is confirmed") as connection:
            gone = outbox.remove(connection, numbers)
            settle(connection, gone, "confirmed")
            return len(gone)

    def released(self, numbers: Iterable[int]) -> int:
        """Let entries go without proof; return how many waited. Their rows stay sent."""
        with self._transaction("noting what leaves without proof") as connection:
            return len(outbox.remove(connection, numbers))

    def refused(self, numbers: Iterable[int], reason: str) -> int:
        """Note that the platform takes entries never; return how many of them waited."""
        with self._transaction("noting what is refused") as connection:
            gone = outbox.remove(connection, numbers)
            settle(connection, gone, "refused", reason)
            return len(gone)

    def trim(self, *, oldest_ms: int, most_bytes: int) -> int:
        """Drop journal entries that are older or too many; return how many."""
        with self._transaction("dropping old readings") as connection:
            return outbox.trim_journal(connection, oldest_ms, most_bytes)

    def size(self) -> OutboxSize:
        """Return how much waits."""
        with self._transaction("counting what waits") as connection:
            return outbox.size(connection)

    def known(self, source: Source, from_ms: int = 0) -> Known:
        """Return what is known of a profile, with its days from an instant on."""
        with self._transaction(f"reading the ledger of {_named(source)}") as connection:
            number = self._sources.find(source)
            return tables.load(connection, source, number, from_ms, _EVER_MS)

    def noted(self, device: str, serial: str, now_ms: int) -> bool:
        """Note which meter answers for a device; return whether it is another one than before.

        `serial` is the OBIS code of an object with its identity, a blank, and the identity.
        Then what was not read of the former one is not asked of this one.
        """
        with self._transaction(f"noting the meter of {device}", sure=True) as connection:
            return tables.note_meter(connection, self._sources.device(device), serial, now_ms)

    def held_from(self, source: Source, oldest_ms: int) -> None:
        """Note the oldest instant of which the meter still holds rows."""
        with self._transaction(f"noting what {_named(source)} holds") as connection:
            connection.execute(
                "UPDATE source SET horizon_ms = ? WHERE id = ?",
                (oldest_ms, self._sources.id_of(source)),
            )

    def missing(self, source: Source, instants: Iterable[int]) -> int:
        """Note that the platform lacks intervals after all, so that they are read again.

        Returns how many those are: not those of which entries wait.
        """
        with self._transaction(f"noting what lacks of {_named(source)}", sure=True) as connection:
            number = self._sources.find(source)
            if number is None:
                return 0
            return lose(connection, self._sources, number, frozenset(instants))

    def lost(self, device: str) -> Mapping[Source, int]:
        """Note that the platform has nothing of a device any more, so that it is read again.

        Returns how many intervals of which profiles those are: not those of which entries wait.
        """
        with self._transaction(f"noting that {device} was deleted", sure=True) as connection:
            return lose_all(connection, self._sources, device)

    def confirmed_instants(
        self, source: Source, start_ms: int, end_ms: int, period_s: int
    ) -> tuple[int, ...]:
        """Return the starts of confirmed intervals, or the instants of irregular rows."""
        with self._transaction(f"reading the ledger of {_named(source)}") as connection:
            number = self._sources.find(source)
            if number is None:
                return ()
            known = tables.load(connection, source, number, start_ms, end_ms)
            states = tables.moments(connection, number, start_ms, end_ms)
        found = {ts_ms for ts_ms, state in states.items() if state == "confirmed"}
        for (utc_day, period), day in known.days.items():
            if period == period_s:
                for first, after in runs(day.confirmed):
                    found.update(
                        utc_day * DAY_MS + at * period * 1000 for at in range(first, after)
                    )
        return tuple(sorted(ts_ms for ts_ms in found if start_ms <= ts_ms < end_ms))

    def completeness(
        self, source: Source, start_ms: int, end_ms: int, zone: tzinfo
    ) -> tuple[DayCount, ...]:
        """Count the intervals of each local day from an instant up to before another one."""
        with self._transaction(f"reading the ledger of {_named(source)}") as connection:
            return counted(
                connection, self._sources, source, (start_ms, end_ms), zone, self._now_ms()
            )

    def sources(self, device: str | None = None) -> tuple[Source, ...]:
        """Return the profiles of which there are records."""
        with self._transaction("reading the ledger"):
            return self._sources.all(device)

    def tidy(self, devices: Collection[str], now_ms: int) -> Dropped:
        """Note which devices are configured; drop what is too old. Call it once a day."""
        with self._transaction("dropping what is too old") as connection:
            dropped = housekeeping.tidy(connection, devices, now_ms)
            self._sources.forget()
            return dropped

    def _keep_moments(
        self, connection: sqlite3.Connection, number: int, part: Slice, sent_ms: Collection[int]
    ) -> frozenset[int]:
        """Note the rows of an irregular profile; return the instants of those to be sent."""
        states = tables.moments(connection, number, part.start_ms, part.end_ms)
        given = {ts_ms for ts_ms, state in states.items() if state in _GIVEN}
        fresh = frozenset(ts_ms for ts_ms in sent_ms if ts_ms not in given)
        inside = {at for at in part.rows_ms if part.start_ms <= at < part.end_ms}
        tables.store_moments(
            connection, number,
            ((at, "sent" if at in fresh else "empty") for at in inside if at not in given),
        )  # fmt: skip
        return fresh

    @contextmanager
    def _transaction(
        self, doing: str, wait_s: float = 0.0, *, sure: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """Do something wholly or not at all. Raises RecordsError.

        Another process may need `wait_s` until it lets go of the file. What is `sure` outlives a
        power cut.
        """
        with self._lock, self._ending(), our_errors(self._path, doing):
            if self._closing:
                raise RecordsError(self._path, doing, "the records are closed")
            connection = self._present(wait_s)
            self._sources.now_ms = self._now_ms()
            syncs, before = sure or monotonic() >= self._sync_at, connection.total_changes
            try:
                connection.execute(f"PRAGMA synchronous = {'FULL' if syncs else 'NORMAL'}")
                connection.execute("BEGIN IMMEDIATE")
                with suspecting(connection):
                    yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                self._sources.forget()
                if is_damage(error):
                    self._begin_anew(connection, error)
                raise
            if syncs and connection.total_changes != before:  # else there was nothing to sync
                self._sync_at = monotonic() + _SYNC_S

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Close at the end what was to be closed meanwhile."""
        try:
            yield
        finally:
            if self._closing:
                self._close()

    def _begin_anew(self, connection: sqlite3.Connection, damage: BaseException) -> None:
        """Keep a file aside that was found damaged while it was used, and let a new one be made."""
        with suppress(sqlite3.Error):
            connection.close()
        self._connection = None
        if _inode(self._path) == self._inode:  # else another connector has done so already
            aside = put_aside(self._path)
            kept = f"; it is kept as {aside.name}" if aside else ""
            self._log.error(
                "%s is damaged (%s): what it said of sent intervals is lost, they are read and "
                "sent again%s", self._path, damage, kept,
            )  # fmt: skip
        self.on_damage()

    def _present(self, wait_s: float) -> sqlite3.Connection:
        """Return the connection; a new one if there is none, or the file is another than it was.

        Another connector of this process has kept a damaged one aside, or somebody removed it:
        what is written to that one would be lost.
        """
        connection = self._connection
        if connection is not None and _inode(self._path) == self._inode:
            return connection
        self._connection = None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        with _system_errors(self._path):
            if self._held is None:
                private_files.make_folder(self._path.parent)
                self._held = alone.take(self._path, wait_s)
            opened = connect(self._path, self._log)
        try:
            outbox.begin_numbers(opened, self._clock())
        except BaseException:
            opened.close()
            raise
        self._connection, self._sources = opened, Sources(opened, self._now_ms())
        self._inode = _inode(self._path)
        if connection is not None:  # else it is told already, or was not known before
            self.on_damage()
        return opened

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


@contextmanager
def _system_errors(path: Path) -> Iterator[None]:
    """Say of the operating system's errors what was done."""
    try:
        yield
    except RecordsError:
        raise
    except OSError as error:
        raise RecordsError(
            path, "opening the records", error.strerror or str(error), code=error.errno or EIO
        ) from error


def _inode(path: Path) -> int | None:
    """Return what tells the file from another one in its place; None if there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _named(source: Source) -> str:
    return f"{source.device} {source.profile or 'polled readings'}"
