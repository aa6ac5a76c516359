"""Entries, and the slices of a profile they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlms_connector.obis import Obis


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
