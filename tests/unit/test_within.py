from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dlms_connector.within import within


async def soon(result: object = None) -> object:
    await asyncio.sleep(0)
    if isinstance(result, Exception):
        raise result
    return result


async def test_what_comes_in_time_is_returned_or_raised() -> None:
    for seconds in (None, 1000):
        assert await within(seconds, soon("x")) == "x"
        with pytest.raises(ZeroDivisionError):
            await within(seconds, soon(ZeroDivisionError()))


async def test_what_takes_longer_is_cancelled_and_waited_for() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with pytest.raises(asyncio.TimeoutError):
        await within(0.001, slow())
    assert ended == [True]


async def test_a_result_that_comes_at_the_last_moment_is_not_lost() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return "after all"
        raise AssertionError

    assert await within(0.001, stubborn()) == "after all"


@pytest.mark.parametrize("outcome", ["a result", ZeroDivisionError()])
@pytest.mark.parametrize("seconds", [None, 1000])
async def test_a_cancellation_counts_at_whatever_moment_it_comes(
    seconds: float | None, outcome: object
) -> None:
    async def wait(until: Callable[[], Awaitable[object]]) -> None:
        await within(seconds, until())
        await asyncio.sleep(1000)

    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    for turns in range(8):
        waiting = asyncio.ensure_future(wait(lambda: soon(outcome)))
        for _ in range(turns):
            await asyncio.sleep(0)
        failed = waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=5)
        assert waiting.cancelled() or failed
    assert complaints == [] or isinstance(outcome, Exception)
