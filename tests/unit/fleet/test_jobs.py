"""Jobs that wait for their turn on a line."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from dlms_connector.fleet.jobs import Jobs
from dlms_connector.fleet.member import CallTimeoutError, Member
from tests.support import fake_time

MEMBER = cast("Member", None)


def never(_client: Any) -> Any:
    raise AssertionError("a queue does not hold the conversations")


def test_jobs_come_in_their_order_and_do_not_starve_polls() -> None:
    async def body() -> None:
        jobs = Jobs()
        added = [jobs.add(MEMBER, never, 5.0) for _ in range(10)]
        assert [jobs.take(polls_wait=True) for _ in range(9)] == [*added[:8], None]
        assert jobs.take(polls_wait=False) is added[8], "no poll waits"
        jobs.polled()
        assert jobs.take(polls_wait=True) is added[9]
        assert jobs.take(polls_wait=True) is None
        assert not jobs

    fake_time.run(body())


def test_a_job_that_is_not_done_in_time_fails_and_is_passed_over() -> None:
    async def body() -> None:
        jobs = Jobs()
        late, last = jobs.add(MEMBER, never, 1.0), jobs.add(MEMBER, never, 9.0)
        await asyncio.sleep(2)
        error = late.future.exception()
        assert isinstance(error, CallTimeoutError)
        assert not error.begun
        assert str(error).endswith("within 1 s, as its turn on the line did not come")
        assert jobs.take(polls_wait=False) is last
        late.succeed("too late")
        late.fail(ValueError())
        last.succeed("in time")
        assert await last.future == "in time"

    fake_time.run(body())


def test_a_job_that_has_begun_says_so_when_its_time_is_over() -> None:
    async def body() -> None:
        jobs = Jobs()
        job = jobs.add(MEMBER, never, 1.0)
        assert jobs.take(polls_wait=False) is job
        assert not job.begun, "the line may have to wait for a connection first"
        job.begun = True
        await asyncio.sleep(2)
        error = job.future.exception()
        assert isinstance(error, CallTimeoutError)
        assert error.begun
        assert str(error) == "the call was not done within 1 s"

    fake_time.run(body())


def test_nobody_waits_when_the_line_ends() -> None:
    async def body() -> None:
        jobs = Jobs()
        job = jobs.add(MEMBER, never, 5.0)
        jobs.cancel()
        assert job.future.cancelled()

    fake_time.run(body())
