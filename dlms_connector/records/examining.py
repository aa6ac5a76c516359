"""Tells whether the tables hold what this connector writes.

SQLite reads a file with wrong octets in it, as long as its pages hang together. What such a row
leads to is any error; then all tables are looked at, to tell damage from a fault of ours.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlms_connector.obis import Obis
from dlms_connector.records.days import grid
from dlms_connector.records.entry import EntryError

#: What a row that makes no sense may lead to.
_CONSEQUENCES = (
    sqlite3.IntegrityError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
#: Beyond any instant in ms, and any day since 1970.
_EVER_MS, _EVER_DAYS = 1 << 52, 1 << 26
_NUMBERS = frozenset(
    ("next", "history_entries", "history_bytes", "journal_entries", "journal_bytes")
)

Check = Callable[[Any], bool]


@contextmanager
def suspecting(connection: sqlite3.Connection) -> Iterator[None]:
    """Turn an error into SQLite's of a damaged file, if what the file holds makes no sense."""
    try:
        yield
    except EntryError:
        raise
    except _CONSEQUENCES as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # what this one has written is not looked at
        if (wrong := nonsense(connection)) is not None:
            raise sqlite3.DatabaseError(f"malformed: {wrong}") from error
        raise


def nonsense(connection: sqlite3.Connection) -> str | None:
    """Return what no version has written, None if there is nothing. Reads the whole file."""
    for table, columns in _COLUMNS.items():
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608
        for row in rows:
            for value, (name, makes_sense) in zip(row, columns.items(), strict=True):
                if not makes_sense(value):
                    return f"{table}.{name} is {str(value)[:60]!r}"
    if (lost := connection.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        return f"a row of {lost[0]} belongs to no {lost[2]}"
    numbers = dict(connection.execute("SELECT name, value FROM meta"))
    if numbers.keys() != _NUMBERS:
        return f"meta has {', '.join(sorted(numbers))[:60]!r}"
    (last,) = connection.execute("SELECT max(number) FROM outbox").fetchone()
    return "a number will come twice" if (last or 0) > numbers["next"] else None


def _whole(most: int) -> Check:
    return lambda value: isinstance(value, int) and 0 <= value < most


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _instant(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < _EVER_MS


def _profile(value: Any) -> bool:
    return value == "" or (_text(value) and _is(Obis.parse, value))


def _slots(value: Any) -> bool:
    return value is None or isinstance(value, bytes)


def _is(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json(fits: Check) -> Check:
    def check(value: Any) -> bool:
        return _text(value) and _is(json.loads, value) and fits(json.loads(value))

    return check


def _instants(value: Any) -> bool:
    return isinstance(value, list) and all(map(_instant, value))


def _spans(value: Any) -> bool:
    return isinstance(value, list) and all(_instants(one) and len(one) == 2 for one in value)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


_COLUMNS: Mapping[str, Mapping[str, Check]] = {
    "meta": {"name": _text, "value": _whole(1 << 62)},
    "device": {"name": _text, "serial": _or_none(_text), "seen_ms": _instant},
    "source": {
        "profile": _profile, "period_s": _whole(1 << 32), "first_ms": _or_none(_instant),
        "newest_ms": _or_none(_instant), "read_to_ms": _or_none(_instant),
        "since_ms": _or_none(_instant), "horizon_ms": _or_none(_instant),
        "opens": _json(_instants), "covered": _json(_spans),
    },
    "outbox": {
        "number": _whole(1 << 62), "device_type": _text, "ts_ms": _instant,
        "body": _json(lambda value: isinstance(value, dict)), "journal": _whole(2),
    },
    "day": {
        "day": _whole(_EVER_DAYS),
        "period_s": lambda value: isinstance(value, int) and grid(value) > 0,
        "sent": _slots, "confirmed": _slots, "empty": _slots, "asked": _slots, "absent": _slots,
        "refused": _slots, "why": _text,
    },
    "moment": {"ts_ms": _instant, "state": _text},
}  # fmt: skip
