"""A fleet's configuration for several gateways: what each of them gets, as it stood.

Nothing is looked up, and nothing is written anew but which devices are there: references to secrets
stay references, and a row of a table stays as somebody wrote it.
"""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.config import document, fleet_file
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.keys import DEVICES_FILE
from dlms_connector.config.placement import Placement, listening
from dlms_connector.config.shown import shown
from dlms_connector.config.templates import Templates
from dlms_connector.errors import ConfigError
from dlms_connector.sharing import owner


@dataclass(frozen=True, slots=True)
class Row:
    """A device as it stands in the document or in its table, and the unit that it belongs to.

    `name` is that of its place if it has none of its own. `raw` is the object, or the lines of the
    table. `readable`: whether its connection could be read, so that the unit is certain.
    """

    name: str
    unit: str
    raw: Any
    in_table: bool
    readable: bool


@dataclass(frozen=True)
class Files:
    """What one gateway gets: texts by the path within its configuration's folder."""

    devices: tuple[str, ...]
    texts: Mapping[str, str]


class FleetDocument:
    """A configuration that can be shared out. Raises ConfigError if it is none."""

    def __init__(self, path: Path) -> None:
        raw = document.parse(document.read(path))
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{path}: expected an object with `devices`, got {shown(raw)}")
        if document.too_deep(raw):
            raise ConfigError(f"{path}: nested too deeply; dlms-connector check {path} tells where")
        self._file_name = path.name
        self._raw: dict[str, Any] = dict(raw)
        name = raw.get(DEVICES_FILE)
        self._table = name if isinstance(name, str) and name else None
        self._heading = ""
        found = [*self._found(path.resolve().parent)]
        placement = Placement(Templates(self._raw), *listening(raw.get("push")))
        for layer, _ in found:
            if layer.values:
                placement.add(layer)
        self.rows = tuple(_row(layer, raw_row, placement) for layer, raw_row in found)

    def owners(self, weights: Sequence[float]) -> tuple[int, ...]:
        """Return the gateway of each row."""
        known: dict[str, int] = {}
        for row in self.rows:
            if row.unit not in known:
                known[row.unit] = owner(row.unit, weights)
        return tuple(known[row.unit] for row in self.rows)

    def files(self, weights: Sequence[float]) -> Iterator[Files]:
        """Yield what each gateway gets."""
        owners = self.owners(weights)
        listens = owner(Placement.LISTENERS, weights)
        for number in range(len(weights)):
            ours = [row for row, who in zip(self.rows, owners, strict=True) if who == number]
            own = copy.copy(self._raw)
            own.pop("shard", None)
            if listens != number:
                own.pop("push", None)
            if "devices" in own or self._table is None:
                own["devices"] = [row.raw for row in ours if not row.in_table]
            texts = {self._file_name: json.dumps(own, indent=2, ensure_ascii=False) + "\n"}
            if self._table is not None:
                lines = "".join(row.raw for row in ours if row.in_table)
                texts[self._table] = self._heading + lines
            yield Files(tuple(row.name for row in ours), texts)

    def _found(self, base: Path) -> Iterator[tuple[Layer, Any]]:
        """Yield the keys of each device, none if they cannot be told, with what stands there."""
        devices = self._raw.get("devices")
        for index, values in enumerate(devices if isinstance(devices, list) else ()):
            place = Place(f"devices[{index}]")
            yield Layer(place, values if isinstance(values, dict) else {}), values
        if self._table is None:
            return
        rows = tuple(fleet_file.rows(self._table, base))  # first: it tells whether it is a table
        lines = _records(document.read(base / self._table))
        self._heading = next(lines, "")
        for row, text in zip(rows, lines, strict=True):
            yield (row if isinstance(row, Layer) else Layer(row.place, {})), text


def _row(layer: Layer, raw: Any, placement: Placement) -> Row:
    name = layer.values.get("deviceName")
    named = name if isinstance(name, str) and name else layer.place.path
    unit = placement.of(layer) if layer.values else layer.place.path
    readable = bool(layer.values) and placement.reads(layer)
    return Row(named, unit, raw, layer.place.columns, readable)


def _records(text: str) -> Iterator[str]:
    """Yield the rows of a table as they are written, without blank ones; the heading is first."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines, delimiter=fleet_file.delimiter_of(text), strict=True)
    begun = 0
    for number, cells in enumerate(reader):
        record = "".join(lines[begun : reader.line_num])
        begun = reader.line_num
        if number == 0 or any(cell.strip() for cell in cells):
            yield record if record.endswith(("\n", "\r")) else record + "\n"
