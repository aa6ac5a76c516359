"""A platform and an outbox in memory, on the far side of the delivery's seam, in told time."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlms_connector.delivery import (
    PROBE_KEY,
    RECEIPT_KEY,
    WATERMARK_KEY,
    Courier,
    Settings,
)
from dlms_connector.obis import Obis
from dlms_connector.records import Entry, Source

LOG = logging.getLogger("test delivery")
PROFILE = Obis.parse("1-0:99.1.0")
NOW_S = 1_700_000_000.0


def row(device: str, minute: int, **values: Any) -> Entry:
    """A row of a load profile, `minute` before now."""
    ts_ms = int(NOW_S - 60 * minute) * 1000
    return Entry(Source(device, PROFILE), "Meter", ts_ms, values or {"load": minute})


def polled(device: str, ts_ms: int, **values: Any) -> Entry:
    return Entry(Source(device), "Meter", ts_ms, values or {"voltage": 230})


@dataclass
class FakeSize:
    history_entries: int = 0
    journal_entries: int = 0


class FakeOutbox:
    """Keeps entries as the records do; `fails` makes every call raise."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.proved: set[int] = set()
        self.unproved: set[int] = set()
        self.set_aside: dict[int, str] = {}
        #: Devices of which the platform has nothing any more.
        self.forgotten: list[str] = []
        self.commits = 0
        self.fails = False
        self._numbers = itertools.count((1_700_000_000 << 20) + 1)

    def keep(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        made = tuple(replace(entry, number=next(self._numbers)) for entry in entries)
        self.entries.update({entry.number: entry for entry in made})
        return made

    def journal(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        self._commit()
        return self.keep(entries)

    def pending(
        self, after: int = 0, limit: int = 1000, devices: Collection[str] | None = None
    ) -> tuple[Entry, ...]:
        self._check()
        found = [self.entries[number] for number in sorted(self.entries) if number > after]
        return tuple(e for e in found if devices is None or e.source.device in devices)[:limit]

    def confirmed(self, numbers: Iterable[int]) -> int:
        return self._leave(numbers, self.proved)

    def released(self, numbers: Iterable[int]) -> int:
        return self._leave(numbers, self.unproved)

    def refused(self, numbers: Iterable[int], reason: str) -> int:
        left: set[int] = set()
        count = self._leave(numbers, left)
        self.set_aside.update(dict.fromkeys(left, reason))
        return count

    def lost(self, device: str) -> Mapping[Source, int]:
        self._commit()
        self.forgotten.append(device)
        return {row(device, 1).source: 1}

    def trim(self, *, oldest_ms: int, most_bytes: int) -> int:
        self._check()
        old = [
            number
            for number, entry in self.entries.items()
            if entry.source.profile is None and entry.ts_ms < oldest_ms
        ]
        for number in old:
            del self.entries[number]
        return len(old)

    def devices_pending(self) -> Mapping[str, int]:
        self._check()
        return Counter(entry.source.device for entry in self.entries.values())

    def size(self) -> FakeSize:
        self._check()
        history = sum(entry.source.profile is not None for entry in self.entries.values())
        return FakeSize(history, len(self.entries) - history)

    def _leave(self, numbers: Iterable[int], where: set[int]) -> int:
        self._commit()
        found = [number for number in numbers if self.entries.pop(number, None)]
        where.update(found)
        return len(found)

    def _commit(self) -> None:
        self._check()
        self.commits += 1

    def _check(self) -> None:
        if self.fails:
            raise OSError("records.sqlite: disk full")


@dataclass(order=True)
class _Later:
    at: float
    order: int
    device: str
    values: Mapping[str, Any]
    ts_ms: int | None


class FakePlatform:
    """Stores what it is sent a while later, telemetry later than attributes; may have the chain.

    A lost connection takes along what is on its way. A message with a key in `refuses` vanishes.
    """

    latency_s, telemetry_s, attributes_s = 0.05, 1.0, 0.2

    def __init__(self) -> None:
        self.now = 0.0
        self.online = True
        self.takes = True
        self.answers = True
        self.chain: set[str] | None = None  # device types with the rule chain
        self.refuses: set[str] = set()
        self.stored: dict[tuple[str, str, int], Any] = {}
        self.attributes: dict[tuple[str, str], Any] = {}
        self.sent: list[tuple[str, list[tuple[int, Mapping[str, Any]]]]] = []
        self.told: list[tuple[float, str, Mapping[str, Any]]] = []
        self.asked = 0
        self.courier: Courier | None = None
        self._types: dict[str, str] = {}
        self._session = object()
        self._way: list[_Later] = []
        self._news: list[tuple[float, str, Any, bool]] = []
        self._order = itertools.count()

    def cut(self) -> None:
        """Lose the connection and what is on its way; a new one follows at once."""
        self._way.clear()
        self._news.clear()
        self._session = object()

    # What the courier sees

    def session(self) -> object | None:
        return self._session if self.online else None

    def send(
        self, device: str, device_type: str, entries: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> bool:
        if not self.takes:
            return False
        self._types[device] = device_type
        self.sent.append((device, list(entries)))
        merged: dict[int, dict[str, Any]] = {}
        for ts_ms, values in entries:
            merged.setdefault(ts_ms, {}).update(values)
        for ts_ms, values in merged.items():
            at = self.now + self.latency_s + self.telemetry_s
            self._way.append(_Later(at, next(self._order), device, values, ts_ms))
        return True

    def tell(self, device: str, device_type: str, attributes: Mapping[str, Any]) -> bool:
        self._types[device] = device_type
        self.told.append((self.now, device, dict(attributes)))
        at = self.now + self.latency_s + self.attributes_s
        self._way.append(_Later(at, next(self._order), device, attributes, None))
        return True

    def ask(self, device: str, key: str) -> None:
        self.asked += 1
        if self.answers:
            value = self.attributes.get((device, key))
            self._news.append((self.now + self.latency_s, device, value, False))

    # What happens meanwhile

    def next_at(self) -> float:
        times = [each.at for each in self._way] + [each[0] for each in self._news]
        return min(times, default=float("inf"))

    def happen(self) -> None:
        """Store and answer what is due; the answers reach the courier."""
        due = sorted(each for each in self._way if each.at <= self.now)
        self._way = [each for each in self._way if each.at > self.now]
        for each in due:
            self._store(each)
        news = [each for each in self._news if each[0] <= self.now]
        self._news = [each for each in self._news if each[0] > self.now]
        assert self.courier is not None
        for _, device, value, is_receipt in news:
            (self.courier.receipt if is_receipt else self.courier.answer)(device, value)

    def _store(self, each: _Later) -> None:
        if self.refuses & set(each.values):
            return
        values = dict(each.values)
        chained = self.chain is not None and self._types[each.device] in self.chain
        if each.ts_ms is None:
            self.attributes.update({(each.device, key): v for key, v in values.items()})
            if chained and PROBE_KEY in values:
                self._receipt(each.device, values[PROBE_KEY])
            return
        number = values.pop(RECEIPT_KEY, None) if chained else None
        self.stored.update({(each.device, key, each.ts_ms): v for key, v in values.items()})
        if number is not None:
            self._receipt(each.device, number)

    def _receipt(self, device: str, number: int) -> None:
        self._news.append((self.now + self.latency_s, device, number, True))

    def of(self, key: str) -> list[tuple[float, str, Any]]:
        """The client attributes of this key that were told: time, device, value."""
        return [(at, device, v[key]) for at, device, v in self.told if key in v]


class Delivery:
    """A courier with its surroundings; time passes in `run` only."""

    def __init__(self, devices: Collection[str] = ("M1",), **settings: Any) -> None:
        self.outbox, self.platform = FakeOutbox(), FakePlatform()
        #: Profiles of which the platform lacks rows, as the courier told.
        self.lacking: list[Source] = []
        self._devices, self._settings = devices, settings
        self.courier = self.restart()

    def restart(self) -> Courier:
        bounds = self._settings.pop("bounds", None)
        self.courier = self.platform.courier = Courier(
            self.outbox,
            self.platform,
            self._devices,
            Settings(**self._settings),
            LOG,
            clock=lambda: self.platform.now,
            unix=lambda: NOW_S + self.platform.now,
            bounds=bounds,
            lacks=self.lacking.append,
        )
        return self.courier

    def keep(self, entries: Iterable[Entry]) -> None:
        self.courier.add(self.outbox.keep(entries))

    def run(self, seconds: float) -> None:
        platform, end, steps = self.platform, self.platform.now + seconds, 0
        while platform.now < end:
            due = self.courier.step()
            steps += 1
            assert steps < 200 * seconds + 1000, "the courier spins"
            at = min(platform.next_at(), end, platform.now + (9e9 if due is None else due))
            platform.now = max(at, platform.now + 1e-3)
            platform.happen()

    @property
    def mode(self) -> int | str:
        return self.courier.status()["mode"]


__all__ = [
    "NOW_S",
    "PROBE_KEY",
    "RECEIPT_KEY",
    "WATERMARK_KEY",
    "Delivery",
    "FakeOutbox",
    "FakePlatform",
    "polled",
    "row",
]
