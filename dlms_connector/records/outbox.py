"""The table of entries that are not confirmed yet. Within the caller's transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import simplejson

from dlms_connector.records.entry import Entry
from dlms_connector.records.tables import Sources

#: Bits of a number below the second at which counting began: more than are sent in a second.
_SHIFT = 20
#: Numbers stay below 2**53, up to which any JSON parser is exact.
_MOST_S = 1 << 32
#: Most numbers of one statement.
_AT_ONCE = 500
#: Types of values that come out of JSON as they went in.
_PLAIN = frozenset((str, int, float, bool, type(None)))
#: What a row needs in the file beside its values, about.
_ROW_BYTES = 64


@dataclass(frozen=True, slots=True)
class OutboxSize:
    """What waits for confirmation: entries and their octets, history and journal apart."""

    history_entries: int
    history_bytes: int
    journal_entries: int
    journal_bytes: int

    @property
    def entries(self) -> int:
        """All entries."""
        return self.history_entries + self.journal_entries

    @property
    def bytes(self) -> int:
        """Their octets."""
        return self.history_bytes + self.journal_bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """An entry that left the outbox."""

    source: int
    ts_ms: int
    journal: bool


def first_number(now_s: float) -> int:
    """Return the number to begin with at an instant.

    A file that was lost has used lower ones, and so have commits that a power cut has cost.
    """
    return min(max(0, int(now_s)), _MOST_S) << _SHIFT


def begin_numbers(connection: sqlite3.Connection, now_s: float) -> None:
    """Let numbers go on from an instant, if they are not beyond it."""
    connection.execute(
        "UPDATE meta SET value = max(value, ?) WHERE name = 'next'", (first_number(now_s),)
    )


def insert(
    connection: sqlite3.Connection, sources: Sources, entries: Sequence[Entry], *, journal: bool
) -> tuple[Entry, ...]:
    """Add entries; return them with their numbers."""
    (number,) = connection.execute("SELECT value FROM meta WHERE name = 'next'").fetchone()
    numbered, rows, size = [], [], 0
    for entry in entries:
        number += 1
        body = entry.body()
        size += len(body) + _ROW_BYTES
        source = sources.id_of(entry.source)
        rows.append((number, source, entry.device_type, entry.ts_ms, body, journal))
        if not all(type(value) in _PLAIN for value in entry.values.values()):
            # What is sent first is what would be sent after a restart.
            entry = replace(entry, values=simplejson.loads(body))
        numbered.append(replace(entry, number=number))
    connection.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'next'", (number,))
    _count(connection, len(rows), size, journal=journal)
    return tuple(numbered)


def replace_older(
    connection: sqlite3.Connection, source: int, entries: Sequence[Entry]
) -> Sequence[Entry]:
    """Remove pending entries of the same instants that say something else.

    Returns the entries that are not pending as they are: sent again later, an older one would
    overwrite a newer one.
    """
    if not entries:
        return entries
    instants = [entry.instant() for entry in entries]
    rows = connection.execute(
        "SELECT number, ts_ms, body FROM outbox WHERE journal = 0 AND source = ? "
        "AND ts_ms BETWEEN ? AND ?", (source, min(instants), max(instants)),
    ).fetchall()  # fmt: skip
    pending: dict[int, list[tuple[int, object]]] = {}
    for number, ts_ms, body in rows:
        pending.setdefault(ts_ms, []).append((number, simplejson.loads(body)))
    fresh: list[Entry] = []
    old: set[int] = set()
    for entry in entries:
        there = pending.get(entry.ts_ms, [])
        if any(values == dict(entry.values) for _, values in there):
            continue
        old.update(number for number, _ in there)
        fresh.append(entry)
    remove(connection, old)
    return fresh


def pending(
    connection: sqlite3.Connection,
    sources: Sources,
    after: int,
    limit: int,
    devices: Collection[str] | None,
) -> tuple[Entry, ...]:
    """Return entries with numbers above `after`, ascending."""
    result: list[Entry] = []
    wanted = None if devices is None else frozenset(devices)
    cursor = connection.execute(
        "SELECT number, source, device_type, ts_ms, body FROM outbox WHERE number > ? "
        "ORDER BY number", (after,),
    )  # fmt: skip
    for number, source_id, device_type, ts_ms, body in cursor:
        source = sources.of(source_id)
        if wanted is not None and source.device not in wanted:
            continue
        if len(result) >= limit:
            break
        result.append(Entry(source, device_type, ts_ms, simplejson.loads(body), number))
    cursor.close()
    return tuple(result)


def by_device(connection: sqlite3.Connection, sources: Sources) -> Mapping[str, int]:
    """Return how many entries wait of each device."""
    result: dict[str, int] = {}
    for source, count in connection.execute("SELECT source, count(*) FROM outbox GROUP BY source"):
        device = sources.of(source).device
        result[device] = result.get(device, 0) + count
    return result


def remove(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[Gone]:
    """Remove entries; return those that were there."""
    gone: list[Gone] = []
    for some in _chunks(sorted(set(numbers))):
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f"SELECT source, ts_ms, journal, length(CAST(body AS BLOB)) FROM outbox "  # noqa: S608
            f"WHERE number IN ({marks})", some,
        ).fetchall()  # fmt: skip
        connection.execute(f"DELETE FROM outbox WHERE number IN ({marks})", some)  # noqa: S608
        for journal in (False, True):
            sizes = [size + _ROW_BYTES for *_, kind, size in rows if bool(kind) == journal]
            _count(connection, -len(sizes), -sum(sizes), journal=journal)
        gone += [Gone(source, ts_ms, bool(journal)) for source, ts_ms, journal, _ in rows]
    return gone


def trim_journal(connection: sqlite3.Connection, oldest_ms: int, most_bytes: int) -> int:
    """Drop journal entries older than an instant, then the oldest until the rest fits."""
    old = connection.execute(
        "SELECT number FROM outbox WHERE journal = 1 AND ts_ms < ?", (oldest_ms,)
    ).fetchall()
    dropped = len(remove(connection, (number for (number,) in old)))
    over = size(connection).journal_bytes - most_bytes
    if over > 0:
        too_many = []
        for number, octets in connection.execute(
            "SELECT number, length(CAST(body AS BLOB)) FROM outbox WHERE journal = 1 "
            "ORDER BY ts_ms, number"
        ):
            too_many.append(number)
            over -= octets + _ROW_BYTES
            if over <= 0:
                break
        dropped += len(remove(connection, too_many))
    return dropped


def size(connection: sqlite3.Connection) -> OutboxSize:
    """Return what waits, from counters."""
    values = dict(connection.execute("SELECT name, value FROM meta"))
    return OutboxSize(
        values["history_entries"], values["history_bytes"],
        values["journal_entries"], values["journal_bytes"],
    )  # fmt: skip


def _count(connection: sqlite3.Connection, entries: int, octets: int, *, journal: bool) -> None:
    if not entries:
        return
    kind = "journal" if journal else "history"
    connection.executemany(
        "UPDATE meta SET value = value + ? WHERE name = ?",
        ((entries, f"{kind}_entries"), (octets, f"{kind}_bytes")),
    )


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), _AT_ONCE):
        yield numbers[first : first + _AT_ONCE]
