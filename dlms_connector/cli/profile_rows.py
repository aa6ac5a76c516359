"""Reads the rows of a profile slice by slice, and keeps what has come so far.

The first slice is small, for nobody knows how fast the meter is; then each is as large as fits into
a few seconds, so that progress is seen and a broken link costs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from functools import partial
from typing import TypeVar, cast

from dlms_connector.cli.sent import column_as_sent
from dlms_connector.config import ProfileColumn, prefixes
from dlms_connector.errors import LinkError
from dlms_connector.history import Held, ProfileRead, ProfileReader
from dlms_connector.interpret import options_of
from dlms_connector.meter import AnyMeter
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Reading, Value
from dlms_converters.columns import column_of

T = TypeVar("T")

#: Up to so many newest rows are asked for at once, by their place.
AT_ONCE = 100
#: Rows of the first slice and of the largest, and how many seconds a slice should take.
_FIRST, _LARGEST, _SECONDS = 24, 2000, 3.0
#: A slice is smaller by this after a broken link, and is asked for so often in all.
_SMALLER, _TRIES = 4, 3
#: When a read is broken off. A silent meter is noticed earlier, by the timeout for a reply.
_LIMIT_S = 300.0
#: What counts as one interval where rows come irregularly.
_IRREGULAR_S = 86_400
_DAY_MS = 86_400_000

Told = Callable[[float, int], None]


class RangeError(ValueError):
    """No row can be in a range: it is asked for wrongly."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is sent: its key, the captured object, and the unit of its numbers."""

    key: str
    obis: Obis
    attribute: int
    unit: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row: the instant in ms at which it is sent, its time in the meter's zone, its values."""

    ts_ms: int
    at: datetime
    values: Mapping[str, Value]
    suspect: frozenset[str] = frozenset()


@dataclass
class Rows:
    """The rows that have come so far; `complete` is true when all were read.

    `most` is the number of newest rows that are wanted, None if all are.
    """

    reader: ProfileReader
    complete: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)
    most: int | None = None
    _lines: dict[int, Line] = field(default_factory=dict)
    _settings: dict[str, ProfileColumn | None] = field(default_factory=dict)

    @property
    def lines(self) -> list[Line]:
        """The rows, oldest first; the newest ones if there are more than asked for."""
        lines = [self._lines[ts_ms] for ts_ms in sorted(self._lines)]
        return lines if self.most is None else lines[-self.most :]

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, read: ProfileRead) -> None:
        """Keep the rows of a slice."""
        values: dict[int, dict[str, Value]] = {ts_ms: {} for ts_ms in read.rows_ms}
        suspect: dict[int, set[str]] = {}
        for one in read.readings:
            values[one.ts_ms][one.key] = self._value(one)
            if one.quality != "good":
                suspect.setdefault(one.ts_ms, set()).add(one.key)
        zone = options_of(self.reader.device.dlms).zone
        for ts_ms, at in zip(read.rows_ms, read.times, strict=True):
            # The configured zone, else the one in which the meter wrote the row.
            local = at.astimezone(zone) if zone is not None else at
            flagged = frozenset(suspect.get(ts_ms, ()))
            self._lines[ts_ms] = Line(ts_ms, local, values[ts_ms], flagged)
        self.remarks.update(dict.fromkeys(read.remarks))

    def _value(self, reading: Reading) -> Value:
        if reading.key not in self._settings:
            profile, configured = self.reader.profile, self.reader.device.profiles
            begins = prefixes(configured if profile in configured else (profile,))
            self._settings[reading.key] = column_of(reading, (profile,), begins)
        value, unit = column_as_sent(reading, self._settings[reading.key])
        known = self.columns.get(reading.key)
        if known is None or (known.unit is None and unit is not None):
            self.columns[reading.key] = Column(reading.key, reading.obis, reading.attribute, unit)
        return value


