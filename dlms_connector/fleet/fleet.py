"""All meters of a connector: their lines, the ports where they dial in, and what they push."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from dlms_connector.config import ConnectionGroup, Device, PushListener
from dlms_connector.errors import CommandError
from dlms_connector.fleet.archive import Records
from dlms_connector.fleet.backfill import ProfileProgress
from dlms_connector.fleet.descriptors import Room
from dlms_connector.fleet.dial_in import Reception
from dlms_connector.fleet.line import Line
from dlms_connector.fleet.lines import Lines
from dlms_connector.fleet.member import CallTimeoutError, Member, UnavailableError
from dlms_connector.fleet.pushing import PushesOnlyError, Pushing
from dlms_connector.fleet.sink import MeterState, Sink
from dlms_connector.link import DialInLink, Link, make_link
from dlms_connector.meter import MakeClient, Statistics, Tap
from dlms_connector.metrics import Tally
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, make_client
from dlms_connector.protocol.talk import Talk
from dlms_connector.records import Source
from dlms_connector.state import NoPlace

__all__ = ["CallTimeoutError", "Fleet", "UnavailableError"]

T = TypeVar("T")


class GoneError(CommandError):
    """The meter has left the configuration while something was to be done with it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not polled any more")


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _link_of(device: Device) -> Link:
    return make_link(device.connection)


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
        room_for: Callable[[Sequence[Device], logging.Logger], int | None] | None = None,
    ) -> None:
        """Take the meters; they push to `listeners`, and `adopt` gets devices made by rule.

        `groups` are those that connections name. `room_for` tells how many lines may have a
        connection at once, None for all; the system is asked without it.
        """
        self._log = log
        self._taps: dict[str, Tap] = {}
        self._lines = Lines(
            sink,
            log,
            state_dir=state_dir,
            link_of=link_of,
            client_of=client_of,
            now_ms=now_ms,
            said=self._said,
            groups=groups or {},
            room_for=room_for or Room(),
        )
        self.reception = Reception(log, client_of, state_dir)
        self.pushing = Pushing(
            sink,
            log,
            self._lines,
            listeners=listeners,
            state_dir=state_dir,
            now_ms=now_ms,
            adopt=adopt,
        )
        self.change(devices, records)

    @property
    def tally(self) -> Tally:
        """What came of all polls."""
        return self._lines.tally

    @property
    def departed(self) -> Statistics:
        """What meters have counted that have left since, or are configured otherwise."""
        return self._lines.departed

    def change(self, devices: Sequence[Device], records: Records | None = None) -> None:
        """Serve these meters from now on; call this in the loop's thread, unless it is to run yet.

        Those that are configured as before, as are all others on their line, notice nothing. The
        others are let go of, and begin anew as they are configured now. `records` are needed if
        there were none before.
        """
        self._lines.change(devices, records)
        self.reception.change(
            ([member.device for member in line.members.values()], line.link)
            for line in self._lines
            if isinstance(line.link, DialInLink)
        )
        self.pushing.change(devices)
        for name, tap in list(self._taps.items()):
            if name in self._lines.of:
                self._member(name).meter.session.trace(tap)
            else:
                del self._taps[name]
                tap.close()

    async def run(self) -> None:
        """Serve the meters until cancelled; then release all associations, within half a second."""
        self._lines.start()
        tasks = [
            asyncio.create_task(self.reception.run(), name="reception"),
            asyncio.create_task(self.pushing.run(), name="pushing"),
        ]
        try:
            await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            await self._lines.end()
            await self.reception.close()
            await self.pushing.push.close()
            for tap in self._taps.values():
                tap.close()

    def submit(
        self, device_name: str, job: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        """Run a talk with a meter before queued polls; call this in the loop's thread.

        The future fails with a DlmsError, also if the meter only pushes, or is not there any more.
        """
        if (line := self._lines.of.get(device_name)) is not None:
            return line.submit(device_name, job, timeout_s=timeout_s)
        future = asyncio.get_running_loop().create_future()
        pushes = self.pushing.only(device_name)
        future.set_exception(PushesOnlyError(device_name) if pushes else GoneError(device_name))
        return future

    def reconnect(self, device_name: str) -> None:
        """Poll a meter at once over a new association, also during its waiting time.

        Raises GoneError if there is no such meter.
        """
        if not self.pushing.only(device_name):
            self._line(device_name).reconnect(device_name)

    def refresh(self, device_name: str, class_id: int, obis: Obis) -> None:
        """Poll a meter's items of an object soon, because a call has changed it."""
        if (line := self._lines.of.get(device_name)) is not None:
            line.refresh(device_name, class_id, obis)

    def statistics(self, device_name: str) -> Statistics:
        """Return a meter's counters; raises GoneError if there is no such meter."""
        if self.pushing.only(device_name):
            return Statistics()
        member = self._member(device_name)
        if member.history is not None:
            member.meter.statistics.history_unread = member.history.unread
        return member.meter.statistics

    def counters(self) -> Sequence[tuple[str, Statistics]]:
        """Return the counters of the polled meters as they are; may be called in any thread."""
        return [
            (name, line.members[name].meter.statistics) for name, line in self._lines.of.items()
        ]

    def history(self, device_name: str) -> tuple[ProfileProgress, ...]:
        """Return what is read of a meter's profiles; raises GoneError if there is no such meter."""
        if self.pushing.only(device_name):
            return ()
        history = self._member(device_name).history
        return history.progress() if history is not None else ()

    def trace(self, device_name: str, tap: Tap | None) -> None:
        """Let a tap see what is sent to a meter and received from it; None ends the one before.

        Raises PushesOnlyError, and GoneError if there is no such meter.
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
        line = self._lines.of.get(source.device)
        history = line.members[source.device].history if line else None
        if history is not None and source.profile is not None:
            history.recall(source.profile)

    def reread_all(self) -> None:
        """Ask the records anew what is to be read of every profile: they were lost."""
        for name, line in self._lines.of.items():
            if (history := line.members[name].history) is not None:
                for profile in history.profiles:
                    history.recall(profile.profile.obis)

    def state(self, device_name: str) -> MeterState | None:
        """Return a meter's state; None before its first poll ended, or if it is not there."""
        if self.pushing.only(device_name):
            return self.pushing.push.receiver.state(device_name)
        line = self._lines.of.get(device_name)
        return line.members[device_name].state if line is not None else None

    def _said(self, device_name: str, apdu: bytes) -> None:
        self.pushing.push.said(device_name, apdu)

    def _member(self, device_name: str) -> Member:
        return self._line(device_name).members[device_name]

    def _line(self, device_name: str) -> Line:
        if (line := self._lines.of.get(device_name)) is None:
            raise GoneError(device_name)
        return line
