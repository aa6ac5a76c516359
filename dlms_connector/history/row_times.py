"""The times of a profile's rows, from the cells of the column that holds them.

Most profiles capture a clock (class 8). Others capture a date-time as plain data, such as the time
stamp of a billing period. Rows may leave their time out: it follows from the capture period and
the row before, or after.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from dlms_connector.history.pace import Pace
from dlms_connector.interpret import Options, aware, moment_of, of_unix_time
from dlms_connector.protocol.data import DELTAS, Data, DataType
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk

#: The time of a row takes as long as so many other cells.
_CELLS = 2

#: A cell with an unknown value. Null-data would mean the value of the row before.
NOTHING = Data(DataType.DONT_CARE)


def expanded(cell: Data, before: Data) -> Data:
    """Undo the compression of rows (IEC 62056-5-3): null-data repeats the value of the row before.

    A delta type is the difference from that value; without such a number the cell is unknown.
    """
    if cell.type is DataType.NULL:
        return before
    if cell.type not in DELTAS:
        return cell
    known = isinstance(before.value, int) and not isinstance(before.value, bool)
    return Data(before.type, before.value + cell.value) if known else NOTHING


def instants(
    cells: Sequence[Data], period_s: int, options: Options, *, newest_first: bool
) -> Talk[list[datetime | None]]:
    """Return the capture times of rows in buffer order; None where nothing tells the time.

    The loop serves others meanwhile.
    Where the rows themselves show their order, it counts more than `newest_first`.
    """
    cells = [time_in(cell) for cell in cells]
    clocks, pace = _expanded(cells), Pace()
    empty: list[bool] = []
    alone: list[datetime | None] = []
    for cell, clock in zip(cells, clocks, strict=True):
        empty.append(_is_empty(cell))
        alone.append(_instant(clock, options))
        if pace.is_due(_CELLS):
            yield Breath()
    known = [at.timestamp() for at in alone if at is not None]
    if known and known[0] != known[-1]:
        newest_first = known[0] > known[-1]
    step_s = -period_s if newest_first else period_s
    times: list[datetime | None] = []
    for clock, at, left_out in zip(clocks, alone, empty, strict=True):
        before = times[-1] if times else None
        if left_out:
            times.append(_later(before, step_s))
        elif at is not None and before is not None and not _tells_season(clock):
            times.append(_in_order(at, before, newest_first=newest_first))
        else:
            times.append(at)
        if pace.is_due(_CELLS):
            yield Breath()
    for index in reversed(range(len(times) - 1)):
        if times[index] is None and empty[index]:
            times[index] = _later(times[index + 1], -step_s)
    return times


def _expanded(cells: Sequence[Data]) -> list[Data]:
    """Undo deltas; null-data stays: for a clock it means one period on, not the same time."""
    clocks: list[Data] = []
    for cell in cells:
        before = clocks[-1] if clocks else NOTHING
        clocks.append(cell if cell.type is DataType.NULL else expanded(cell, before))
    return clocks


def time_in(cell: Data) -> Data:
    """Return the time in a cell that may hold the whole clock object, after its logical name."""
    whole = cell.type is DataType.STRUCTURE and len(cell.value) > 1
    return cell.value[1] if whole else cell


def _is_empty(clock: Data) -> bool:
    """Whether a cell leaves the time out: null, nothing, or a date-time without any field."""
    if clock.value is None or clock.value == b"":
        return True
    moment = moment_of(clock)
    return moment is not None and moment.unspecified


def _tells_season(clock: Data) -> bool:
    """Whether a clock tells which one of the repeated hours in autumn it means."""
    moment = moment_of(clock)
    return moment is None or moment.deviation is not None or moment.status is not None


def _instant(clock: Data, options: Options) -> datetime | None:
    moment = moment_of(clock)
    if moment is not None:
        found = moment.instant(options.zone, from_utc=options.from_utc)
        return None if found is None else aware(found, options)
    number = isinstance(clock.value, int) and not isinstance(clock.value, bool)
    return of_unix_time(clock.value) if number else None


def _later(before: datetime | None, seconds: int) -> datetime | None:
    """Return the time one period on; None if that is not known or beyond all calendars."""
    if before is None or not seconds:
        return None
    try:
        # In UTC: local time skips or repeats an hour at DST changes.
        later = before.astimezone(timezone.utc) + timedelta(seconds=seconds)
        return later.astimezone(before.tzinfo)
    except OverflowError:
        return None


def _in_order(found: datetime, before: datetime, *, newest_first: bool) -> datetime:
    """Choose the first or second of the repeated hours in autumn, by the row before."""
    second = found.replace(fold=1)
    if second.utcoffset() == found.utcoffset():
        return found
    if newest_first:
        return second if second.timestamp() < before.timestamp() else found
    return second if found.timestamp() <= before.timestamp() else found
