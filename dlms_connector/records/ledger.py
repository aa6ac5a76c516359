"""Reads the ledger: for the connector, and for commands beside a running gateway."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path

from dlms_connector.records import tables
from dlms_connector.records.completeness import DayCount, day_counts
from dlms_connector.records.entry import Source
from dlms_connector.records.examining import suspecting
from dlms_connector.records.failure import our_errors
from dlms_connector.records.opening import connect_to_read
from dlms_connector.records.tables import Sources


class Ledger:
    """The ledger of a file that somebody else writes. Raises sqlite3.Error, see `reading`."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection, self._clock = connection, clock
        self._sources = Sources(connection, 0)

    def sources(self, device: str | None = None) -> tuple[Source, ...]:
        """Return the profiles of which there are records."""
        return self._sources.all(device)

    def begins(self, source: Source) -> int | None:
        """Return the first instant of which something is known; None if nothing is."""
        number = self._sources.find(source)
        return None if number is None else tables.first_ms(self._connection, number)

    def completeness(
        self, source: Source, start_ms: int, end_ms: int, zone: tzinfo
    ) -> tuple[DayCount, ...]:
        """Count the intervals of each local day from an instant up to before another one."""
        self._connection.execute("BEGIN")  # one state of it, while the gateway goes on
        try:
            return counted(
                self._connection, self._sources, source, (start_ms, end_ms), zone,
                int(self._clock() * 1000),
            )  # fmt: skip
        finally:
            self._connection.execute("ROLLBACK")


@contextmanager
def reading(path: Path, clock: Callable[[], float] = time.time) -> Iterator[Ledger]:
    """Read a file of records beside a gateway that writes it. Raises RecordsError."""
    with (
        our_errors(path, "reading the records"),
        closing(connect_to_read(path)) as connection,
        suspecting(connection),
    ):
        yield Ledger(connection, clock)


def counted(
    connection: sqlite3.Connection,
    sources: Sources,
    source: Source,
    span: tuple[int, int],
    zone: tzinfo,
    now_ms: int,
) -> tuple[DayCount, ...]:
    """Count the intervals of each local day of a span. Within the caller's transaction."""
    number = sources.find(source)
    known = tables.load(connection, source, number, *span)
    states = {} if number is None else tables.moments(connection, number, *span)
    period_s = 0 if number is None else tables.period_of(connection, number)
    return day_counts(known, states, period_s, span, zone, now_ms)
