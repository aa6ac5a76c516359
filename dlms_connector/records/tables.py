"""The tables of devices, their profiles, and what is known of rows.

Every function works within the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from dlms_connector.obis import Obis
from dlms_connector.records.days import DAY_MS, Day
from dlms_connector.records.entry import Source
from dlms_connector.records.known import Known

_SETS = ("sent", "confirmed", "empty", "asked", "absent", "refused")


class Sources:
    """The numbers of sources in the file; they never change while it is open."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._connection, self.now_ms = connection, now_ms
        self._ids: dict[Source, int] = {}
        self._sources: dict[int, Source] = {}

    def forget(self) -> None:
        """Forget the numbers: a transaction was undone, or sources were dropped."""
        self._ids.clear()
        self._sources.clear()

    def find(self, source: Source) -> int | None:
        """Return the number of a source, if it has one."""
        if source not in self._ids:
            row = self._connection.execute(
                "SELECT source.id FROM source JOIN device ON device.id = source.device "
                "WHERE device.name = ? AND profile = ?", (source.device, _text(source.profile)),
            ).fetchone()  # fmt: skip
            if row is None:
                return None
            self._ids[source], self._sources[row[0]] = row[0], source
        return self._ids[source]

    def id_of(self, source: Source) -> int:
        """Return the number of a source, which gets one if it has none."""
        if (found := self.find(source)) is not None:
            return found
        device = self.device(source.device)
        cursor = self._connection.execute(
            "INSERT INTO source (device, profile) VALUES (?, ?)", (device, _text(source.profile))
        )
        number = cursor.lastrowid or 0
        self._ids[source], self._sources[number] = number, source
        return number

    def device(self, name: str) -> int:
        """Return the number of a device, which gets one if it has none."""
        row = self._connection.execute("SELECT id FROM device WHERE name = ?", (name,)).fetchone()
        if row is None:
            cursor = self._connection.execute(
                "INSERT INTO device (name, seen_ms) VALUES (?, ?)", (name, self.now_ms)
            )
            return cursor.lastrowid or 0
        return int(row[0])

    def of(self, number: int) -> Source:
        """Return the source that has a number."""
        if number not in self._sources:
            name, profile = self._connection.execute(
                "SELECT device.name, profile FROM source JOIN device ON device.id = source.device "
                "WHERE source.id = ?", (number,),
            ).fetchone()  # fmt: skip
            source = Source(name, Obis.parse(profile) if profile else None)
            self._ids[source], self._sources[number] = number, source
        return self._sources[number]

    def all(self, device: str | None) -> tuple[Source, ...]:
        """Return the profiles of a device, or of all."""
        rows = self._connection.execute(
            "SELECT source.id FROM source JOIN device ON device.id = source.device "
            "WHERE profile != '' AND (?1 IS NULL OR name = ?1) ORDER BY name, profile", (device,),
        ).fetchall()  # fmt: skip
        return tuple(self.of(number) for (number,) in rows)


