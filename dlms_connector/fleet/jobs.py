"""Talks that were submitted as jobs and wait for their turn on a line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlms_connector.errors import LinkError
from dlms_connector.fleet.member import CallTimeoutError, Member
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk

#: Most jobs in a row while polls wait.
_IN_A_ROW = 8
#: Extra time in seconds: a job's own error tells more than CallTimeoutError.
_GRACE_S = 0.05


class ReplacedError(LinkError):
    """The meter's configuration has changed while it was talked with."""

    def __init__(self) -> None:
        super().__init__("the configuration of the meter has changed meanwhile")


@dataclass(slots=True, eq=False)
class Job:
    """A talk to run with a meter, and the future for its result."""

    member: Member
    talk: Callable[[Client], Talk[Any]]
    future: asyncio.Future[Any]
    timeout_s: float
    deadline: float
    #: Set this when its talk begins: from then on the meter may have heard of it.
    begun: bool = False

    def expire(self) -> None:
        """Fail with CallTimeoutError."""
        self.fail(CallTimeoutError(self.timeout_s, begun=self.begun))

    def succeed(self, result: Any) -> None:
        """Hand over the result, if anybody still waits for it."""
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Hand over the error, if anybody still waits for the result."""
        if not self.future.done():
            self.future.set_exception(error)


class Jobs:
    """Jobs in order of arrival; they run before polls, but do not starve them."""

    def __init__(self) -> None:
        #: A list, as it is empty in almost all of thousands of lines, and short in the others.
        self._waiting: list[Job] = []
        #: The job that has its turn.
        self._present: Job | None = None
        self._in_a_row = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, member: Member, talk: Callable[[Client], Talk[Any]], timeout_s: float) -> Job:
        """Add a job, which fails with CallTimeoutError if it is not done in time."""
        loop = asyncio.get_running_loop()
        job = Job(member, talk, loop.create_future(), timeout_s, loop.time() + timeout_s)
        timer = loop.call_at(job.deadline + _GRACE_S, job.expire)
        job.future.add_done_callback(lambda _: timer.cancel())
        self._waiting.append(job)
        return job

    def inherit(self, job: Job, member: Member) -> None:
        """Take a job that another line has not begun, for the same meter, which is here now."""
        job.member = member
        self._waiting.append(job)

    def take(self, *, polls_wait: bool) -> Job | None:
        """Return the next job, None if there is none or if it is the polls' turn."""
        while self._waiting and self._waiting[0].future.done():
            self._waiting.pop(0)
        if not self._waiting or (polls_wait and self._in_a_row >= _IN_A_ROW):
            return None
        self._in_a_row += 1
        self._present = self._waiting.pop(0)
        return self._present

    def done(self, job: Job) -> None:
        """Note that a job's turn is over: if it has no result by now, it gets none."""
        if job is self._present:
            self._present = None
            job.future.cancel()

    def polled(self) -> None:
        """Note that a poll had its turn."""
        self._in_a_row = 0

    def cancel(self) -> None:
        """Cancel all waiting jobs."""
        for job in self._waiting:
            job.future.cancel()

    def leave(self) -> list[Job]:
        """Give away the jobs that have not begun, in order; the one that has fails."""
        left, self._waiting = self._waiting, []
        present, self._present = self._present, None
        if present is not None and present.begun:
            present.fail(ReplacedError())
        elif present is not None:
            left.insert(0, present)
        return left
