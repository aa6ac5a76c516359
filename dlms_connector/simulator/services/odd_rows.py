"""Rows of a profile that a meter with a fault writes otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from dlms_connector.simulator.encoding.data import (
    DELTA32,
    NOTHING,
    UINT32,
    Data,
    octets,
    structure,
)
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects.cosem_object import Table

_REGISTER, _SCALER = 3, 3

Rows = Sequence[tuple[Data, ...]]


def odd_rows(meter: Meter, table: Table, rows: Rows) -> Rows:
    """Return rows with all their columns as the meter's faults write them."""
    for fault, change in _CHANGES.items():
        if fault in meter.faults:
            rows = change(meter, table, rows)
    return rows


def _without_times(_meter: Meter, _table: Table, rows: Rows) -> Rows:
    return [(row if index == 0 else (NOTHING, *row[1:])) for index, row in enumerate(rows)]


def _differences(_meter: Meter, _table: Table, rows: Rows) -> Rows:
    changed = list(rows[:1])
    for before, row in pairwise(rows):
        changed.append(
            tuple(
                Data(DELTA32, cell.value - known.value) if cell.tag == UINT32 else cell
                for known, cell in zip(before, row, strict=True)
            )
        )
    return changed


def _whole_objects(meter: Meter, table: Table, rows: Rows) -> Rows:
    def whole(column: tuple[int, bytes, int, int], cell: Data) -> Data:
        class_id, name, _, _ = column
        if class_id != _REGISTER:
            return cell
        return structure(octets(name), cell, meter.value(class_id, name, _SCALER))

    return [tuple(map(whole, table.columns, row)) for row in rows]


_CHANGES: Mapping[str, Callable[[Meter, Table, Rows], Rows]] = {
    "compressed-rows": _without_times,
    "delta-rows": _differences,
    "whole-objects": _whole_objects,
}
