"""The ledger's totals of each day, as telemetry of the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from dlms_connector.platform_keys import INTERVALS_CONFIRMED, INTERVALS_EXPECTED, INTERVALS_MISSING
from dlms_connector.records.completeness import DayCount
from dlms_connector.records.days import DAY_MS
from dlms_connector.records.entry import Source

EXPECTED, CONFIRMED = INTERVALS_EXPECTED.name, INTERVALS_CONFIRMED.name
MISSING = INTERVALS_MISSING.name
#: Local days before today that are told again when they change: confirmations come later, and
#: gaps are asked for again within hours.
_DAYS = 3

#: Takes a device, the start of a local day in ms since 1970, and the totals; false if not taken.
Send = Callable[[str, int, Mapping[str, int]], bool]


class Recorded(Protocol):
    """What totals need of the records."""

    def sources(self, device: str | None = None) -> tuple[Source, ...]:
        """Return the profiles of a device."""

    def completeness(
        self, source: Source, start_ms: int, end_ms: int, zone: tzinfo
    ) -> tuple[DayCount, ...]:
        """Count the intervals of each local day."""


def totals(counts: Iterable[DayCount]) -> dict[str, int]:
    """Return the totals of one day over the profiles of a device."""
    result = {EXPECTED: 0, CONFIRMED: 0, MISSING: 0}
    for count in counts:
        result[EXPECTED] += count.expected
        result[CONFIRMED] += count.confirmed
        result[MISSING] += count.gaps
    return result


class DailyTotals:
    """Tells the totals of the last whole days, at the start of each day, when they changed."""

    def __init__(self, records: Recorded, zone_of: Callable[[str], tzinfo], send: Send) -> None:
        self._records, self._zone_of, self._send = records, zone_of, send
        self._told: dict[tuple[str, int], dict[str, int]] = {}

    def tell(self, devices: Iterable[str], now_ms: int) -> int:
        """Send what changed; return how many days. Call it about hourly. Raises RecordsError."""
        sent = 0
        for device in devices:
            for start_ms, values in self._days(device, now_ms).items():
                if not values[EXPECTED] or self._told.get((device, start_ms)) == values:
                    continue
                if self._send(device, start_ms, values):
                    self._told[device, start_ms] = values
                    sent += 1
        old_ms = now_ms - (_DAYS + 2) * DAY_MS
        self._told = {key: each for key, each in self._told.items() if key[1] >= old_ms}
        return sent

    def _days(self, device: str, now_ms: int) -> dict[int, dict[str, int]]:
        zone = self._zone_of(device)
        today = datetime.fromtimestamp(now_ms / 1000, zone).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        start, end = (_ms(today - timedelta(days=_DAYS)), _ms(today))
        by_day: dict[int, list[DayCount]] = {}
        for source in self._records.sources(device):
            for count in self._records.completeness(source, start, end, zone):
                by_day.setdefault(count.start_ms, []).append(count)
        return {start_ms: totals(counts) for start_ms, counts in by_day.items()}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
