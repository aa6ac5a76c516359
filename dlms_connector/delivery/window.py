"""Which entries are handed to the gateway next, and which are on their way.

Pure: told the time, in seconds of any clock. What is on its way is bounded per device and in
total. Live entries go first, and the past may never use the whole window, so a year of history
delays no value of today. Devices take turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from dlms_connector.records import Entry, Source

#: Hand-overs of a numbered entry in company; after them it is handed over alone.
TRIES = 3

#: How an entry goes: with its number for a receipt, without, or not yet.
Way = Literal["numbered", "plain", "held"]

#: Entries in one message to the gateway; it splits larger ones.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits in entries. `queued` is how many wait in memory; the others wait on disk."""

    total: int = 20_000
    per_device: int = 3_000
    past: int = 15_000
    queued: int = 20_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one device to be handed over in one message, with their numbers or without."""

    device: str
    entries: tuple[Entry, ...]
    numbered: bool
    #: Whether some of them were handed over before.
    again: bool


@dataclass(slots=True)
class Flight:
    """An entry that was handed over and is not confirmed.

    `order` counts hand-overs, `numbered` tells whether it carries its number for a receipt, and
    `tries` is how often it was handed over.
    """

    entry: Entry
    since: float
    order: int
    tries: int
    numbered: bool
    live: bool


@dataclass(slots=True)
class _Device:
    """What waits and what is on its way of one device."""

    live: deque[Entry] = field(default_factory=deque)
    past: deque[Entry] = field(default_factory=deque)
    flights: dict[int, Flight] = field(default_factory=dict)
    #: Instants on their way: the gateway merges entries of one instant, and their numbers.
    instants: set[int] = field(default_factory=set)
    #: While one entry is tried alone, nothing else of the device is handed over.
    alone: int | None = None


class Window:
    """The entries in memory, by their number."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._devices: dict[str, _Device] = {}
        #: Devices that may have something to hand over, in turn.
        self._turns: dict[bool, dict[str, None]] = {True: {}, False: {}}
        self._where: dict[int, str] = {}
        #: For those that wait: whether among the live ones.
        self._waits_live: dict[int, bool] = {}
        self._tries: dict[int, int] = {}
        #: Rows of profiles by instant: a row with other values replaces the one before it.
        self._rows: dict[tuple[Source, int], int] = {}
        self._row_of: dict[int, tuple[Source, int]] = {}
        self._queued = {True: 0, False: 0}
        self._flying = {True: 0, False: 0}
        self._order = 0

    def add(self, entries: Iterable[Entry], *, live: bool) -> bool:
        """Take entries to be handed over; false if some did not fit and stay on disk only."""
        for entry in entries:
            if entry.number in self._where:
                continue
            if self._queued[live] >= self._bounds.queued:
                return False
            self._replace(entry)
            self._queue(entry, live=live)
        return True

    def _replace(self, entry: Entry) -> None:
        """Forget an earlier reading of the same row, which must not be sent after this one."""
        if entry.source.profile is not None:
            earlier = self._rows.get((entry.source, entry.ts_ms))
            if earlier is not None and (name := self._where.get(earlier)) is not None:
                self._remove(name, earlier)
            self._rows[entry.source, entry.ts_ms] = entry.number
            self._row_of[entry.number] = (entry.source, entry.ts_ms)

    def room(self) -> int:
        """Return how many entries of the past still fit in memory."""
        return max(0, self._bounds.queued - self._queued[False])

    def knows(self, number: int) -> bool:
        """Whether an entry is in memory, waiting or on its way."""
        return number in self._where

    @property
    def waiting(self) -> int:
        """The number of entries in memory that are to be handed over."""
        return self._queued[True] + self._queued[False]

    @property
    def flying(self) -> int:
        """The number of entries that were handed over and are not confirmed."""
        return self._flying[True] + self._flying[False]

    def take(self, now: float, most: int, way: Callable[[Entry], Way]) -> Iterator[Batch]:
        """Yield entries to be handed over now, `most` in all, in batches of one device.

        They count as on their way; give back what the gateway did not take. `way` tells whether
        a device's entries carry their number, or wait.
        """
        for live in (True, False):
            if self._is_full(live=live):
                continue
            for name in list(self._turns[live]):
                if most <= 0 or self._is_full(live=live):
                    break
                batch = self._batch(name, now, min(most, BATCH), way, live=live)
                if batch:
                    most -= len(batch.entries)
                    yield batch

    def give_back(self, numbers: Iterable[int]) -> None:
        """Let entries wait again: the gateway did not take them, or they may be lost."""
        for number in sorted(numbers, reverse=True):
            if (name := self._where.get(number)) is None:
                continue
            device = self._devices[name]
            if flight := self._landed(device, number):
                self._queue(flight.entry, live=flight.live, first=True)
            self._turn(name)

    def lost(self, device: str | None = None, *, anew: bool = False) -> None:
        """Let everything that is on its way (of a device) wait again: it may be lost.

        The hand-over does not count as a try; none so far does with `anew`.
        """
        names = list(self._devices) if device is None else [device]
        for name in names:
            if found := self._devices.get(name):
                flights = list(found.flights)
                for number in flights:
                    self._tries[number] = 0 if anew else max(0, self._tries[number] - 1)
                self.give_back(flights)

    def remove(self, numbers: Iterable[int], device: str | None = None) -> list[Flight | None]:
        """Forget entries: confirmed, refused or released.

        Returns the flight of each that was known, None where it was only waiting. Numbers of
        another device than `device`, if one is given, are ignored.
        """
        return [
            self._remove(name, number)
            for number in numbers
            if (name := self._where.get(number)) is not None and device in (None, name)
        ]

    def covered(self, device: str, order: int) -> list[int]:
        """Return the entries without a number that were handed over up to `order`."""
        found = self._devices.get(device)
        flights = found.flights.items() if found else ()
        return [n for n, flight in flights if flight.order <= order and not flight.numbered]

    def last_order(self, device: str, before: float) -> int | None:
        """Return the last hand-over of an entry without number before a time; None if none."""
        found = self._devices.get(device)
        orders = [
            flight.order
            for flight in (found.flights.values() if found else ())
            if flight.since <= before and not flight.numbered
        ]
        return max(orders, default=None)

    def flights(self, device: str | None = None) -> Iterator[tuple[str, Flight]]:
        """Yield what is on its way (of a device)."""
        names = list(self._devices) if device is None else [device]
        for name in names:
            if found := self._devices.get(name):
                yield from ((name, flight) for flight in list(found.flights.values()))

    def is_alone(self, number: int) -> bool:
        """Whether an entry is being tried alone."""
        name = self._where.get(number)
        return name is not None and self._devices[name].alone == number

    def _queue(self, entry: Entry, *, live: bool, first: bool = False) -> None:
        name = entry.source.device
        device = self._devices.setdefault(name, _Device())
        line = device.live if live else device.past
        (line.appendleft if first else line.append)(entry)
        self._where[entry.number] = name
        self._waits_live[entry.number] = live
        self._queued[live] += 1
        self._turns[live].setdefault(name)

    def _turn(self, name: str) -> None:
        """Give a device its turn again: something of it is no longer on its way."""
        device = self._devices.get(name)
        if device is None:
            return
        for live, line in ((True, device.live), (False, device.past)):
            if line:
                self._turns[live].setdefault(name)
        self._forget_empty(name)

    def _batch(
        self, name: str, now: float, most: int, way: Callable[[Entry], Way], *, live: bool
    ) -> Batch | None:
        device = self._devices[name]
        line = device.live if live else device.past
        taken: list[Entry] = []
        later: list[Entry] = []
        chosen: Way = "plain"
        while line and len(taken) < most and len(later) < BATCH and self._may(device, live=live):
            if self._is_stale(name, device, line[0]):
                line.popleft()
                continue
            if (chosen := way(line[0])) == "held":
                break
            suspect = chosen == "numbered" and self._tries.get(line[0].number, 0) >= TRIES
            if suspect and device.flights:
                break
            entry = line.popleft()
            if entry.ts_ms in device.instants:
                later.append(entry)
                continue
            self._fly(device, entry, now, live=live, numbered=chosen == "numbered")
            taken.append(entry)
            if suspect:
                device.alone = entry.number
        line.extendleft(reversed(later))
        # To the end of the turns, or out of them until something of the device changes.
        self._turns[live].pop(name, None)
        if line and (taken or chosen == "held" or self._is_full(live=live)):
            self._turns[live][name] = None
        if not taken:
            self._forget_empty(name)
            return None
        again = any(self._tries[entry.number] > 1 for entry in taken)
        return Batch(name, tuple(taken), device.flights[taken[0].number].numbered, again)

    def _is_stale(self, name: str, device: _Device, entry: Entry) -> bool:
        """Whether an entry was removed while it waited, or came twice."""
        return self._where.get(entry.number) != name or entry.number in device.flights

    def _may(self, device: _Device, *, live: bool) -> bool:
        if device.alone is not None:
            return False
        return len(device.flights) < self._bounds.per_device and not self._is_full(live=live)

    def _is_full(self, *, live: bool) -> bool:
        if self.flying >= self._bounds.total:
            return True
        return not live and self._flying[False] >= self._bounds.past

    def _fly(
        self, device: _Device, entry: Entry, now: float, *, live: bool, numbered: bool
    ) -> None:
        self._order += 1
        tries = self._tries[entry.number] = self._tries.get(entry.number, 0) + 1
        device.flights[entry.number] = Flight(entry, now, self._order, tries, numbered, live)
        device.instants.add(entry.ts_ms)
        self._waits_live.pop(entry.number, None)
        self._queued[live] -= 1
        self._flying[live] += 1

    def _landed(self, device: _Device, number: int) -> Flight | None:
        flight = device.flights.pop(number, None)
        if flight is not None:
            device.instants.discard(flight.entry.ts_ms)
            device.alone = None if device.alone == number else device.alone
            self._flying[flight.live] -= 1
        return flight

    def _remove(self, name: str, number: int) -> Flight | None:
        device = self._devices[name]
        flight = self._landed(device, number)
        if flight is None:  # it waits; it is left out when its turn comes
            self._queued[self._waits_live.pop(number, False)] -= 1
        del self._where[number]
        if (row := self._row_of.pop(number, None)) and self._rows.get(row) == number:
            del self._rows[row]
        self._tries.pop(number, None)
        self._turn(name)
        return flight

    def _forget_empty(self, name: str) -> None:
        device = self._devices.get(name)
        if device and not (device.live or device.past or device.flights):
            del self._devices[name]
