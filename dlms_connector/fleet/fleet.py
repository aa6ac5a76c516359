"""All meters of a connector: a line per endpoint, each supervised, all stopped together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from dlms_connector.config import ConnectionGroup, Device, PushListener
from dlms_connector.errors import DlmsError
from dlms_connector.fleet.archive import Archive, Records
from dlms_connector.fleet.backfill import ProfileProgress
from dlms_connector.fleet.descriptors import room
from dlms_connector.fleet.dial_in import Reception
from dlms_connector.fleet.line import Line
from dlms_connector.fleet.member import CallTimeoutError, Member, UnavailableError
from dlms_connector.fleet.pace import Demand
from dlms_connector.fleet.places import Places
from dlms_connector.fleet.pushing import PushesOnlyError, Pushing
from dlms_connector.fleet.schedule import backoff_s, spread
from dlms_connector.fleet.shared_keys import warn_of_shared_keys
from dlms_connector.fleet.sink import MeterState, Sink
from dlms_connector.link import DialInLink, Link, make_link
from dlms_connector.meter import MakeClient, Statistics, Tap, unread_of
from dlms_connector.metrics import Tally
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, make_client
from dlms_connector.protocol.talk import Talk
from dlms_connector.records import Source
from dlms_connector.state import NoPlace

__all__ = ["CallTimeoutError", "Fleet", "UnavailableError"]

T = TypeVar("T")

#: Connections that are being opened at the same time, to avoid a burst of thousands.
_CONNECTING = 50
#: A connection attempt without an answer frees its place for the next after this time.
_CONNECTING_S = 1.0
#: How many meters have their first poll in the same second, so that ten thousand take two minutes
#: at most also if they are polled once an hour.
_STARTS_PER_S = 100
#: Time for releasing all associations.
_FAREWELL_S = 0.5


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _archive_of(devices: Sequence[Device], records: Records | None) -> Archive | None:
    """Return what reads profiles; None if there is nothing to read, or nowhere to keep it."""
    if records is None or not any(device.profiles for device in devices):
        return None
    return Archive(records, ThreadPoolExecutor(1, "dlms-history"))


def _link_of(device: Device) -> Link:
    return make_link(device.connection)


class Gate:
    """Limits how many links are opened at the same time.

    A link holds its place for a second at most: dead endpoints take their whole connect
    timeout and must not delay the others.
    """

    def __init__(self, places: int = _CONNECTING, hold_s: float = _CONNECTING_S) -> None:
        self._places = asyncio.Semaphore(places)
        self._hold_s = hold_s

    async def open(self, link: Link) -> None:
        """Open a link; raises ConnectError."""
        async with self._places:
            opening = asyncio.ensure_future(link.open())
            # If nobody awaits the result any more, asyncio shall not log a failure.
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                await asyncio.wait({opening}, timeout=self._hold_s)
            except BaseException:
                opening.cancel()
                raise
        await opening


class Fleet:
    """Polls all meters until cancelled and reports to the sink; call `run` once.

    Profiles are read as `records` tell; without them they are not read.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        sink: Sink,
        log: logging.Logger,
        *,
        state_dir: Path | NoPlace | None = None,
        link_of: Callable[[Device], Link] = _link_of,
        client_of: MakeClient = make_client,
        now_ms: Callable[[], int] = _unix_ms,
        listeners: Sequence[PushListener] = (),
        adopt: Callable[[Device], bool] = lambda device: False,
        records: Records | None = None,
        groups: Mapping[str, ConnectionGroup] | None = None,
        room_for: Callable[[Sequence[Device], logging.Logger], int | None] = room,
    ) -> None:
        """Take the meters; they push to `listeners`, and `adopt` gets devices made by rule.

        `groups` are those that connections name. `room_for` tells how many lines may have a
        connection at once, None for all.
        """
        self._log = log
        #: What came of all polls.
        self.tally = Tally()
        self._taps: dict[str, Tap] = {}
        self._archive = _archive_of(devices, records)
        warn_of_shared_keys(devices, log)
        gate = Gate()
        most = room_for(devices, log)
        ours = () if most is None else (Places(most),)
        pools = {name: Places(one.max_concurrent) for name, one in (groups or {}).items()}
        demands = {name: Demand(one.max_concurrent) for name, one in (groups or {}).items()}
        by_endpoint: dict[str, list[Device]] = {}
        for device in (each for each in devices if each.is_polled):
            by_endpoint.setdefault(device.connection.endpoint, []).append(device)
        self._lines: dict[str, Line] = {}
        self.reception = Reception(log, client_of, state_dir)
        for endpoint, members in by_endpoint.items():
            link = link_of(members[0])
            group = members[0].connection.group or ""
            pool = pools.get(group)
            # The call of a meter that dials in is open in any case.
            files = () if isinstance(link, DialInLink) else ours
            line = self._lines[endpoint] = Line(
                members,
                sink,
                log,
                link=link,
                open_link=gate.open,
                make_client=client_of,
                now_ms=now_ms,
                state_dir=state_dir,
                spread_s=max(1.0, len(devices) / _STARTS_PER_S),
                unasked=self._said,
                archive=self._archive,
                places=files if pool is None else (pool, *files),
                polled=self.tally.polled,
                demands=(demands[group],) if group in demands else (),
            )
            if isinstance(link, DialInLink):
                link.arrived = line.called
                if len(members) == 1:  # else nobody knows who said it
                    link.said = unread_of(members[0], partial(self._said, members[0].device_name))
                self.reception.expect(members, link)
        self._line_of = {name: line for line in self._lines.values() for name in line.members}
        self.pushing = Pushing(
            devices,
            sink,
            log,
            self._line_of,
            listeners=listeners,
            state_dir=state_dir,
            now_ms=now_ms,
            adopt=adopt,
        )

    async def run(self) -> None:
        """Poll until cancelled; then release all associations, within half a second in total."""
        tasks = [
            asyncio.create_task(self._supervise(endpoint, line), name=endpoint)
            for endpoint, line in self._lines.items()
        ]
        tasks.append(asyncio.create_task(self._receive(), name="reception"))
        tasks.append(asyncio.create_task(self.pushing.run(), name="pushing"))
        try:
            await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_FAREWELL_S / 5)
            await self._farewell()
            await self.reception.close()
            await self.pushing.push.close()
            for tap in self._taps.values():
                tap.close()
            if self._archive is not None:
                self._archive.close()

    def submit(
        self, device_name: str, job: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        """Run a talk with a meter before queued polls; call this in the loop's thread.

        The future fails with a DlmsError. Raises KeyError if there is no such meter.
        """
        if self.pushing.only(device_name):
            future = asyncio.get_running_loop().create_future()
            future.set_exception(PushesOnlyError(device_name))
            return future
        return self._line_of[device_name].submit(device_name, job, timeout_s=timeout_s)

    def reconnect(self, device_name: str) -> None:
        """Poll a meter at once over a new association, also during its waiting time."""
        if not self.pushing.only(device_name):
            self._line_of[device_name].reconnect(device_name)

    def refresh(self, device_name: str, class_id: int, obis: Obis) -> None:
        """Poll a meter's items of an object soon, because a call has changed it."""
        if not self.pushing.only(device_name):
            self._line_of[device_name].refresh(device_name, class_id, obis)

    def statistics(self, device_name: str) -> Statistics:
        """Return a meter's counters; raises KeyError if there is no such meter."""
        if self.pushing.only(device_name):
            return Statistics()
        member = self._member(device_name)
        if member.history is not None:
            member.meter.statistics.history_unread = member.history.unread
        return member.meter.statistics

    def counters(self) -> Sequence[tuple[str, Statistics]]:
        """Return the counters of the polled meters as they are; may be called in any thread."""
        return [(name, line.members[name].meter.statistics) for name, line in self._line_of.items()]

    def history(self, device_name: str) -> tuple[ProfileProgress, ...]:
        """Return what is read of a meter's profiles; raises KeyError if there is no such meter."""
        if self.pushing.only(device_name):
            return ()
        history = self._member(device_name).history
        return history.progress() if history is not None else ()

    def trace(self, device_name: str, tap: Tap | None) -> None:
        """Let a tap see what is sent to a meter and received from it; None ends the one before.

        Raises PushesOnlyError, and KeyError if there is no such meter.
        """
        if self.pushing.only(device_name):
            raise PushesOnlyError(device_name)
        self._member(device_name).meter.session.trace(tap)
        if (before := self._taps.pop(device_name, None)) is not None:
            before.close()
        if tap is not None:
            self._taps[device_name] = tap

    def reread(self, source: Source) -> None:
        """Ask the records anew what is to be read of a profile; unknown ones are ignored."""
        line = self._line_of.get(source.device)
        history = line.members[source.device].history if line else None
        if history is not None and source.profile is not None:
            history.recall(source.profile)

    def reread_all(self) -> None:
        """Ask the records anew what is to be read of every profile: they were lost."""
        for name, line in self._line_of.items():
            if (history := line.members[name].history) is not None:
                for profile in history.profiles:
                    history.recall(profile.profile.obis)

    def state(self, device_name: str) -> MeterState | None:
        """Return a meter's state, None before its first poll ended."""
        if self.pushing.only(device_name):
            return self.pushing.push.receiver.state(device_name)
        return self._member(device_name).state

    def _said(self, device_name: str, apdu: bytes) -> None:
        self.pushing.push.said(device_name, apdu)

    def _member(self, device_name: str) -> Member:
        return self._line_of[device_name].members[device_name]

    async def _supervise(self, endpoint: str, line: Line) -> None:
        """Keep a line running; restart it after an internal error. Other lines are not affected."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            start = loop.time()
            try:
                await line.run()
            except Exception:
                failures = 1 if loop.time() - start > 600 else failures + 1
                wait = backoff_s(failures, spread(endpoint))
                self._log.exception(
                    "%s: a fault of the connector; the line starts again in %.0f s", endpoint, wait
                )
                await line.close()
                await asyncio.sleep(wait)

    async def _receive(self) -> None:
        try:
            await self.reception.run()
        except Exception:
            self._log.exception("a fault of the connector: meters cannot dial in")

    async def _farewell(self) -> None:
        async def leave(line: Line) -> None:
            with suppress(DlmsError):  # nobody needs the error any more
                await line.farewell()

        # Tasks for thousands of silent lines would take longer than all releases.
        engaged = [line for line in self._lines.values() if line.is_engaged]
        leaving = [asyncio.create_task(leave(line)) for line in engaged]
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=_FAREWELL_S * 3 / 5)
            for task in late:
                task.cancel()
        closing = (line.close() for line in engaged)
        await asyncio.gather(*leaving, *closing, return_exceptions=True)
