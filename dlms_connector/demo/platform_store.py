"""Data of the platform stand-in: telemetry by device, key and timestamp, and attributes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import simplejson

#: As on the platform: client attributes come from devices, shared ones go to them.
Scope = Literal["client", "shared"]


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a time series; `value` has exact decimals, `ts` is Unix time in ms."""

    device: str
    key: str
    ts: int
    value: Any


def _text(value: Any) -> str:
    return str(simplejson.dumps(value, use_decimal=True))


def _value(text: str) -> Any:
    return simplejson.loads(text, use_decimal=True)


class Store:
    """A SQLite database, in memory unless a path is given."""

    def __init__(self, path: str = ":memory:") -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._ids: dict[str, str] = {}
        self._db.executescript(
            """
            PRAGMA synchronous = OFF;
            CREATE TABLE IF NOT EXISTS device (name TEXT PRIMARY KEY, type TEXT);
            CREATE TABLE IF NOT EXISTS telemetry (
                device TEXT, key TEXT, ts INTEGER, value TEXT,
                PRIMARY KEY (device, key, ts)
            ) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS attribute (
                device TEXT, scope TEXT, key TEXT, value TEXT,
                PRIMARY KEY (device, scope, key)
            ) WITHOUT ROWID;
            """
        )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def add_device(self, name: str, device_type: str) -> None:
        """Store a device; the type of a device that exists does not change."""
        self._db.execute("INSERT OR IGNORE INTO device VALUES (?, ?)", (name, device_type))

    def has_device(self, name: str) -> bool:
        """Whether there is a device."""
        found = self._db.execute("SELECT 1 FROM device WHERE name = ?", (name,)).fetchone()
        return found is not None

    def delete_device(self, name: str) -> None:
        """Delete a device with its data."""
        for table, column in (("device", "name"), ("telemetry", "device"), ("attribute", "device")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608
        self._ids.pop(name, None)

    def device_id(self, name: str) -> str:
        """Return the id of a device: another one after it was deleted and created anew."""
        return self._ids.setdefault(name, str(uuid4()))

    def device_of(self, number: str) -> str | None:
        """Return the device with an id, if there is one."""
        return next((name for name, one in self._ids.items() if one == number), None)

    def devices(self) -> dict[str, str]:
        """Return the type of each device."""
        return dict(self._db.execute("SELECT name, type FROM device"))

    def add_telemetry(self, device: str, ts: int, values: Mapping[str, Any]) -> None:
        """Store values; an older value of the same device, key and timestamp is replaced."""
        rows = [(device, key, ts, _text(value)) for key, value in values.items()]
        self._db.executemany("INSERT OR REPLACE INTO telemetry VALUES (?, ?, ?, ?)", rows)

    def telemetry(self, device: str, key: str) -> list[Point]:
        """Return a time series in the order of time."""
        rows = self._db.execute(
            "SELECT ts, value FROM telemetry WHERE device = ? AND key = ? ORDER BY ts",
            (device, key),
        )
        return [Point(device, key, ts, _value(value)) for ts, value in rows]

    def latest(self) -> list[Point]:
        """Return the last value of every time series."""
        rows = self._db.execute(
            "SELECT device, key, max(ts), value FROM telemetry "
            "GROUP BY device, key ORDER BY device, key"
        )
        return [Point(device, key, ts, _value(value)) for device, key, ts, value in rows]

    def instants(self, key: str) -> dict[str, list[int]]:
        """Return when each device that has a time series has values of it, in order."""
        rows = self._db.execute(
            "SELECT device, ts FROM telemetry WHERE key = ? ORDER BY device, ts", (key,)
        )
        found: dict[str, list[int]] = {}
        for device, ts in rows:
            found.setdefault(device, []).append(ts)
        return found

    def devices_with(self, key: str) -> int:
        """Return how many devices have values of a time series."""
        query = "SELECT count(DISTINCT device) FROM telemetry WHERE key = ?"
        (count,) = self._db.execute(query, (key,)).fetchone()
        return int(count)

    def count(self) -> int:
        """Return the number of telemetry values."""
        (count,) = self._db.execute("SELECT count(*) FROM telemetry").fetchone()
        return int(count)

    def set_attributes(self, device: str, scope: Scope, values: Mapping[str, Any]) -> None:
        """Store attributes."""
        rows = [(device, scope, key, _text(value)) for key, value in values.items()]
        self._db.executemany("INSERT OR REPLACE INTO attribute VALUES (?, ?, ?, ?)", rows)

    def delete_attributes(self, device: str, scope: Scope, keys: Iterable[str]) -> None:
        """Delete attributes."""
        self._db.executemany(
            "DELETE FROM attribute WHERE device = ? AND scope = ? AND key = ?",
            [(device, scope, key) for key in keys],
        )

    def attributes(self, device: str, scope: Scope = "client") -> dict[str, Any]:
        """Return the attributes of a device."""
        rows = self._db.execute(
            "SELECT key, value FROM attribute WHERE device = ? AND scope = ?", (device, scope)
        )
        return {key: _value(value) for key, value in rows}
