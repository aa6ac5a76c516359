"""The delivery thread's work on the records: few commits, and a full disk that stops nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from logging import Logger
from typing import TypeVar

from dlms_connector.delivery.ways import JournalLimits, Outbox
from dlms_connector.records import Entry, EntryError, Source

T = TypeVar("T")

#: Seconds between commits, and between tries after an error of the disk.
COMMIT_S, ERROR_S = 1.0, 10.0
#: Seconds between looks at the journal's limits.
TRIM_S = 60.0
#: Seconds between two counts of what waits by device.
COUNT_S = 20.0
#: Polled readings that wait in memory for the next commit.
_MOST_UNWRITTEN = 20_000

_UNNOTED = "what the platform has stored cannot be noted, and will be sent again"
_UNLOST = "which rows the platform lacks cannot be noted, which is tried again"
_UNKEPT = "polled readings cannot be kept, and are sent without being kept"
#: It never ends: it is the fault of a reading, such as a user's own converter made it.
_UNWRITABLE = "a polled reading cannot be kept, and is sent without being kept"


class OutboxWork:
    """Collects what is to be written. `now` is in seconds of any clock, `unix` Unix time.

    `lacks` is called with each profile of which the platform turns out to lack rows.
    """

    def __init__(
        self,
        outbox: Outbox,
        devices: Collection[str],
        limits: JournalLimits | None,
        log: Logger,
        unix: Callable[[], float],
        lacks: Callable[[Source], None],
    ) -> None:
        self._lacks = lacks
        self._outbox, self._devices, self._limits = outbox, set(devices), limits
        self._log, self._unix = log, unix
        self._unwritten: deque[Entry] = deque()
        self._confirmed: list[int] = []
        self._released: list[int] = []
        #: Devices that were deleted on the platform, which is not noted yet.
        self._deleted: dict[str, None] = {}
        self._commit_at = self._trim_at = self._read_at = 0.0
        self._cursor = 0
        #: Whether the disk may hold entries that are not in memory.
        self.behind = True
        #: Whether the last reading of what waits failed.
        self._unread = False
        self._told: set[str] = set()
        self.dropped = 0
        self.entries = self.history_entries = 0
        self.pending: Mapping[str, int] = {}
        self._count_at = 0.0

    def adopt(self, device: str) -> None:
        """Take the entries of one more device, also those that wait on the disk."""
        if device not in self._devices:
            self._devices.add(device)
            self._cursor, self.behind = 0, True

    def serve(self, devices: Collection[str]) -> None:
        """Take the entries of these devices from now on; what is on its way is not called back."""
        if not self._devices.issuperset(devices):
            self._cursor, self.behind = 0, True
        self._devices = set(devices)

    def write(self, entries: Iterable[Entry]) -> None:
        """Take polled readings for the next commit."""
        self._unwritten.extend(entries)
        while len(self._unwritten) > _MOST_UNWRITTEN:
            self._unwritten.popleft()
            self._drop(1, "they come faster than the disk takes them")

    def confirm(self, numbers: Iterable[int]) -> None:
        """Take numbers of entries that the platform has stored, for the next commit."""
        self._confirmed.extend(numbers)

    def release(self, numbers: Iterable[int]) -> None:
        """Take numbers of entries that leave without proof, for the next commit."""
        self._released.extend(numbers)

    def deleted(self, device: str) -> None:
        """Take a device that was deleted on the platform, and its rows with it."""
        self._deleted[device] = None
        self._commit_at = 0.0

    def refuse(self, number: int, reason: str) -> None:
        """Set an entry aside for good."""
        self._try(
            "what is refused cannot be noted", partial(self._outbox.refused, [number], reason)
        )

    def due(self) -> float | None:
        """Return when `commit` has something to do; None if nothing."""
        if self._unwritten or self._confirmed or self._released or self._deleted:
            return self._commit_at
        return max(self._count_at, self._commit_at) if self.pending else None

    def read_due(self) -> float | None:
        """Return when to call `more` again after it failed; None if it did not."""
        return self._read_at if self._unread else None

    def commit(self, now: float, *, last: bool = False) -> tuple[Entry, ...]:
        """Write what was taken, at most once per second; returns polled readings to be sent.

        Those that could not be written come without a number: they are sent all the same, once.
        """
        if now < self._commit_at and not last:
            return ()
        if now >= self._trim_at:
            self._trim_at = now + TRIM_S
            self._trim()
        if now >= self._count_at and (self.entries or self.pending):
            self._count_at = now + COUNT_S
            count = self._try("the records cannot be read", self._outbox.devices_pending)
            self.pending = self.pending if count is None else count
        if not (self._unwritten or self._confirmed or self._released or self._deleted):
            return ()
        self._commit_at = now + COMMIT_S
        for numbers, leave in (
            (self._confirmed, self._outbox.confirmed),
            (self._released, self._outbox.released),
        ):
            if numbers:
                if self._try(_UNNOTED, partial(leave, tuple(numbers))) is None:
                    self._commit_at = now + ERROR_S
                else:
                    numbers.clear()
        if not self._note_deleted():
            self._commit_at = now + ERROR_S
        journal = tuple(self._unwritten)
        self._unwritten.clear()
        if journal:
            journal = self._kept(journal)
        self._measure()
        return journal

    def more(self, now: float, limit: int) -> tuple[Entry, ...]:
        """Return entries from the disk that follow those that were returned before."""
        if not self.behind or now < self._read_at:
            return ()
        read = partial(self._outbox.pending, self._cursor, limit, self._devices)
        entries = self._try("what waits to be sent cannot be read", read)
        self._unread = entries is None
        if entries is None:
            self._read_at = now + ERROR_S
            return ()
        self.behind = len(entries) >= limit
        if entries:
            self._cursor = entries[-1].number
        return entries

    def _note_deleted(self) -> bool:
        """Note which rows are gone, behind what was confirmed before; false if that failed."""
        for device in () if self._confirmed else tuple(self._deleted):
            if (lost := self._try(_UNLOST, partial(self._outbox.lost, device))) is None:
                return False
            del self._deleted[device]
            if lost:
                self._log.info("%s was deleted on the platform: %d rows of its profiles are read "
                               "and sent again", device, sum(lost.values()))  # fmt: skip
            for source in lost:
                self._lacks(source)
        return True

    def _kept(self, journal: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Write polled readings; one that cannot be written costs none of the others."""
        try:
            return self._try(_UNKEPT, partial(self._outbox.journal, journal)) or journal
        except EntryError as error:
            if _UNWRITABLE not in self._told:
                self._told.add(_UNWRITABLE)
                self._log.error("%s: %s", _UNWRITABLE, error)
        good = tuple(entry for entry in journal if entry.is_writable)
        bad = tuple(entry for entry in journal if not entry.is_writable)
        kept = good and (self._try(_UNKEPT, partial(self._outbox.journal, good)) or good)
        return kept + bad

    def _trim(self) -> None:
        self._measure()
        if (limits := self._limits) is None:
            return
        oldest_ms = int((self._unix() - limits.max_age_s) * 1000)
        trim = partial(self._outbox.trim, oldest_ms=oldest_ms, most_bytes=limits.max_bytes)
        if dropped := self._try("the journal cannot be shortened", trim):
            self._drop(dropped, "the platform did not confirm them within the journal's limits")

    def _drop(self, count: int, why: str) -> None:
        if not self.dropped:
            text = "polled readings are dropped: %s; getDelivery tells how many"
            self._log.warning(text, why)
        self.dropped += count

    def _measure(self) -> None:
        if (size := self._try("the records cannot be read", self._outbox.size)) is not None:
            self.history_entries = size.history_entries
            self.entries = size.history_entries + size.journal_entries

    def _try(self, problem: str, work: Callable[[], T]) -> T | None:
        """Do something with the records; an error is told once, and its end."""
        try:
            result = work()
        except OSError as error:
            if problem not in self._told:
                self._told.add(problem)
                self._log.error("%s: %s", problem, error)
            return None
        if problem in self._told:
            self._told.remove(problem)
            self._log.info("over: %s", problem)
        return result
