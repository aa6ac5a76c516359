"""Selective access to a profile: by range and by entry (Blue Book, Profile generic)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from dlms_connector.simulator.encoding.data import (
    ARRAY,
    INT8,
    NULL,
    OCTETS,
    STRUCTURE,
    UINT16,
    UINT32,
    Data,
    array,
    structure,
)
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import fields, moments
from dlms_connector.simulator.objects.cosem_object import (
    OTHER_REASON,
    SCOPE_VIOLATED,
    TYPE_UNMATCHED,
    AccessError,
    Table,
)
from dlms_connector.simulator.services.odd_rows import odd_rows

BY_RANGE, BY_ENTRY = 1, 2
_KINDS = {BY_RANGE: "by-range", BY_ENTRY: "by-entry"}
_CLOCK = 8
LN_ASSOCIATION = 15


def read_rows(meter: Meter, table: Table, selector: int, parameters: Data) -> Data:
    """Return the rows of the buffer that a selector selects (0 = all); raises AccessError."""
    if selector in _KINDS:
        meter.seen[_KINDS[selector]] += 1
    times = table.times(meter)
    if "wrong-order" in meter.faults:
        times = times[::-1]
    columns = list(range(len(table.columns)))
    if selector == BY_RANGE and "no-range" not in meter.faults:
        times, columns = _by_range(meter, table, times, parameters)
    elif selector == BY_ENTRY and "no-entry" not in meter.faults:
        times, columns = _by_entry(times, columns, parameters)
    elif selector:
        raise AccessError(SCOPE_VIOLATED if selector in (BY_RANGE, BY_ENTRY) else OTHER_REASON)
    rows = odd_rows(meter, table, [table.row(meter, at) for at in times])
    return array(*(structure(*(row[column] for column in columns)) for row in rows))


def some_listed(meter: Meter, listed: Data, at: int, selector: int, parameters: Data) -> Data:
    """Return the entries of an object list that selective access gives; raises AccessError.

    By class (1), by class and logical name (2); the class is at index `at` of an entry.
    """
    if "whole-list-only" in meter.faults or selector not in (1, 2):
        raise AccessError(OTHER_REASON)
    if parameters.tag == ARRAY:  # class 15 takes several
        chosen = [entry.value if entry.tag == STRUCTURE else (entry,) for entry in parameters.value]
    else:
        chosen = [parameters.value if parameters.tag == STRUCTURE else (parameters,)]
    wanted = {tuple(part.value for part in one) for one in chosen}
    if any(len(one) != selector for one in wanted):
        raise AccessError(TYPE_UNMATCHED)
    return array(
        *(
            entry
            for entry in listed.value
            if (entry.value[at].value, entry.value[at + 2].value)[:selector] in wanted
        )
    )


def _by_entry(
    times: Sequence[float], columns: list[int], parameters: Data
) -> tuple[Sequence[float], list[int]]:
    first, last, first_column, last_column = fields(parameters, UINT32, UINT32, UINT16, UINT16)
    if not first or (last and last < first):
        raise AccessError(SCOPE_VIOLATED)
    chosen = times[first - 1 : last or len(times)]
    return chosen, columns[max(0, first_column - 1) : last_column or len(columns)]


def _by_range(
    meter: Meter, table: Table, times: Sequence[float], parameters: Data
) -> tuple[Sequence[float], list[int]]:
    if parameters.tag != STRUCTURE or len(parameters.value) != 4:
        raise AccessError(TYPE_UNMATCHED)
    restricting, lowest, highest, selected = parameters.value
    column = _column(table, restricting)
    if table.columns[column][0] == _CLOCK:
        chosen = _by_clock(meter, times, lowest, highest)
    else:
        chosen = _between(meter, table, column, (lowest, highest))
    if selected.tag not in (ARRAY, NULL):
        raise AccessError(TYPE_UNMATCHED)
    columns = sorted(_column(table, item) for item in selected.value or ())
    if "few-rows" in meter.faults:
        chosen = sorted(chosen)[: int(meter.faults["few-rows"])]
    return chosen, columns or list(range(len(table.columns)))


def _by_clock(meter: Meter, times: Sequence[float], lowest: Data, highest: Data) -> Sequence[float]:
    """Return the times within limits: by instants, or by local times for a meter that does so."""
    local = "local-range" in meter.faults
    read = moments.hands if local else moments.read
    begin, end = read(meter, lowest), read(meter, highest)
    if isinstance(times, range) and not local:  # a year of quarters is long
        first = 0 if begin is None else bisect_left(times, begin)
        return times[first : len(times) if end is None else bisect_right(times, end)]

    def compared(at: float) -> float:
        return at + moments.offset(meter, at) * 60 if local else at

    return [
        at
        for at in times
        if (begin is None or begin <= compared(at)) and (end is None or compared(at) <= end)
    ]


def _between(meter: Meter, table: Table, column: int, limits: tuple[Data, Data]) -> list[float]:
    """Return the times of rows whose value in a column lies within limits of the same type."""
    lowest, highest = limits
    found = []
    for at in table.times(meter):
        cell = table.row(meter, at)[column]
        if not cell.tag == lowest.tag == highest.tag:
            raise AccessError(TYPE_UNMATCHED)
        if lowest.value <= cell.value <= highest.value:
            found.append(at)
    return found


def _column(table: Table, reference: Data) -> int:
    column = fields(reference, UINT16, OCTETS, INT8, UINT16)
    try:
        return list(table.columns).index(column)
    except ValueError:
        raise AccessError(SCOPE_VIOLATED) from None
