"""Keeps the file bounded: old days and devices that are gone are dropped."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from dlms_connector.records.days import DAY_MS
from dlms_connector.records.outbox import remove

#: Days of the ledger that are kept, and days for which a device that is no longer configured is.
_MOST_DAYS, _MOST_UNSEEN = 800, 90
#: A clock that jumped ahead must not make everything old: so far beyond what was seen it counts.
_ROW_MARGIN_MS, _SEEN_MARGIN_MS = 31 * DAY_MS, 2 * DAY_MS


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped: days of the ledger, devices, and entries that waited of those."""

    days: int = 0
    devices: tuple[str, ...] = ()
    entries: int = 0


def tidy(connection: sqlite3.Connection, devices: Collection[str], now_ms: int) -> Dropped:
    """Note which devices are configured, and drop what is too old."""
    (seen_ms,) = connection.execute("SELECT max(seen_ms) FROM device").fetchone()
    (newest_ms,) = connection.execute("SELECT max(newest_ms) FROM source").fetchone()
    connection.executemany(
        "UPDATE device SET seen_ms = ? WHERE name = ?", ((now_ms, name) for name in devices)
    )
    oldest_ms = min(now_ms, (newest_ms or 0) + _ROW_MARGIN_MS) - _MOST_DAYS * DAY_MS
    # By source: the tables are in that order, and have millions of rows in a large fleet.
    everyone = connection.execute("SELECT id FROM source").fetchall()
    days = connection.executemany(
        "DELETE FROM day WHERE source = ? AND day < ?",
        [(number, oldest_ms // DAY_MS) for (number,) in everyone],
    ).rowcount
    connection.executemany(
        "DELETE FROM moment WHERE source = ? AND ts_ms < ?",
        [(number, oldest_ms) for (number,) in everyone],
    )
    limit_ms = min(now_ms, (seen_ms or 0) + _SEEN_MARGIN_MS) - _MOST_UNSEEN * DAY_MS
    gone = connection.execute(
        "SELECT id, name FROM device WHERE seen_ms < ? ORDER BY name", (limit_ms,)
    ).fetchall()
    entries = sum(_drop(connection, number) for number, _ in gone)
    return Dropped(max(days, 0), tuple(name for _, name in gone), entries)


def _drop(connection: sqlite3.Connection, device: int) -> int:
    """Drop a device with all that is known of it; return how many entries waited."""
    numbers = connection.execute(
        "SELECT number FROM outbox WHERE source IN (SELECT id FROM source WHERE device = ?)",
        (device,),
    ).fetchall()
    waited = len(remove(connection, (number for (number,) in numbers)))
    for table in ("day", "moment"):
        connection.execute(
            f"DELETE FROM {table} WHERE source IN "  # noqa: S608
            "(SELECT id FROM source WHERE device = ?)", (device,),
        )  # fmt: skip
    connection.execute("DELETE FROM source WHERE device = ?", (device,))
    connection.execute("DELETE FROM device WHERE id = ?", (device,))
    return waited
