"""Entries, and the slices of a profile they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import simplejson

from dlms_connector.obis import Obis

#: Instants that the file can hold.
_INSTANTS = range(-(1 << 63), 1 << 63)


class EntryError(ValueError):
    """An entry that cannot be kept: a value that JSON has not, or no instant."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whose entries: a profile of a device, or its polled readings if `profile` is None."""

    device: str
    profile: Obis | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The values of a device at one instant, as they are sent: ready for JSON.

    The platform stores by device, key and `ts_ms`, so an entry may be sent again. `number` is
    its number in the outbox, 0 before it has one.
    """

    source: Source
    device_type: str
    ts_ms: int
    values: Mapping[str, Any]
    number: int = 0

    @property
    def is_writable(self) -> bool:
        """Whether it can be kept: `body` raises nothing."""
        try:
            self.body()
        except EntryError:
            return False
        return True

    def instant(self) -> int:
        """Return the instant. Raises EntryError if the file cannot hold it."""
        if self.ts_ms not in _INSTANTS:
            raise EntryError(f"{self.source.device}: {self.ts_ms} ms is no instant")
        return self.ts_ms

    def body(self) -> str:
        """Return the values as JSON. Raises EntryError; a user's own converter may yield anything.

        What is read from it is what was written: floats in their shortest form.
        """
        self.instant()
        try:
            return str(simplejson.dumps(dict(self.values), use_decimal=True, separators=(",", ":")))
        except (TypeError, ValueError, RecursionError) as error:
            keys = ", ".join(map(str, self.values))[:100]
            raise EntryError(f"{self.source.device}: values of {keys}: {error}") from error


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of a profile that was read to its end: from `start_ms`, up to before `end_ms`.

    `period_s` is the capture period, 0 where rows come irregularly. `rows_ms` are the instants
    of all rows that the meter gave for the range: where there is none, it holds none.
    """

    source: Source
    period_s: int
    start_ms: int
    end_ms: int
    rows_ms: tuple[int, ...]
