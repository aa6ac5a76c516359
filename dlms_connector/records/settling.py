"""What becomes of intervals when their entries leave the outbox, or turn out to be lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Literal

from dlms_connector.records.days import DAY_MS, Day, runs
from dlms_connector.records.entry import Source
from dlms_connector.records.known import cleared, without
from dlms_connector.records.outbox import Gone
from dlms_connector.records.tables import (
    Sources,
    load,
    load_days,
    moments,
    period_of,
    store_days,
    store_moments,
    store_state,
)

#: Longest reason that is kept of a refusal.
_MOST_WHY = 200
#: Beyond any instant.
_EVER_MS = 1 << 52


def settle(
    connection: sqlite3.Connection,
    gone: Iterable[Gone],
    state: Literal["confirmed", "refused"],
    why: str = "",
) -> None:
    """Mark the intervals of entries that left the outbox.

    An interval of which another entry still waits stays as it is.
    """
    by_day: dict[tuple[int, int], set[int]] = {}
    for one in gone:
        if not one.journal:
            by_day.setdefault((one.source, one.ts_ms // DAY_MS), set()).add(one.ts_ms)
    for (source, utc_day), instants in by_day.items():
        waiting = _waiting(connection, source, utc_day)
        days = load_days(connection, source, utc_day, utc_day + 1)
        changed, rest = {}, set(instants)
        for key, day in days.items():
            period = key[1] * 1000
            bits = _bits(instants, period) & day.sent
            rest -= {ts_ms for ts_ms in rest if bits & _bits((ts_ms,), period)}
            if bits := bits & ~_bits(waiting, period):
                changed[key] = _moved(day, bits, state, why)
        store_days(connection, source, changed)
        known = moments(connection, source, min(rest), max(rest) + 1) if rest else {}
        sent = [(ts_ms, state) for ts_ms in rest - waiting if known.get(ts_ms) == "sent"]
        store_moments(connection, source, sent)


def lose(
    connection: sqlite3.Connection, sources: Sources, number: int, instants: Collection[int]
) -> int:
    """Forget that intervals were sent, unless entries of them wait; return how many."""
    lost = 0
    by_day: dict[int, set[int]] = {}
    for ts_ms in instants:
        by_day.setdefault(ts_ms // DAY_MS, set()).add(ts_ms)
    known = load(connection, sources.of(number), number, 0, 0)
    for utc_day, those in by_day.items():
        waiting = _waiting(connection, number, utc_day)
        changed = {}
        for key, day in load_days(connection, number, utc_day, utc_day + 1).items():
            period = key[1] * 1000
            bits = _bits(those, period) & (day.sent | day.confirmed) & ~_bits(waiting, period)
            if bits:
                lost += bits.bit_count()
                changed[key] = cleared(day, bits)
                slots = {ts_ms // period for ts_ms in those}
                opens = tuple(at for at in known.opens if at // period not in slots)
                known = replace(known, opens=opens)
        store_days(connection, number, changed)
        states = moments(connection, number, min(those), max(those) + 1)
        rows = [
            ts_ms for ts_ms in sorted(those - waiting)
            if states.get(ts_ms) in ("sent", "confirmed")
        ]  # fmt: skip
        connection.executemany(
            "DELETE FROM moment WHERE source = ? AND ts_ms = ?", ((number, at) for at in rows)
        )
        holes = tuple((ts_ms, ts_ms + 1) for ts_ms in rows)
        known = replace(known, covered=without(known.covered, holes))
        lost += len(rows)
    store_state(connection, number, known, period_of(connection, number))
    return lost


def lose_all(connection: sqlite3.Connection, sources: Sources, device: str) -> dict[Source, int]:
    """Forget all that was sent of a device, as `lose` does; return how many by profile."""
    found: dict[Source, int] = {}
    for source in sources.all(device):
        number = sources.find(source)
        if number is None or source.profile is None:
            continue
        given = _given(connection, number)
        if given and (count := lose(connection, sources, number, given)):
            found[source] = count
    return found


def _given(connection: sqlite3.Connection, number: int) -> set[int]:
    """Return the instants of all rows of a source that were sent."""
    states = moments(connection, number, 0, _EVER_MS)
    found = {ts_ms for ts_ms, state in states.items() if state in ("sent", "confirmed")}
    for (utc_day, period_s), day in load_days(connection, number, 0, _EVER_MS).items():
        for first, after in runs(day.sent | day.confirmed):
            found.update(utc_day * DAY_MS + at * period_s * 1000 for at in range(first, after))
    return found


def _moved(day: Day, bits: int, state: Literal["confirmed", "refused"], why: str) -> Day:
    rest = cleared(day, bits)
    if state == "confirmed":
        return replace(rest, confirmed=rest.confirmed | bits)
    return replace(rest, refused=rest.refused | bits, why=why[:_MOST_WHY])


def _waiting(connection: sqlite3.Connection, source: int, utc_day: int) -> set[int]:
    """Return the instants of a UTC day of which entries wait."""
    rows = connection.execute(
        "SELECT ts_ms FROM outbox WHERE journal = 0 AND source = ? AND ts_ms >= ? AND ts_ms < ?",
        (source, utc_day * DAY_MS, (utc_day + 1) * DAY_MS),
    )
    return {ts_ms for (ts_ms,) in rows}


def _bits(instants: Iterable[int], period: int) -> int:
    """Return the slots of instants of one UTC day."""
    result = 0
    for ts_ms in instants:
        result |= 1 << ts_ms % DAY_MS // period
    return result
