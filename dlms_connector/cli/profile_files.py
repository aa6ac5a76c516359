"""Writes the rows of a profile: CSV, JSON, Parquet. Numbers keep all of their digits."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import simplejson

from dlms_connector.cli.profile_rows import Column, Line, Rows
from dlms_connector.cli.sent import plain
from dlms_connector.reading import Value

#: The most digits of a 128-bit decimal, and the range of a 64-bit integer, as Parquet has them.
_DIGITS, _INT64 = 38, 1 << 63


def needed(option: str, package: str, extra: str) -> None:
    """Raise BadParameter if the package behind an option is not installed."""
    if find_spec(package) is None:
        raise click.BadParameter(
            f"it needs {package}, which is not installed: "
            f"pip install 'thingsboard-dlms-connector[{extra}]'",
            param_hint=option,
        )


def writable(option: str, path: Path | None) -> None:
    """Raise BadParameter if the folder of a file is missing: before an hour of reading."""
    if path is not None and not path.resolve().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint=option)


def heading(column: Column) -> str:
    """Return the key of a column, and the unit of its numbers."""
    return f"{column.key} [{column.unit}]" if column.unit else column.key


def write_csv(path: Path, rows: Rows) -> None:
    """Write a line for each row: its time in the meter's zone, its instant in ms, its values."""
    columns = list(rows.columns.values())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "ts", *map(heading, columns), "suspect"])
        for line in rows.lines:
            cells = [plain(line.values.get(one.key)) for one in columns]
            doubtful = " ".join(sorted(line.suspect))
            writer.writerow([line.at.isoformat(), line.ts_ms, *cells, doubtful])


def as_json(rows: Rows) -> str:
    """Return the rows as one JSON object; decimals stay exact."""
    reader = rows.reader
    return str(simplejson.dumps(
        {
            "device": reader.device.device_name,
            "profile": str(reader.profile.obis),
            "periodSeconds": reader.period_s,
            "complete": rows.complete,
            "columns": [
                {"key": one.key, "obis": str(one.obis), "attribute": one.attribute,
                 "unit": one.unit}
                for one in rows.columns.values()
            ],
            "rows": [
                {"time": line.at.isoformat(), "ts": line.ts_ms, "values": dict(line.values)}
                | ({"suspect": sorted(line.suspect)} if line.suspect else {})
                for line in rows.lines
            ],
        },
        use_decimal=True, indent=2, ensure_ascii=False,
    ))  # fmt: skip


def write_parquet(path: Path, rows: Rows) -> None:
    """Write the rows with typed columns: instants in UTC, exact decimals, units as metadata."""
    import pyarrow
    from pyarrow import parquet

    lines = rows.lines
    fields = [
        pyarrow.field("ts", pyarrow.timestamp("ms", tz="UTC")),
        pyarrow.field("time", pyarrow.string()),
    ]
    data: list[Any] = [
        pyarrow.array([line.ts_ms for line in lines], fields[0].type),
        pyarrow.array([line.at.isoformat() for line in lines], fields[1].type),
    ]
    for one in rows.columns.values():
        kind, cells = _typed([line.values.get(one.key) for line in lines])
        about = {"obis": str(one.obis), "attribute": str(one.attribute), "unit": one.unit or ""}
        fields.append(pyarrow.field(one.key, kind, metadata=about))
        data.append(pyarrow.array(cells, kind))
    fields.append(pyarrow.field("suspect", pyarrow.list_(pyarrow.string())))
    data.append(pyarrow.array([sorted(line.suspect) for line in lines], fields[-1].type))
    about = {
        "device": rows.reader.device.device_name,
        "profile": str(rows.reader.profile.obis),
        "complete": str(rows.complete).lower(),
    }
    schema = pyarrow.schema(fields, metadata=about)
    parquet.write_table(pyarrow.Table.from_arrays(data, schema=schema), path)


def _typed(cells: Sequence[Value]) -> tuple[Any, Sequence[Any]]:
    """Return the type that holds all cells exactly, and the cells in it; text if none does."""
    import pyarrow

    told = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, bool) for cell in told):
        return pyarrow.bool_() if told else pyarrow.string(), cells
    numbers = [
        cell for cell in told if isinstance(cell, int | Decimal) and not isinstance(cell, bool)
    ]
    if len(numbers) == len(told):
        if all(isinstance(cell, int) and -_INT64 <= cell < _INT64 for cell in numbers):
            return pyarrow.int64(), cells
        decimals = [Decimal(cell) for cell in numbers]
        if all(cell.is_finite() for cell in decimals):
            scale = max(0, *(-int(cell.as_tuple().exponent) for cell in decimals))
            digits = max(cell.adjusted() + 1 for cell in decimals) + scale
            if max(digits, scale) <= _DIGITS:
                kind = pyarrow.decimal128(max(digits, scale, 1), scale)
                return kind, [
                    cell if cell is None else Decimal(cell)  # type: ignore[arg-type]
                    for cell in cells
                ]
    return pyarrow.string(), [None if cell is None else plain(cell) for cell in cells]


def numbers_of(lines: Sequence[Line], key: str) -> list[tuple[Line, float]]:
    """Return the rows with a number in a column, for a plot: there a float is exact enough."""
    found = []
    for line in lines:
        value = line.values.get(key)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            found.append((line, float(value)))
    return found