def load(
    connection: sqlite3.Connection, source: Source, number: int | None, start_ms: int, end_ms: int
) -> Known:
    """Return what is known of a source, with the days that have a part in a span."""
    if number is None:
        return Known(source)
    row = connection.execute(
        "SELECT opens, covered, newest_ms, read_to_ms, first_ms, since_ms, horizon_ms, serial "
        "FROM source JOIN device ON device.id = source.device WHERE source.id = ?", (number,),
    ).fetchone()  # fmt: skip
    opens, covered, newest_ms, read_to_ms, first_ms, since_ms, horizon_ms, serial = row
    days = load_days(connection, number, start_ms // DAY_MS, -(-end_ms // DAY_MS))
    return Known(
        source, days, tuple(json.loads(opens)),
        tuple((start, end) for start, end in json.loads(covered)),
        newest_ms, read_to_ms, first_ms, since_ms, horizon_ms, serial,
    )  # fmt: skip


def load_days(
    connection: sqlite3.Connection, number: int, first: int, after: int
) -> dict[tuple[int, int], Day]:
    """Return the sets of the UTC days from `first` up to before `after`."""
    return {
        (day, period): _day(sets, why)
        for day, period, *sets, why in connection.execute(
            f"SELECT day, period_s, {', '.join(_SETS)}, why FROM day "  # noqa: S608
            "WHERE source = ? AND day >= ? AND day < ?", (number, first, after),
        )
    }  # fmt: skip


def period_of(connection: sqlite3.Connection, number: int) -> int:
    """Return the capture period of a source in its latest slice; 0 if it has none."""
    row = connection.execute("SELECT period_s FROM source WHERE id = ?", (number,)).fetchone()
    return int(row[0])


def first_ms(connection: sqlite3.Connection, number: int) -> int | None:
    """Return the first instant of which something is known."""
    day, row_ms = connection.execute(
        "SELECT (SELECT min(day) FROM day WHERE source = ?1), "
        "(SELECT min(ts_ms) FROM moment WHERE source = ?1)", (number,),
    ).fetchone()  # fmt: skip
    known = [] if row_ms is None else [row_ms]
    if day is not None:
        for (utc_day, period_s), sets in load_days(connection, number, day, day + 1).items():
            slots = sets.done | sets.asked
            first = (slots & -slots).bit_length() - 1
            known.append(utc_day * DAY_MS + max(0, first) * period_s * 1000)
    return min(known, default=None)


def note_meter(connection: sqlite3.Connection, device: int, serial: str, now_ms: int) -> bool:
    """Note the identity of a device's meter; return whether it is another one than before.

    An identity is the OBIS code of its object and its value: of different objects it is the same
    meter, as far as one can tell.
    Then each profile of it begins anew after what was read: earlier rows of this meter are not of
    this place.
    """
    (known,) = connection.execute("SELECT serial FROM device WHERE id = ?", (device,)).fetchone()
    if known == serial:
        return False
    connection.execute("UPDATE device SET serial = ? WHERE id = ?", (serial, device))
    if known is None or known.split(" ")[0] != serial.split(" ")[0]:
        return False
    connection.execute(
        "UPDATE source SET opens = '[]', since_ms = "
        "min(read_to_ms, ?1) - min(read_to_ms, ?1) % (max(period_s, 1) * 1000) "
        "WHERE device = ?2 AND read_to_ms IS NOT NULL", (now_ms, device),
    )  # fmt: skip
    return True


def store_state(connection: sqlite3.Connection, number: int, known: Known, period_s: int) -> None:
    """Store what is known of a source, beside its days."""
    connection.execute(
        "UPDATE source SET period_s = ?, opens = ?, covered = ?, newest_ms = ?, read_to_ms = ?, "
        "since_ms = ?, horizon_ms = ?, first_ms = ? WHERE id = ?",
        (
            period_s, json.dumps(known.opens), json.dumps(known.covered), known.newest_ms,
            known.read_to_ms, known.since_ms, known.horizon_ms, known.first_ms,
            number,
        ),
    )  # fmt: skip


def store_days(
    connection: sqlite3.Connection, number: int, days: Mapping[tuple[int, int], Day]
) -> None:
    """Store the sets of some days."""
    connection.executemany(
        f"REPLACE INTO day (source, day, period_s, {', '.join(_SETS)}, why) "  # noqa: S608
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (number, *key, *(_blob(getattr(day, name)) for name in _SETS), day.why)
            for key, day in days.items()
        ),
    )


def moments(
    connection: sqlite3.Connection, number: int, start_ms: int, end_ms: int
) -> dict[int, str]:
    """Return the states of the rows of an irregular profile in a span."""
    return dict(
        connection.execute(
            "SELECT ts_ms, state FROM moment WHERE source = ? AND ts_ms >= ? AND ts_ms < ?",
            (number, start_ms, end_ms),
        )
    )


def store_moments(
    connection: sqlite3.Connection, number: int, states: Iterable[tuple[int, str]]
) -> None:
    """Store the states of rows of an irregular profile."""
    connection.executemany(
        "REPLACE INTO moment VALUES (?, ?, ?)", ((number, ts_ms, state) for ts_ms, state in states)
    )


def _day(sets: Sequence[bytes | None], why: str) -> Day:
    sent, confirmed, empty, asked, absent, refused = (_number(each) for each in sets)
    return Day(sent, confirmed, empty, asked, absent, refused, why)


def _text(profile: Obis | None) -> str:
    return str(profile) if profile else ""


def _blob(slots: int) -> bytes | None:
    return slots.to_bytes(-(-slots.bit_length() // 8), "little") if slots else None


def _number(blob: bytes | None) -> int:
    return int.from_bytes(blob or b"", "little")
