"""One profile of one meter: what of it is read next, and what became of it.

First comes what is known of it already, from the records; then its layout and how far back the
meter holds it, once a day; then slices, as the planner of the profile says. A slice counts as read
when it is kept. Times are in seconds of the loop's clock, instants in ms since 1970.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

from dlms_connector.config import Device, Profile
from dlms_connector.errors import ConfigError, ConnectError, DlmsError, LinkError, RefusedError
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.hand_over import hand_over
from dlms_connector.fleet.history_news import HistoryNews
from dlms_connector.fleet.profile_plan import ProfilePlan
from dlms_connector.fleet.schedule import spread
from dlms_connector.fleet.sink import FULL, Sink
from dlms_connector.fleet.tempo import Tempo
from dlms_connector.fleet.visit import Visit
from dlms_connector.history import (
    Errand,
    Held,
    ProfileRead,
    ProfileReader,
    Progress,
)
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.records import Slice, Source

#: How often the layout and the extent of a profile are asked for.
_EXTENT_EVERY_S = 86_400.0
#: About how long that takes, before it was done once.
_EXTENT_S = 2.0
#: The records are asked again so long after a failure.
_RECORDS_S = 60.0
#: When a read is broken off. A silent meter is noticed earlier, by the timeout for a reply.
_SLICE_LIMIT_S, _EXTENT_LIMIT_S = 60.0, 120.0
#: A read that breaks the association so often in a row is not tried again soon.
_BREAKS = 3
#: After a failed read: the first wait, what each more multiplies it by, and the longest.
_FIRST_REST_S, _LONGER, _MOST_REST_S = 60.0, 4.0, 21_600.0


class ProfileHistory:
    """Says what of a profile is read next; `wake` is called when that changes by itself."""

    def __init__(
        self,
        device: Device,
        profile: Profile,
        sink: Sink,
        log: logging.Logger,
        *,
        archive: Archive,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        spread_s: float = 0.0,
    ) -> None:
        self.profile = profile
        self._device, self._sink, self._archive, self._log = device, sink, archive, log
        self._now_ms, self._wake = now_ms, wake
        name = device.device_name
        self._plan = ProfilePlan(
            Source(name, profile.obis),
            profile,
            archive=archive,
            now_ms=now_ms,
            # Meters of a large fleet do not all ask for the newest rows in the same second.
            late_s=spread(f"{name} {profile.obis}") * spread_s,
        )
        self._reader = ProfileReader(device, profile)
        self.news = HistoryNews(name, profile, log)
        #: What the records are asked, a visit, or a slice that is to be kept.
        self._underway: object = None
        self._extent_due, self._extent_s = -inf, _EXTENT_S
        self._failures = self._breaks = 0
        self._rest_until = -inf

    @property
    def is_busy(self) -> bool:
        """Whether the records are asked, or a slice is to be kept."""
        return self._underway is not None

    def due(self, now: float) -> float:
        """Return when there is something to read; infinity while something is underway."""
        if self._underway is not None:
            return inf
        at = now if now >= self._extent_due else min(self._plan.due(now), self._extent_due)
        return max(at, self._rest_until)

    def is_urgent(self) -> bool:
        """Whether the newest rows are to be read next."""
        errand = self._plan.errand(1) if self._underway is None else None
        return errand is not None and errand.kind == "new"

    def visit(self, now: float, tempo: Tempo, room_s: float, *, forced: bool) -> Visit | None:
        """Return what to read in `room_s` seconds; if `forced`, a little also beyond."""
        if self._underway is not None or now < self._rest_until:
            return None
        if not self._plan.knows:
            self._recall()
            return None
        if self._plan.planner is None or now >= self._extent_due:
            if self._extent_s > room_s and not forced:
                return None
            return self._visit(self._reader.held, self._extent_s, self._extended, None)
        rows = tempo.rows(room_s)
        if forced:
            # A read that brings little for its fixed time would be a waste of the line's.
            rows = max(1, rows, tempo.rows(2 * tempo.seconds(1)))
        errand = self._plan.errand(rows) if rows else None
        if errand is None:
            return None
        seconds = tempo.seconds(self._plan.rows_in(errand, rows))

        def talk(client: Client) -> Talk[ProfileRead]:
            return self._reader.read(client, errand.start_ms, errand.end_ms)

        return self._visit(talk, seconds, partial(self._read, errand), errand)

    def clock(self, ahead_ms: int) -> None:
        """Take how far the meter's clock is ahead of ours."""
        self._plan.clock(ahead_ms)

    def progress(self) -> Progress | None:
        """Return how far it is; None if that is not known yet."""
        return self._plan.progress()

    def forget(self) -> None:
        """Read layout and extent anew, and ask the records what is known: perhaps another meter."""
        self._reader.forget()
        self._extent_due, self._underway = -inf, None
        self._plan.forget(meter=True)

    def recall(self) -> None:
        """Ask the records anew what is known; a slice that is underway is read again if need be."""
        self._underway = None
        self._plan.forget()

    def _visit(
        self,
        talk: Callable[[Client], Talk[Any]],
        seconds: float,
        read: Callable[[Any, float], None],
        errand: Errand | None,
    ) -> Visit:
        def begun() -> None:
            self._underway = errand or talk
            self._plan.changed()

        failed, brings = partial(self._failed, errand), errand is not None
        limit_s = _SLICE_LIMIT_S if brings else _EXTENT_LIMIT_S
        return Visit(talk, seconds, read, failed, begun, brings=brings, limit_s=limit_s)

    def _recall(self) -> None:
        token = self._underway = object()

        def recalled() -> None:
            if self._underway is token:
                self._underway = None
                self._plan.make(self._reader.period_s)
                self._wake()

        def failed(error: Exception) -> None:
            if self._underway is token:
                self._underway = None
                self._rest(_RECORDS_S)
                self.news.failed(error)
                self._wake()

        self._plan.recall(recalled, failed)

    # What became of a visit

    def _extended(self, held: Held, seconds: float) -> None:
        self._underway = None
        self._extent_s, self._extent_due = seconds, _now() + _EXTENT_EVERY_S
        if self._plan.planner is not None and held.period_s != self._plan.period_s:
            self.recall()  # it was made for another period
        self._plan.make(held.period_s)
        if held.oldest_ms is not None:
            self._plan.holds_from(held.oldest_ms)
        self._succeeded()
        self._tell_progress()

    def _read(self, errand: Errand, read: ProfileRead, seconds: float) -> None:
        planner = self._plan.planner
        if planner is None or read.period_s != self._plan.period_s:
            self.recall()  # the plan was made for another meter, or for another period
            return
        part = planner.slice(errand, read.rows_ms, read.period_s)
        readings = tuple(one for one in read.readings if errand.holds(one.ts_ms))
        self._succeeded(read)
        token = self._underway = object()

        def settled(ok: bool, reason: str) -> None:
            if self._underway is token:
                self._underway = None
                self._settled(errand, part, ok, reason)

        hand_over(self._sink, self._device, self.profile, part, readings, self._log, settled)

    def _settled(self, errand: Errand, part: Slice, ok: bool, reason: str) -> None:
        brake, planner = self._archive.brake, self._plan.planner
        if ok:
            brake.kept()
            self.news.kept()
            if planner is not None:
                planner.read(part, self._now_ms())
            self._plan.note_horizon()
            self._tell_progress()
        elif reason == FULL:
            if brake.refused(_now()):
                self._log.warning(
                    "history is not read on: what was read before waits for the platform"
                )
        else:
            self.news.unkept(reason)
            if planner is not None:
                planner.failed(errand, self._now_ms(), unkept=True)
            self._failures += 1
            self._rest(self._wait_s)
        self._wake()

    def _failed(self, errand: Errand | None, error: Exception) -> None:
        self._underway = None
        if errand is not None and self._plan.planner is not None:
            self._plan.planner.failed(errand, self._now_ms())
        if isinstance(error, ConnectError | RefusedError | ConfigError):
            return  # nothing was asked: the outage is told already
        if isinstance(error, LinkError):
            # The polls tell of a silent meter. One that answers them, but not this, is told of.
            self._breaks += 1
            if self._breaks < _BREAKS:
                return
        self._failures += 1
        self._rest(self._wait_s)
        if isinstance(error, DlmsError):
            self.news.failed(error)
        else:
            self.news.fault(error)

    def _succeeded(self, read: ProfileRead | None = None) -> None:
        self._failures = self._breaks = 0
        self.news.read(read)

    @property
    def _wait_s(self) -> float:
        return min(_FIRST_REST_S * _LONGER ** min(self._failures - 1, 16), _MOST_REST_S)

    def _rest(self, seconds: float) -> None:
        self._rest_until = _now() + seconds

    def _tell_progress(self) -> None:
        if (progress := self._plan.progress()) is not None:
            self.news.progress(progress, self._plan.period_s)


def _now() -> float:
    return asyncio.get_running_loop().time()
