"""Regular work on the records: totals of the days, and dropping what is too old.

It is done in pieces in the delivering thread, so that delivery goes on between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timezone
from logging import Logger

from dlms_connector.config import Device
from dlms_connector.interpret import options_of
from dlms_connector.records import DailyTotals, Records

#: Seconds until it begins, from the end of one round to the next, and between two pieces.
_FIRST_S, _PERIOD_S, _BREAK_S = 60.0, 3600.0, 1.0
_DAY_S = 86_400.0
#: Devices in one piece: a tenth of a second of work.
_AT_ONCE = 100

#: Takes a device, its type, the start of a day in ms since 1970 and values; false if not taken.
Send = Callable[[str, str, int, Mapping[str, int]], bool]


class Upkeep:
    """Says when there is something to do (`take`), and does a piece of it (`step`)."""

    def __init__(
        self,
        records: Records,
        devices: Iterable[Device],
        names: Collection[str],
        send: Send,
        log: Logger,
        *,
        now_s: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records, self._log, self._now_s, self._clock = records, log, now_s, clock
        self._waiting: list[str] = []
        self.serve(devices, names)
        self._totals = DailyTotals(
            records,
            lambda name: self._zones.get(name) or timezone.utc,
            lambda name, ts_ms, values: send(name, self._types[name], ts_ms, values),
        )
        self._next = clock() + _FIRST_S
        self._tidy_at = self._next
        self._taken = self._complained = False

    def serve(self, devices: Iterable[Device], names: Collection[str]) -> None:
        """Note which devices are in use from now on, all of them by `names`.

        Like `step`, in the delivering thread.
        """
        devices = tuple(devices)
        self._names = frozenset(names)
        self._types = {one.device_name: one.device_type for one in devices if one.profiles}
        self._zones = {one.device_name: options_of(one.dlms).zone for one in devices}
        self._waiting = [name for name in self._waiting if name in self._types]

    def adopt(self, device: str) -> None:
        """Note one more device that is in use."""
        self._names |= {device}

    def take(self) -> bool:
        """Whether a step is to be done now; true once for each."""
        if self._taken or self._clock() < self._next:
            return False
        self._taken = True
        return True

    def step(self) -> None:
        """Do a piece of work. In the delivering thread."""
        self._next = self._clock() + _PERIOD_S  # also if it fails, in whatever way
        try:
            self._work()
        except OSError as error:
            if not self._complained:
                self._log.warning("the totals of the days are not told: %s", error)
            self._complained = True
            self._waiting = []
        finally:
            self._taken = False

    def _work(self) -> None:
        now_ms = int(self._now_s() * 1000)
        if self._clock() >= self._tidy_at:
            self._tidy_at = self._clock() + _DAY_S
            self._tidy(now_ms)
        if not self._waiting:
            self._waiting = sorted(self._types)
        piece, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        self._totals.tell(piece, now_ms)
        self._next = self._clock() + (_BREAK_S if self._waiting else _PERIOD_S)

    def _tidy(self, now_ms: int) -> None:
        dropped = self._records.tidy(self._names, now_ms)
        if dropped.devices:
            self._log.warning(
                "the records of %s are dropped, with %d entries that waited: no configuration has "
                "had them for 90 days", ", ".join(dropped.devices), dropped.entries,
            )  # fmt: skip
        if dropped.days:
            self._log.info("%d days of the ledger are dropped: they are too old", dropped.days)
