"""Fleets: a table with one meter per row and a column per key path.

The columns are key paths such as `deviceName`, `connection.host` or `dlms.password`. An
empty cell is ignored. The delimiter is comma, semicolon or tab: the one that is most
frequent in the first line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.config import document
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.shown import shown
from dlms_connector.errors import ConfigError

_DELIMITERS = ",;\t"
#: The csv module has a limit of its own, but one for the whole process, and others read tables too.
_LONGEST_CELL = 65_536


@dataclass(frozen=True)
class OutOfStep:
    """A row with more or fewer cells than there are columns.

    A secret may stand in any of its cells, so none of them is used, not even as a name.
    """

    place: Place
    cells: int
    columns: int

    def __str__(self) -> str:
        return (
            f"{self.place.path}: has {self.cells} cells for {self.columns} columns; "
            "a cell is missing, or a delimiter is not quoted"
        )


def rows(name: str, base: Path) -> Iterator[Layer | OutOfStep]:
    """Yield one layer per row of a table in the folder of the configuration.

    Raises ConfigError if the table as a whole cannot be used.
    """
    path = _confined(name, base)
    text = document.read(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        _check(columns, name)
        for cells in reader:
            if any(len(cell) > _LONGEST_CELL for cell in cells):
                raise csv.Error(f"a cell has more than {_LONGEST_CELL} characters")
            if any(cell.strip() for cell in cells):
                yield _layer(columns, cells, Place(f"{name} line {reader.line_num}", columns=True))
    except csv.Error as error:
        raise ConfigError(f"{name} line {reader.line_num}: not a table: {error}") from None


def delimiter_of(text: str) -> str:
    """Return what separates the cells of a table: what is most frequent in its first line."""
    return max(_DELIMITERS, key=text.partition("\n")[0].count)


def _confined(name: str, base: Path) -> Path:
    """Return the path of the table, which must be in the configuration's folder.

    A configuration from the platform must not give access to other files.
    """
    root = base.resolve()
    try:
        path = (root / name).resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError):
        raise ConfigError(f"devicesFile: {shown(name)} is not the name of a file") from None
    if not path.is_relative_to(root):
        raise ConfigError(f"devicesFile: {shown(name)} does not lie in the configuration's folder")
    if not there:
        raise ConfigError(
            f"devicesFile: there is no file {shown(name)} in the configuration's folder"
        )
    return path


def _check(columns: list[str], name: str) -> None:
    if "deviceName" not in columns:
        # The first line may be a meter, so no cell is shown: one of them may be a password.
        raise ConfigError(
            f"{name} line 1: expected key paths such as connection.host, among them deviceName"
        )
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise ConfigError(f"{name} line 1: twice: {', '.join(twice)}")
    for column in columns:
        if any(other.startswith(column + ".") for other in columns):
            raise ConfigError(f"{name} line 1: {column} is there whole and in parts")


def _layer(columns: list[str], cells: list[str], place: Place) -> Layer | OutOfStep:
    if len(cells) != len(columns):
        return OutOfStep(place, len(cells), len(columns))
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not (text := cell.strip()) or not column:
            continue
        *parents, last = column.split(".")
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = _value(text) if parents[:1] != ["dlms"] else text
    return Layer(place, values)


def _value(text: str) -> Any:
    """Return a cell's text, or the list or object that it holds."""
    if text[0] in "[{":
        try:
            return document.parse(text)
        except ConfigError:
            return text
    return text
