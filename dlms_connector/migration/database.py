"""Reads the bridge's SQLite database, of which several versions are in use.

Later versions added columns, so each column may be missing. Nothing is ever written to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from dlms_connector.config import Secret
from dlms_connector.migration.bridge import (
    CLIENT,
    PORT,
    SAMPLING_S,
    SERVER,
    Bridge,
    MigrationError,
    OldMeasurement,
    OldMeter,
)

METERS, MEASUREMENTS = "meters", "meter_configs"

#: Most rows of a table that are read: the bridge had a thread and a client for each meter.
_MOST_ROWS = 20_000

#: Columns by table, and what happens without them.
WITHOUT: Mapping[str, Mapping[str, str]] = {
    METERS: {
        "id": "meters are numbered as they come",
        "name": "the name on the platform is taken",
        "ip_address": "no meter can be taken over",
        "port": f"{PORT} is taken, as the bridge did",
        "client_id": f"client address {CLIENT} is taken, as the bridge did",
        "server_id": f"physical address {SERVER} is taken, as the bridge did",
        "status": "it is only shown",
        "password": "the bridge's program holds the password of the meters",
        "model": "the maker is taken from the objects that were read",
        "tb_enabled": "all meters are taken over",
        "tb_host": "it is only shown",
        "tb_port": "it is taken that the meters publish to the gateway's broker",
        "tb_token": "it is taken that the meters publish without a token",
        "tb_device_name": "the meter's own name is taken",
    },
    MEASUREMENTS: {
        "meter_id": "no measurement can be given to its meter",
        "measurement_name": "the key on the platform is taken",
        "obis_code": "the objects that the bridge read for these names are taken",
        "enabled": "all measurements are taken over",
        "sampling_interval": f"{SAMPLING_S:g} s is taken, as the bridge did",
        "tb_key": "the name of the measurement is taken",
    },
}  # fmt: skip

#: Names under which versions of the bridge, or their users, keep a meter's password.
_PASSWORDS = ("password", "dlms_password")


def read_bridge(path: Path) -> Bridge:
    """Read the meters of a bridge's `admin.db`. Raises MigrationError."""
    if not path.is_file():
        raise MigrationError(f"{path}: there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return _read(path, database)
    except sqlite3.Error as error:
        raise MigrationError(f"{path}: cannot be read as a SQLite database: {error}") from None


def _read(path: Path, database: sqlite3.Connection) -> Bridge:
    tables = {table: _columns(database, table) for table in WITHOUT}
    if not tables[METERS]:
        raise MigrationError(f"{path}: has no table `{METERS}`: it is not the bridge's database")
    notes = [note for table, columns in tables.items() for note in _missing(table, columns)]
    measured: dict[int, list[OldMeasurement]] = {}
    if "meter_id" in tables[MEASUREMENTS]:
        for row in _rows(database, MEASUREMENTS):
            number, measurement = _integer(row.get("meter_id")), _measurement(row)
            if number is not None and measurement is not None:
                measured.setdefault(number, []).append(measurement)
            else:
                notes.append(
                    f"a row of `{MEASUREMENTS}` names no meter or no measurement: left out"
                )
    meters = []
    for count, row in enumerate(_rows(database, METERS), 1):
        number = _integer(row.get("id")) or count
        meters.append(_meter(number, row, measured.pop(number, ())))
    notes += [f"`{MEASUREMENTS}` has measurements of meter {number}, which `{METERS}` does not "
              "have: left out" for number in sorted(measured)]  # fmt: skip
    return Bridge(meters=tuple(meters), notes=tuple(dict.fromkeys(notes)))


def _columns(database: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[1] for row in database.execute(f"PRAGMA table_info({table})"))


def _missing(table: str, columns: frozenset[str]) -> Iterable[str]:
    if not columns:
        yield f"the table `{table}` is missing: no measurement is known"
        return
    for column, consequence in WITHOUT[table].items():
        if column == "password" and columns.intersection(_PASSWORDS):
            continue
        if column not in columns:
            yield f"the column `{table}.{column}` is missing: {consequence}"


def _rows(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    # Ordered as the bridge saw them: of two meters under one name, the first one counts.
    rows = database.execute(f"SELECT * FROM {table} ORDER BY rowid LIMIT {_MOST_ROWS + 1}")  # noqa: S608 - our own names
    found = [dict(row) for row in rows]
    if len(found) > _MOST_ROWS:
        raise MigrationError(f"`{table}` has more than {_MOST_ROWS} rows: it is not the bridge's")
    return found


def _meter(number: int, row: Mapping[str, Any], measured: Iterable[OldMeasurement]) -> OldMeter:
    device = _text(row.get("tb_device_name"))
    passwords = (_text(row.get(column)) for column in _PASSWORDS)
    return OldMeter(
        id=number,
        name=_text(row.get("name")) or device or f"meter-{number}",
        host=_text(row.get("ip_address")),
        port=_integer(row.get("port")),
        client_id=_integer(row.get("client_id")),
        server_id=_integer(row.get("server_id")),
        status=_text(row.get("status")),
        model=_text(row.get("model")),
        password=_secret(next(filter(None, passwords), None)),
        tb_enabled=_yes(row.get("tb_enabled")),
        tb_host=_text(row.get("tb_host")),
        tb_port=_integer(row.get("tb_port")),
        tb_token=_secret(_text(row.get("tb_token"))),
        tb_device_name=device,
        measurements=tuple(measured),
    )


def _measurement(row: Mapping[str, Any]) -> OldMeasurement | None:
    key = _text(row.get("tb_key"))
    name = _text(row.get("measurement_name")) or key
    if name is None:
        return None
    return OldMeasurement(
        name=name,
        obis=_text(row.get("obis_code")),
        enabled=_yes(row.get("enabled")),
        sampling_s=_number(row.get("sampling_interval")),
        tb_key=key,
    )


def _text(value: object) -> str | None:
    """Return a text without blanks around it; SQLite keeps any type in any column."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:g}" if isinstance(value, float) else str(value)
    return (value.strip() or None) if isinstance(value, str) else None


def _secret(text: str | None) -> Secret | None:
    return Secret(text.encode()) if text else None


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _integer(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _yes(value: object) -> bool:
    """Whether a column of truth values says yes, which it also does by saying nothing."""
    return str(value).strip().lower() not in ("0", "0.0", "false", "no", "off")
