"""Hands entries to the gateway until the platform is known to have stored them.

Everything happens in the thread that calls; nothing waits. `step` does what is due and tells when
to call it again. An entry that is not confirmed is sent again: the platform stores by device, key
and timestamp, so that is harmless.

The gateway counts a message as sent after a second, acknowledged or not, and loses what is on its
way with its connection. So nothing is handed over without a connection, what was handed over in
a connection that has ended counts as lost, and a watermark confirms only what was handed over in
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
from logging import Logger
from secrets import randbelow
from time import monotonic, time

from dlms_connector.delivery.outbox_work import OutboxWork
from dlms_connector.delivery.overdue import Overdue
from dlms_connector.delivery.receipts import PROBE_KEY, RECEIPT_KEY, Receipts
from dlms_connector.delivery.watermarks import WATERMARK_KEY, Failed, Publish, Watermarks
from dlms_connector.delivery.ways import Outbox, Platform, Settings
from dlms_connector.delivery.window import Batch, Bounds, Way, Window
from dlms_connector.platform_keys import DELIVERY
from dlms_connector.records import Entry, Source

#: Client attribute with what confirms the entries of a device.
WAY_KEY = DELIVERY.name

#: Entries handed over per step, and seconds until the next step if there are more.
_STEP, _NEXT_S = 2000, 0.05
#: What is younger goes before the past, and does not wait for what is not known yet.
_LIVE_S = 2 * 3600.0
#: Seconds until the gateway is tried again after it took nothing, doubled up to a minute.
_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
#: Entries read from the disk at once.
_PAGE = 1000


class Courier:
    """Sends, confirms and sends again. `clock` is monotonic, `unix` is Unix time, in seconds."""

    def __init__(
        self,
        outbox: Outbox,
        platform: Platform,
        devices: Collection[str],
        settings: Settings,
        log: Logger,
        *,
        clock: Callable[[], float] = monotonic,
        unix: Callable[[], float] = time,
        bounds: Bounds | None = None,
        numbers: Iterator[int] | None = None,
        lacks: Callable[[Source], None] = lambda source: None,
    ) -> None:
        """`lacks` is called with each profile of which the platform turns out to lack rows."""
        self._platform, self._settings, self._log = platform, settings, log
        self._clock, self._unix = clock, unix
        self._work = OutboxWork(outbox, devices, settings.journal, log, unix, lacks)
        self._window = Window(bounds)
        numbers = numbers or count(1 + randbelow(1 << 31))
        self._receipts = Receipts(numbers)
        self._watermarks = Watermarks(settings.period_s, numbers, self._window.last_order)
        self._overdue = Overdue(self._window, self._receipts, settings, log)
        self._types: dict[str, str] = {}
        self._ways: dict[str, str] = {}
        self._session: object | None = None
        #: Types of devices that wait until it is known whether they get receipts.
        self._open: dict[str, str] = {}
        self._try_at, self._failures = 0.0, 0
        self._confirmed = self._released = 0

    # What happened

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries that are in the outbox."""
        for entry in entries:
            self._work.history_entries += entry.source.profile is not None
            live = entry.source.profile is None or self._is_young(entry)
            if not self._window.add([entry], live=live):
                self._work.behind = True

    def journal(self, entries: Iterable[Entry]) -> None:
        """Take polled readings that are to be kept and sent."""
        self._work.write(entries)

    def receipt(self, device: str, number: object) -> None:
        """Take a receipt; one that nobody waits for is ignored."""
        now = self._clock()
        if isinstance(number, bool) or not isinstance(number, int):
            return
        kind = self._types.get(device, "")
        was_open = self._receipts.known(device, kind, now) == "open"
        if self._receipts.received(device, number, now):
            if was_open:
                self._number(kind)
            return
        if removed := self._window.remove([number], device):
            self._receipts.confirmed(device, now)
            self._overdue.confirmed(device, removed)
            self._confirm([number])

    def answer(self, device: str, value: object) -> None:
        """Take a watermark that was read back."""
        self._look_at_session()  # an answer of an earlier connection proves nothing
        now = self._clock()
        done = self._watermarks.answered(device, value, now)
        if isinstance(done, Publish):
            self._tell(device, {WATERMARK_KEY: done.number})
        elif done is not None:
            self._overdue.answers(device)
            numbers = self._window.covered(device, done)
            self._window.remove(numbers)
            self._confirm(numbers)
            if self._window.last_order(device, now) is not None:
                self._watermarks.wanted(device, now)

    def adopt(self, device: str) -> None:
        """Deliver for one more device, which was made for a meter that pushes."""
        self._work.adopt(device)

    def serve(self, devices: Collection[str]) -> None:
        """Deliver for these devices from now on."""
        self._work.serve(devices)

    def deleted(self, device: str) -> None:
        """Note that a device was deleted on the platform.

        What is on its way may be lost; the rows that were sent before are, and are read again.
        """
        self._receipts.forget(device)
        self._ways.pop(device, None)
        self._watermarks.forget(device)
        self._window.lost(device)
        self._work.deleted(device)

    # What is due

    def step(self) -> float | None:
        """Do what is due; returns in how many seconds more is due, None if not before news."""
        now = self._clock()
        self._look_at_session()
        self._journal(now)
        due: list[float | None] = []
        if self._session is not None:
            self._round(now)
            self._settle(now)
            due += [self._send(now) if now >= self._try_at else self._try_at]
            due += [self._watermarks.due(), self._overdue.due()]
        due.append(self._work.due())
        times = [at for at in due if at is not None]
        return max(0.0, min(times) - now) if times else None

    def finish(self) -> None:
        """Write what is known, at the end; what is not confirmed is sent again at the start."""
        self._work.commit(self._clock(), last=True)

    @property
    def is_full(self) -> bool:
        """Whether history has to wait at the meters."""
        return self._work.history_entries >= self._settings.most_history

    def unconfirmed(self, device: str) -> int:
        """Return how many entries of a device were not confirmed a short while ago."""
        return self._work.pending.get(device, 0)

    def status(self) -> dict[str, int | str]:
        """Return the state of delivery, for users."""
        types = self._receipts.counts()
        mode: str = self._settings.confirm
        if mode == "auto":
            mode = "receipts" if types["yes"] and not types["no"] else "watermarks"
            mode = "receipts and watermarks" if types["yes"] and types["no"] else mode
        return {
            "mode": mode,
            "unconfirmed": self._work.entries,
            "unconfirmedHistory": self._work.history_entries,
            "handedOver": self._window.flying,
            "confirmed": self._confirmed,
            "withoutProof": self._released,
            "refused": self._overdue.refused,
            "dropped": self._work.dropped,
        }

    # Internals

    def _look_at_session(self) -> None:
        session = self._platform.session()
        if session is not self._session:
            self._session = session
            self._window.lost()
            self._watermarks.lost()
            self._receipts.lost()
            self._try_at, self._failures = 0.0, 0

    def _journal(self, now: float) -> None:
        for entry in self._work.commit(now):
            if entry.number:
                self.add([entry])
            else:
                device = entry.source.device
                self._platform.send(device, entry.device_type, [(entry.ts_ms, entry.values)])

    def _send(self, now: float) -> float | None:
        """Hand over what may be; returns when to go on."""
        while self._work.behind and self._window.room() >= _PAGE:
            if not (page := self._work.more(now, _PAGE)):
                break
            self._window.add(page, live=False)
        left = _STEP
        self._open.clear()
        for batch in self._window.take(now, _STEP, self._way):
            if not self._hand_over(batch, now):
                return self._try_at
            left -= len(batch.entries)
        held = [self._probe(device, kind, now) for kind, device in self._open.items()]
        if left < _STEP:
            return now + _NEXT_S
        if (read_at := self._work.read_due()) is not None:
            held.append(read_at)
        return min(held, default=None)

    def _hand_over(self, batch: Batch, now: float) -> bool:
        device = batch.device
        kind = self._types[device] = batch.entries[0].device_type
        entries = [
            (
                entry.ts_ms,
                {**entry.values, RECEIPT_KEY: entry.number} if batch.numbered else entry.values,
            )
            for entry in batch.entries
        ]
        taken = False
        try:
            taken = self._platform.send(device, kind, entries)
        finally:  # also if it raises: what was not taken must not count as on its way
            if not taken:
                self._window.give_back(entry.number for entry in batch.entries)
                pause = min(_RETRY_S * 2.0**self._failures, _LONGEST_RETRY_S)
                self._failures = min(self._failures + 1, 10)
                self._try_at = now + pause
        if not taken:
            return False
        self._failures = 0
        if self._settings.confirm != "auto" or self._receipts.known(device, kind, now) != "open":
            self._note(device, "receipts" if batch.numbered else "watermarks")
        if batch.numbered and batch.again:
            # Behind it a probe: if that is answered and the entry is not, it is the entry's fault.
            self._tell(device, {PROBE_KEY: self._receipts.challenge(device, kind, now)})
        elif not batch.numbered and self._settings.confirm != "none":
            self._watermarks.wanted(device, now)
        return True

    def _way(self, entry: Entry) -> Way:
        match self._settings.confirm:
            case "receipts":
                return "numbered"
            case "auto":
                device, now = entry.source.device, self._clock()
                known = self._receipts.known(device, entry.device_type, now)
                if known == "yes":
                    return "numbered"
                self._open.setdefault(entry.device_type, device)
                # What is young does not wait for the probes; the past would all be sent twice.
                return "plain" if known == "no" or self._is_young(entry) else "held"
        return "plain"

    def _is_young(self, entry: Entry) -> bool:
        return entry.ts_ms >= (self._unix() - _LIVE_S) * 1000

    def _number(self, kind: str) -> None:
        """Send again with their numbers what went without while it was open whether they help."""
        for device, each in self._types.items():
            if each == kind:
                self._watermarks.forget(device)
                self._window.lost(device)

    def _probe(self, device: str, kind: str, now: float) -> float:
        before = self._receipts.known(device, kind, now)
        if (number := self._receipts.probe(device, kind, now)) is not None:
            self._types[device] = kind
            self._tell(device, {PROBE_KEY: number})
        elif self._receipts.known(device, kind, now) != before:
            return now  # what waited for that may go
        return self._receipts.next_probe(kind)

    def _round(self, now: float) -> None:
        for action in self._watermarks.step(now):
            match action:
                case Publish(device, number):
                    self._tell(device, {WATERMARK_KEY: number})
                case Failed(device, silent):
                    self._window.lost(device)
                    if silent:
                        self._overdue.is_silent(device)
                case _:
                    self._platform.ask(action.device, WATERMARK_KEY)

    def _settle(self, now: float) -> None:
        """Decide about what is not confirmed in time."""
        found = self._overdue.look(now)
        for number, reason in found.refused:
            self._work.refuse(number, reason)
        self._window.remove(found.released)
        self._work.release(found.released)
        self._released += len(found.released)

    def _note(self, device: str, way: str) -> None:
        """Note what confirms the entries of a device."""
        if self._settings.confirm == "none" or self._overdue.is_given_up(device):
            way = "none"
        if self._ways.get(device) != way:
            self._ways[device] = way
            self._platform.tell(device, self._types[device], {WAY_KEY: way})

    def _tell(self, device: str, attributes: dict[str, int]) -> None:
        self._platform.tell(device, self._types.get(device, ""), attributes)

    def _confirm(self, numbers: Collection[int]) -> None:
        self._work.confirm(numbers)
        self._confirmed += len(numbers)
