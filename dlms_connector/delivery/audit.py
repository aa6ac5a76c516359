"""Counts what the platform has stored, and lets what is missing be read and sent again.

For each profile, the rows of each of the last days are counted by one request. Where the count is
not the ledger's, the instants of that day are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from logging import Logger
from typing import Protocol

from dlms_connector.delivery.platform_rest import DAY_MS
from dlms_connector.delivery.rest import RestError
from dlms_connector.records import Source

#: Days that are counted, the present one left out, and time for the last rows to arrive.
DAYS, SETTLE_MS = 8, 3_600_000
_MOST_KEYS = 64


class Rest(Protocol):
    """The part of `PlatformRest` that is used; raises RestError."""

    def counts(self, device: str, key: str, start_ms: int, days: int) -> Mapping[int, int] | None:
        """Return the number of values by UTC day; None if there is no such device."""

    def instants(
        self, device: str, keys: Sequence[str], start_ms: int, end_ms: int
    ) -> frozenset[int] | None:
        """Return the instants of the values of any of these keys."""


class Ledger(Protocol):
    """The part of `records.Records` that is used; raises OSError."""

    def confirmed_instants(
        self, source: Source, start_ms: int, end_ms: int, period_s: int
    ) -> tuple[int, ...]:
        """Return what counts as confirmed: starts of intervals, or instants of irregular rows."""

    def missing(self, source: Source, instants: Iterable[int]) -> int:
        """Note what the platform lacks; returns how many intervals are to be read again."""


@dataclass(slots=True)
class _Seen:
    period_s: int
    #: How often each key was seen: the most frequent one is counted.
    keys: dict[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one profile: intervals that are confirmed, and that are missing."""

    confirmed: int
    missing: int


class Audit:
    """Audits one profile at a time. `name_there` gives a device's name on the platform."""

    def __init__(
        self, ledger: Ledger, rest: Rest, name_there: Callable[[str], str], log: Logger
    ) -> None:
        self._ledger, self._rest, self._name_there, self._log = ledger, rest, name_there, log
        self._seen: dict[Source, _Seen] = {}

    def saw(self, source: Source, period_s: int, rows: Iterable[Mapping[str, object]]) -> None:
        """Note the keys that rows of a profile have; call from any thread."""
        seen = self._seen.get(source)
        if seen is None or seen.period_s != period_s:
            seen = self._seen[source] = _Seen(period_s, {})
        for values in rows:
            for key in values:
                if "," not in key and (key in seen.keys or len(seen.keys) < _MOST_KEYS):
                    seen.keys[key] = seen.keys.get(key, 0) + 1

    def sources(self) -> tuple[Source, ...]:
        """Return the profiles that can be audited: rows of them were sent since the start."""
        return tuple(source for source, seen in list(self._seen.items()) if seen.keys)

    def look(self, source: Source, now_ms: int) -> Finding:
        """Audit the last days of a profile; raises RestError and OSError."""
        seen = self._seen[source]
        end_ms = (now_ms - SETTLE_MS) // DAY_MS * DAY_MS
        start_ms = end_ms - DAYS * DAY_MS
        ours = self._ledger.confirmed_instants(source, start_ms, end_ms, seen.period_s)
        if not ours:
            return Finding(0, 0)
        there = self._name_there(source.device)
        keys = dict(seen.keys)  # `saw` may add some meanwhile
        key = max(keys, key=lambda each: keys[each])
        counts = self._rest.counts(there, key, start_ms, DAYS)
        if counts is None:
            raise RestError(f"{there}: the platform has no such device")
        by_day: dict[int, list[int]] = {}
        for ts_ms in ours:
            by_day.setdefault(ts_ms // DAY_MS, []).append(ts_ms)
        lacking: list[int] = []
        for day, wanted in by_day.items():
            if counts.get(day, 0) < len(wanted):
                lacking += self._lacking(there, seen, day, wanted)
        lost = self._ledger.missing(source, lacking) if lacking else 0
        if lost:
            self._log.warning(
                "%s: %s: the platform lacks %d of %d confirmed rows of the last %d days; they are "
                "read and sent again",
                source.device,
                source.profile,
                lost,
                len(ours),
                DAYS,
            )
        return Finding(len(ours), lost)

    def _lacking(self, there: str, seen: _Seen, day: int, wanted: Sequence[int]) -> list[int]:
        """Return which of a day's instants (or starts of intervals) the platform has not."""
        start_ms = day * DAY_MS
        found = self._rest.instants(there, [*dict(seen.keys)], start_ms, start_ms + DAY_MS) or ()
        if period_ms := seen.period_s * 1000:
            stored = {ts_ms // period_ms * period_ms for ts_ms in found}
        else:
            stored = set(found)
        return [ts_ms for ts_ms in wanted if ts_ms not in stored]
