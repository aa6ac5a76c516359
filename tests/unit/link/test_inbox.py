from __future__ import annotations

import asyncio

import pytest

from dlms_connector.errors import LinkClosedError
from dlms_connector.link.inbox import PAUSE_ABOVE, PORTION, Inbox


def make_inbox() -> tuple[Inbox, list[str]]:
    calls: list[str] = []
    return Inbox(lambda: calls.append("pause"), lambda: calls.append("resume")), calls


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_what_is_there_comes_at_once() -> None:
    inbox, _ = make_inbox()
    inbox.put(b"a")
    inbox.put(b"b")
    assert await inbox.get(soon(-1)) == b"ab"
    assert await inbox.get(soon(-1)) == b""
    assert inbox.take() == b""


async def test_what_arrives_wakes_the_reader() -> None:
    inbox, _ = make_inbox()
    asyncio.get_running_loop().call_soon(inbox.put, b"a")
    assert await inbox.get(soon(1000)) == b"a"


async def test_the_deadline_passes() -> None:
    inbox, _ = make_inbox()
    deadline = soon(0.01)
    assert await inbox.get(deadline) == b""
    assert soon(0) >= deadline


async def test_a_timer_serves_later_deadlines_and_earlier_ones() -> None:
    inbox, _ = make_inbox()
    for seconds in (0.02, 1000, 0.01, 0.03, 1000, 1000):
        asyncio.get_running_loop().call_soon(inbox.put, b"a")
        assert await inbox.get(soon(seconds)) == b"a"
    assert await inbox.get(soon(0.03)) == b""
    # the timer of 20 ms fires while a reader waits for longer
    asyncio.get_running_loop().call_soon(inbox.put, b"a")
    assert await inbox.get(soon(0.01)) == b"a"
    deadline = soon(0.03)
    assert await inbox.get(deadline) == b""
    assert soon(0) >= deadline
    # and while nobody waits
    asyncio.get_running_loop().call_soon(inbox.put, b"a")
    assert await inbox.get(soon(0.005)) == b"a"
    await asyncio.sleep(0.01)
    assert await inbox.get(soon(0.001)) == b""


async def test_an_earlier_deadline_does_not_wait_for_the_timer_of_a_later_one() -> None:
    inbox, _ = make_inbox()
    asyncio.get_running_loop().call_soon(inbox.put, b"a")
    assert await inbox.get(soon(1000)) == b"a"
    assert await asyncio.wait_for(inbox.get(soon(0.01)), 5) == b""


async def test_the_end_comes_behind_what_arrived() -> None:
    inbox, _ = make_inbox()
    inbox.put(b"a")
    inbox.end()
    assert await inbox.get(soon(1)) == b"a"
    with pytest.raises(LinkClosedError):
        await inbox.get(soon(1))


async def test_the_end_wakes_the_reader() -> None:
    inbox, _ = make_inbox()
    asyncio.get_running_loop().call_soon(inbox.end)
    with pytest.raises(LinkClosedError):
        await inbox.get(soon(1000))


async def test_a_cancelled_reader_loses_nothing() -> None:
    inbox, _ = make_inbox()
    task = asyncio.ensure_future(inbox.get(soon(1000)))
    await asyncio.sleep(0)
    inbox.put(b"a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await inbox.get(soon(1)) == b"a"


async def test_two_readers_are_a_mistake() -> None:
    inbox, _ = make_inbox()
    task = asyncio.ensure_future(inbox.get(soon(1000)))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await inbox.get(soon(1000))
    inbox.put(b"a")
    assert await task == b"a"


async def test_a_babbler_is_made_to_wait() -> None:
    inbox, calls = make_inbox()
    inbox.put(bytes(PAUSE_ABOVE))
    assert calls == []
    inbox.put(b"a")
    inbox.put(b"b")
    assert calls == ["pause"]
    assert len(inbox.take()) == PAUSE_ABOVE + 2
    assert calls == ["pause", "resume"]


async def test_after_the_end_nobody_is_asked_to_go_on() -> None:
    inbox, calls = make_inbox()
    inbox.put(bytes(PAUSE_ABOVE + 1))
    inbox.end()
    inbox.take()
    assert calls == ["pause"]


async def test_a_flood_is_read_in_portions_and_others_run_between() -> None:
    inbox, _ = make_inbox()
    flood = bytes(range(256)) * 1024
    inbox.put(flood)
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "other")
    first = await inbox.get(soon(-1))
    assert len(first) == PORTION
    assert ran == []
    second = await inbox.get(soon(-1))
    assert ran == ["other"]
    assert first + second + inbox.take() == flood
    inbox.put(b"last")
    assert await inbox.get(soon(-1)) == b"last"