class _Slices:
    """Reads one slice after the other, as large as the meter is fast."""

    def __init__(self, meter: AnyMeter, rows: Rows) -> None:
        self._meter, self._rows = meter, rows
        self._size = _FIRST
        #: Whether the slice before brought rows.
        self.came = True
        self._step_ms = (rows.reader.period_s or _IRREGULAR_S) * 1000

    def span_ms(self) -> int:
        """Return how long the next slice is, in ms of the profile."""
        return self._size * self._step_ms

    async def read(self, bounds: Callable[[int], tuple[int, int]]) -> tuple[int, int]:
        """Read the slice that `bounds` gives for a span; return its start and its end."""
        for left in reversed(range(_TRIES)):
            start, end = bounds(self.span_ms())
            begun, before = time.monotonic(), len(self._rows)
            try:
                read = await _ask(
                    self._meter, partial(self._rows.reader.read, start_ms=start, end_ms=end)
                )
            except LinkError:
                if not left:
                    raise
                self._size = max(1, self._size // _SMALLER)
                continue
            self._rows.take(read)
            self.came = len(self._rows) > before
            self._pace(time.monotonic() - begun)
            break
        return start, end

    def _pace(self, seconds: float) -> None:
        factor = min(4.0, max(0.25, _SECONDS / max(seconds, 0.001)))
        # A long time without rows is passed in few slices, however long it is.
        largest = _LARGEST if self.came else max(_LARGEST, self._size * 2)
        self._size = max(1, min(largest, int(self._size * factor)))


async def _ask(meter: AnyMeter, talk: Callable[[Client], Talk[T]]) -> T:
    return cast(T, await meter.run(talk, timeout_s=_LIMIT_S))


async def read_last(meter: AnyMeter, rows: Rows, count: int, told: Told) -> None:
    """Read the newest rows, at most `count`; `told` gets the part that is done and the rows.

    Raises DlmsError; what came before stays in `rows`.
    """
    rows.most = count
    held = await _ask(meter, rows.reader.held)
    if held.entries != 0:
        if held.newest_ms is None or not held.period_s or count <= AT_ONCE:
            rows.take(await _ask(meter, partial(rows.reader.newest, count=count)))
        else:
            await _read_backwards(meter, rows, min(count, held.entries or count), held, told)
    rows.complete = True
    told(1.0, len(rows))


async def _read_backwards(meter: AnyMeter, rows: Rows, count: int, held: Held, told: Told) -> None:
    assert held.newest_ms is not None
    slices = _Slices(meter, rows)
    # A row at the end belongs to the next slice, so the end lies behind the newest one.
    end, oldest = held.newest_ms + held.period_s * 1000, held.oldest_ms or 0
    while len(rows) < count and end > oldest:
        # After rows no more than are wanted; after a time without any, as far as is fast.
        left = (count - len(rows)) * held.period_s * 1000 if slices.came else None
        end, _ = await slices.read(partial(_before, end, left))
        told(min(1.0, len(rows) / count), min(len(rows), count))


async def read_range(
    meter: AnyMeter,
    rows: Rows,
    start: datetime,
    end: datetime | None,
    told: Told,
) -> None:
    """Read the rows captured from `start` up to before `end`, oldest first.

    Moments without a zone are in that of the meter's clock. Without an end, up to the newest row.
    Raises RangeError if it ends before it begins, and DlmsError; what came before stays in `rows`.
    """
    held = await _ask(meter, rows.reader.held)
    zone = rows.reader.zone or timezone.utc
    at, until = _ms(start, zone), _until_ms(end, zone, held)
    if end is not None and until <= at:
        raise RangeError("the range ends before it begins")
    if held.oldest_ms is not None:
        at = max(at, held.oldest_ms // 1000 * 1000)
    # Nobody captures rows in the far future; a clock may be wrong by some time.
    until = min(until, max(held.newest_ms or 0, time.time_ns() // 1_000_000) + _DAY_MS)
    first, slices = at, _Slices(meter, rows)
    while at < until and held.entries != 0:
        _, at = await slices.read(partial(_behind, at, until))
        told((at - first) / (until - first), len(rows))
    rows.complete = True
    told(1.0, len(rows))


def _before(end: int, most: int | None, span: int) -> tuple[int, int]:
    return end - (span if most is None else min(span, most)), end


def _behind(start: int, most: int, span: int) -> tuple[int, int]:
    return start, min(start + span, most)


def _until_ms(end: datetime | None, zone: tzinfo, held: Held) -> int:
    if end is not None:
        return _ms(end, zone)
    newest = held.newest_ms or time.time_ns() // 1_000_000
    return newest + 1000


def _ms(moment: datetime, zone: tzinfo) -> int:
    """Return a moment in ms since 1970, in whole seconds, as meters write instants."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return int(moment.timestamp()) * 1000
