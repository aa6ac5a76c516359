"""One endpoint and the meters behind it, which take turns: one association at a time.

The most overdue meter is polled first, so that none starves. What silent meters may take of a
shared line is in `sharing`. Jobs run before waiting polls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from pathlib import Path
from typing import TypeVar

from dlms_connector.config import Device
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkError,
    LinkTimeoutError,
    RefusedError,
)
from dlms_connector.fleet.alarm import Alarm
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.brake import Brake
from dlms_connector.fleet.errands import Errands
from dlms_connector.fleet.jobs import Job, Jobs
from dlms_connector.fleet.joining import members_of
from dlms_connector.fleet.member import Member
from dlms_connector.fleet.outages import Outages
from dlms_connector.fleet.pace import Demand, Pace
from dlms_connector.fleet.places import Places, Seat
from dlms_connector.fleet.schedule import Schedule
from dlms_connector.fleet.sink import Sink
from dlms_connector.fleet.visit import Visit
from dlms_connector.link import Link
from dlms_connector.meter import MakeClient
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import NoPlace

T = TypeVar("T")

#: How long an association stays open for another job after a job, in seconds.
_LINGER_S = 2.0
#: Timers may fire this many seconds early; then there is no second wait.
_EARLY_S = 0.001


class Line:
    """The meters of one endpoint; `run` polls them until it is cancelled.

    `open_link` opens the link when its turn among all lines has come; while it is open, the line
    holds one of each of the `places`.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        sink: Sink,
        log: logging.Logger,
        *,
        link: Link,
        open_link: Callable[[Link], Awaitable[None]],
        make_client: MakeClient,
        now_ms: Callable[[], int],
        state_dir: Path | NoPlace | None = None,
        spread_s: float = 1.0,
        unasked: Callable[[str, bytes], None] = lambda name, apdu: None,
        archive: Archive | None = None,
        places: Sequence[Places] = (),
        polled: Callable[[DlmsError | None, float], None] = lambda error, seconds: None,
        demands: Sequence[Demand] = (),
    ) -> None:
        """Take the meters of a line; `polled` gets the error of each poll, and its seconds.

        `demands` are what the line's polls demand of more than the line.
        """
        self._log, self.link, self._polled = log, link, polled
        self._spread_s = spread_s
        self._shared = len(devices) > 1
        self._wake = Alarm()
        self._seat = Seat(places, self._wake.ring)
        self.members = members_of(
            devices,
            sink,
            log,
            link=link,
            open_link=open_link,
            make_client=make_client,
            now_ms=now_ms,
            state_dir=state_dir,
            unasked=unasked,
            archive=archive,
            wake=self._wake.ring,
            spread_s=spread_s,
        )
        demands = (Demand(), *demands)
        for member in self.members.values():
            member.pace = Pace(member.name, demands, log)
        brake = archive.brake if archive else Brake()
        self._errands = Errands(self.members.values(), brake, log)
        self._schedule = Schedule()
        self._outages = Outages(self.members, self._schedule)
        self._begun = False
        self._jobs = Jobs()
        #: The member that may have an association open, and until when it stays open for jobs.
        self._speaker: Member | None = None
        self._linger_until = inf

    async def run(self) -> None:
        """Poll due items and run jobs, for ever."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            self._begun = True
            for member in self.members.values():
                self._schedule.set(member.name, member.begin(loop.time(), self._spread_s))
        while True:
            if self._seat.is_wanted:
                await self._give_way()
            due = self._schedule.next_due
            if job := self._jobs.take(polls_wait=due is not None and due <= loop.time()):
                await self._work(job)
            elif errand := self._errands.next(loop.time(), due):
                await self._visit(*errand)
            elif name := self._schedule.pop(loop.time() + _EARLY_S):
                self._jobs.polled()
                await self._poll(self.members[name])
            else:
                await self._rest()

    def submit(
        self, name: str, talk: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        """Run a talk with a meter before waiting polls.

        The future fails with a DlmsError: at once with UnavailableError if the meter did not
        answer recently, with CallTimeoutError if the talk is not done in time.
        """
        loop = asyncio.get_running_loop()
        member = self.members[name]
        if error := member.unavailable(loop.time()):
            refused: asyncio.Future[T] = loop.create_future()
            refused.set_exception(error)
            return refused
        job = self._jobs.add(member, talk, timeout_s)
        self._wake.ring()
        return job.future

    def reconnect(self, name: str) -> None:
        """Poll a meter as soon as possible, over a new association, in any state."""
        loop = asyncio.get_running_loop()
        member = self.members[name]
        member.meter.session.renew = True
        self._outages.forgive()
        self._schedule.set(name, min(loop.time(), member.agenda.due))
        self._wake.ring()

    def refresh(self, name: str, class_id: int, obis: Obis) -> None:
        """Poll the items of an object soon, because a call has changed it."""
        member, now = self.members[name], asyncio.get_running_loop().time()
        if member.agenda.hasten(class_id, obis, now) and member.unavailable(now) is None:
            self._schedule.set(name, now)
            self._wake.ring()

    def called(self) -> None:
        """Poll the meters with a link error at once: the meter has dialled in.

        A refusal has nothing to do with the connection: after one, a meter keeps waiting.
        """
        self._outages.called = True
        now = asyncio.get_running_loop().time()
        self._outages.forgive()
        for member in self.members.values():
            if member.waits_for(LinkError):
                self._schedule.set(member.name, now)
        self._wake.ring()

    def serves(self, devices: Sequence[Device]) -> bool:
        """Whether these are its meters, as they are configured."""
        ours = {name: member.device for name, member in self.members.items()}
        return ours == {device.device_name: device for device in devices}

    def leave(self) -> list[Job]:
        """Note that `run` has been cancelled for good; return the jobs that have not begun."""
        for member in self.members.values():
            member.pace.end()
        return self._jobs.leave()

    def dismantle(self) -> None:
        """Take the meters apart, when the line is closed for good."""
        for member in self.members.values():
            member.dismantle()

    def inherit(self, job: Job) -> None:
        """Take a job that the line before has left, for a meter that is here now."""
        self._jobs.inherit(job, self.members[job.member.name])
        self._wake.ring()

    @property
    def is_engaged(self) -> bool:
        """Whether the link is open, or jobs are waiting."""
        return bool(self._jobs) or self.link.is_open

    async def farewell(self) -> None:
        """Cancel jobs and release the open association; call this after `run` has ended."""
        self._jobs.cancel()
        if self._speaker:
            await self._speaker.meter.session.release()

    async def close(self) -> None:
        """Close the link."""
        await self.link.close()
        self._seat.leave()

    # The turns

    async def _poll(self, member: Member) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        hurried = self._others_wait(member, start)
        # If this turn ends in an exception, the meter stays in the schedule.
        self._schedule.set(member.name, start + max(1.0, min(member.agenda.period, 60.0)))
        if unreachable := self._outages.unreachable(start):
            member.agenda.done(start, member.agenda.take(start))
            member.meter.statistics.polls_failed += 1
            self._polled(unreachable, 0.0)
            self._schedule.set(member.name, member.failed(unreachable, start))
            return
        await self._lend(member)
        start = loop.time()  # there may have been no place for long
        due = member.agenda.take(start)
        member.prepare(start)
        try:
            outcome = await member.meter.poll(due, hurried=hurried)
        except Exception as error:
            await member.meter.session.release()
            await member.meter.session.hang_up()
            member.agenda.done(loop.time(), due)
            self._schedule.set(member.name, member.fault(error, loop.time()))
            self._polled(DlmsError(repr(error)), 0.0)
            return
        now = loop.time()
        self._polled(outcome.error, now - start)
        if outcome.error:
            member.pace.silent()
        else:
            member.kept_pace(now - start)
        member.agenda.done(now, outcome.unread)
        member.deliver(outcome)
        if outcome.error:
            self._outages.failed(member, outcome.error, now, now - start)
        else:
            self._outages.answered(member, now)
            self._schedule.set(member.name, member.agenda.due)
        self._linger_until = now
        if self._errands.next(now, self._schedule.next_due) is None:
            await self._settle()

    def _others_wait(self, member: Member, now: float) -> bool:
        """Whether other meters are due before a silent one would have had all its tries."""
        due = self._schedule.next_due
        return self._shared and due is not None and due < now + member.tries_s

    async def _work(self, job: Job) -> None:
        try:
            await self._lend(job.member)
            if not job.future.done():
                await self._do(job)
        finally:
            self._jobs.done(job)
            self._linger_until = asyncio.get_running_loop().time() + _LINGER_S

    async def _visit(self, member: Member, visit: Visit) -> None:
        loop = asyncio.get_running_loop()
        await self._lend(member)
        start = loop.time()
        try:
            error = await self._errands.run(member, visit)
        except Exception:
            # Its profile rests: the polls go on.
            await member.meter.session.release()
            await member.meter.session.hang_up()
            return
        now = loop.time()
        if error is None:
            self._outages.answered(member, now)
        elif isinstance(error, ConnectError | RefusedError | ConfigError):
            self._outages.failed(member, error, now, now - start)
        elif isinstance(error, LinkError):
            self._schedule.set(member.name, now)  # a poll finds out whether this is an outage
        self._linger_until = now + (_LINGER_S if self._errands.goes_on(member, now) else 0.0)

    async def _do(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        member, start = job.member, loop.time()
        job.begun = True
        try:
            result = await member.meter.run(job.talk, timeout_s=job.deadline - start)
        except DlmsError as error:
            patience_s = member.meter.device.connection.timeout_ms / 1000
            if isinstance(error, LinkTimeoutError) and loop.time() - start < patience_s:
                job.expire()  # not a silent meter: it had less time than timeoutMs
            job.fail(error)
            if isinstance(error, ConnectError | RefusedError | ConfigError):
                self._outages.failed(member, error, loop.time(), 0.0)
        except Exception as error:
            await member.meter.session.release()
            await member.meter.session.hang_up()
            self._log.exception("%s: a call failed by a fault of the connector", member.name)
            job.fail(error)
        else:
            job.succeed(result)
            self._outages.answered(member, loop.time())

    async def _rest(self) -> None:
        """Wait until something is due or a job comes."""
        loop = asyncio.get_running_loop()
        # Before the release, which takes a while: a job that comes meanwhile must wake us.
        self._wake.clear()
        await self._settle()
        if self.link.is_open:
            self._seat.rest()
        else:
            self._seat.leave()
        due = self._schedule.next_due
        now = loop.time()
        until = min(inf if due is None else due, self._linger_until, self._errands.wake_at(now))
        alarm = None if until == inf else loop.call_at(until, self._wake.ring)
        try:
            await self._wake.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _lend(self, member: Member) -> None:
        """Give the link to a meter; release the association of another one first."""
        self._outages.called = False
        await self._seat.take(silent=member.is_silent)
        if self._speaker is not None and self._speaker is not member:
            await self._speaker.meter.session.release()
        self._speaker = member

    async def _give_way(self) -> None:
        """Release the association and close the link: another line needs the place."""
        speaker, self._speaker = self._speaker, None
        self._linger_until = inf
        if speaker is not None:
            await speaker.meter.session.release()
        await self.link.close()
        self._seat.leave()

    async def _settle(self) -> None:
        """Release an association that is not worth keeping; close the link if nothing is due."""
        now = asyncio.get_running_loop().time()
        if now + _EARLY_S < self._linger_until:
            return
        self._linger_until = inf
        due = self._schedule.next_due
        speaker = self._speaker
        if speaker is not None:
            if speaker.meter.session.is_open and speaker.meter.keeps(speaker.agenda.due - now):
                return
            await speaker.meter.session.release()
            self._speaker = None
        if not self._jobs and (due is None or due > now):
            await self.link.close()
