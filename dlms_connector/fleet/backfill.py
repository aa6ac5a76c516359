"""The history of one meter: its profiles, and whether it is still the same meter.

A meter without `profiles` has none. What is read next, and when, follows from the records and from
what the meter holds; nothing is kept here that a restart would lose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from dlms_connector.config import Device
from dlms_connector.errors import DlmsError, LinkError
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.meter_check import Checked, MeterCheck
from dlms_connector.fleet.profile_history import ProfileHistory
from dlms_connector.fleet.sink import Sink
from dlms_connector.fleet.tempo import Tempo
from dlms_connector.fleet.visit import Visit
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: About how long identity and clock take, before they were asked once.
_CHECK_S = 0.5
#: After silence in the middle of a read: the meter gets so much peace, doubled up to the second.
_FIRST_PEACE_S, _MOST_PEACE_S = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class ProfileProgress:
    """What is read of a profile: `unread` intervals (or, without a period, hours) are not.

    `gaps` are those that the meter did not give, and that are asked for again. `oldest_ms` is where
    what is wanted begins, None if it is not known yet; `problem` is why there is no progress.
    """

    profile: Obis
    unread: int
    gaps: int
    oldest_ms: int | None
    problem: str

    def shown(self) -> dict[str, Value]:
        """Return it as JSON; what is not known, and no problem, is left out."""
        values: dict[str, Value] = {
            "obis": str(self.profile),
            "unread": self.unread,
            "gaps": self.gaps,
            "from": self.oldest_ms,
            "problem": self.problem or None,
        }
        return {key: value for key, value in values.items() if value is not None}


class Backfill:
    """Says what is read of a meter's profiles; times are in seconds of the loop's clock.

    `wake` is called when there may be something to read earlier than `due` said.
    """

    def __init__(
        self,
        device: Device,
        sink: Sink,
        log: logging.Logger,
        *,
        archive: Archive,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        exchanged: Callable[[], None] = lambda: None,
        spread_s: float = 0.0,
    ) -> None:
        """`exchanged` is called when another meter answers than before."""
        self._exchanged = exchanged
        self._name, self._archive, self._log = device.device_name, archive, log
        self._now_ms, self._wake = now_ms, wake
        self.profiles = tuple(
            ProfileHistory(
                device,
                profile,
                sink,
                log,
                archive=archive,
                now_ms=now_ms,
                wake=wake,
                spread_s=spread_s,
            )
            for profile in device.profiles
        )
        self._turns = list(self.profiles)
        self._check = MeterCheck(device, now_ms, log)
        self._check_s = _CHECK_S
        self._is_checking = False
        self._tempo = Tempo()
        self._silences, self._peace_until = 0, -inf

    @property
    def is_busy(self) -> bool:
        """Whether the records are asked, or a slice is to be kept."""
        return self._is_checking or any(profile.is_busy for profile in self.profiles)

    def due(self, now: float) -> float:
        """Return when there is something to read; infinity while all is underway."""
        if self._is_checking:
            return inf
        at = min(profile.due(now) for profile in self.profiles)
        return max(at, self._peace_until)

    def visit(self, now: float, room_s: float, *, forced: bool) -> Visit | None:
        """Return what to read in `room_s` seconds; if `forced`, a little also beyond."""
        if self.due(now) > now:
            return None
        if self._check.due() <= now:
            if self._check_s > room_s and not forced:
                return None
            return Visit(self._ask, self._check_s, self._checked, self._unchecked)
        # Stable: profiles take turns, but the newest rows of all come before the past of any.
        for profile in sorted(self._turns, key=lambda one: not one.is_urgent()):
            visit = profile.visit(now, self._tempo, room_s, forced=forced)
            if visit is not None:
                self._turns.remove(profile)
                self._turns.append(profile)
                return visit
        return None

    def forget(self) -> None:
        """Ask the meter soon who it is: after an outage it may be another one."""
        self._check.forget()

    def answered(self, rows: int | None, seconds: float) -> None:
        """Note that a visit was answered, with so many rows of a profile (None: with others)."""
        self._silences = 0
        if rows is not None:
            self._tempo.read(rows, seconds)

    def silent(self, now: float) -> None:
        """Note that the meter fell silent, or hung up, in a visit."""
        peace_s = min(_FIRST_PEACE_S * 2.0 ** min(self._silences, 16), _MOST_PEACE_S)
        self._silences, self._peace_until = self._silences + 1, now + peace_s

    @property
    def unread(self) -> int | None:
        """How many intervals of its profiles are not read yet; None before that is known of any."""
        told = [progress for one in self.profiles if (progress := one.progress()) is not None]
        return sum(progress.unread for progress in told) if told else None

    def progress(self) -> tuple[ProfileProgress, ...]:
        """Return what is read of each profile; nothing of one about which nothing is known yet."""
        found = []
        for one in self.profiles:
            told = one.progress()
            if told is not None or one.news.problem:
                unread, gaps = (told.unread, told.gaps) if told else (0, 0)
                oldest_ms = told.oldest_ms if told else None
                found.append(
                    ProfileProgress(one.profile.obis, unread, gaps, oldest_ms, one.news.problem)
                )
        return tuple(found)

    def recall(self, profile: Obis) -> None:
        """Ask the records anew what is to be read of a profile."""
        for one in self.profiles:
            if one.profile.obis == profile:
                one.recall()
        self._wake()

    def _ask(self, client: Client) -> Talk[Checked]:
        return self._check.talk(client, _now())

    def _checked(self, found: Checked, seconds: float) -> None:
        self._check_s = seconds
        self._check.checked(found, _now())
        if self._check.ahead_ms is not None:
            for profile in self.profiles:
                profile.clock(self._check.ahead_ms)
        if found.serial is None:
            return
        self._is_checking = True
        question = partial(self._archive.records.noted, self._name, found.serial, self._now_ms())
        self._archive.ask(question, partial(self._noted, found.serial), self._unnoted)

    def _unchecked(self, error: Exception) -> None:
        if not isinstance(error, DlmsError):
            self._log.error("%s: its identity is not known: %r", self._name, error, exc_info=error)
        if not isinstance(error, LinkError):
            self._check.checked(Checked(None, None), _now())

    def _noted(self, serial: str, replaced: bool) -> None:
        self._is_checking = False
        if replaced:
            self._log.warning(
                "%s: another meter answers than before, with the identity %s: what it holds of the "
                "time before belongs to it and is not read",
                self._name,
                serial,
            )
            for profile in self.profiles:
                profile.forget()
            self._exchanged()
        self._wake()

    def _unnoted(self, error: Exception) -> None:
        self._is_checking = False
        self._log.debug("%s: its identity could not be noted: %s", self._name, error)
        self._wake()


def _now() -> float:
    return asyncio.get_running_loop().time()
