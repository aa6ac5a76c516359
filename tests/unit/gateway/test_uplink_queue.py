"""Jobs run in order, in one thread, and whatever one of them does the next one runs."""

import logging
from functools import partial
from threading import Event, current_thread

import pytest

from dlms_connector.gateway.uplink_queue import UplinkQueue

LOG = logging.getLogger("uplink_queue")


def nothing() -> None:
    """Stand for a job."""


def refuse(n: int) -> None:
    """Stand for a job that fails in other words each time."""
    raise KeyError(n)


def test_in_order_and_in_one_thread() -> None:
    queue = UplinkQueue(LOG)
    seen: list[tuple[int, str]] = []
    for n in range(100):
        queue.put(partial(lambda n: seen.append((n, current_thread().name)), n))
    queue.start("uplink")
    assert queue.close(5)
    assert seen == [(n, "uplink") for n in range(100)]


def test_idle_runs_between_jobs_and_without() -> None:
    idle = Event()
    queue = UplinkQueue(LOG, idle=idle.set, idle_s=lambda: 0.01)
    queue.start("uplink")
    assert idle.wait(5)
    idle.clear()
    assert idle.wait(5)
    queue.close(1)


def test_what_comes_during_a_rest_is_done_after_it() -> None:
    queue = UplinkQueue(LOG, rest_s=0.01)
    queue.start("uplink")
    for _ in range(20):
        done = Event()
        queue.put(done.set)
        assert done.wait(30)
    assert queue.close(5)


def test_a_rest_ends_when_the_queue_is_closed() -> None:
    queue = UplinkQueue(LOG, rest_s=3600)
    queue.start("uplink")
    first, second = Event(), Event()
    queue.put(first.set)
    assert first.wait(30)
    queue.put(second.set)
    assert queue.close(30)
    assert second.is_set()


def test_a_job_that_raises_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    queue = UplinkQueue(LOG)
    done = Event()
    for n in range(3):
        queue.put(partial(refuse, n))
    queue.put(done.set)
    queue.start("uplink")
    assert done.wait(5)
    queue.close(1)
    assert [one.getMessage() for one in caplog.records] == [
        "sending to the gateway failed: KeyError: 0"
    ]


def test_too_much_drops_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[int] = []
    queue = UplinkQueue(LOG, limit=3, dropped=dropped.append)
    seen: list[int] = []
    for n in range(5):
        queue.put(partial(seen.append, n))
    queue.start("uplink")
    queue.close(5)
    assert seen == [2, 3, 4]
    assert dropped == [1, 1]
    assert len(caplog.records) == 1


def test_too_much_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    done, idle = Event(), Event()
    queue = UplinkQueue(LOG, idle=idle.set, limit=1, idle_s=lambda: 0.01)
    for _ in range(2):
        queue.put(nothing)
        queue.put(done.set)
    assert len(caplog.records) == 1
    queue.start("uplink")
    assert done.wait(30)
    idle.clear()
    assert idle.wait(30)  # it has nothing to do
    hold, held = Event(), Event()

    def wait() -> None:
        held.set()
        assert hold.wait(30)

    queue.put(wait)
    assert held.wait(30)
    queue.put(nothing)
    queue.put(nothing)
    hold.set()
    assert len(caplog.records) == 2
    queue.close(30)


def test_close_does_not_wait_for_a_thread_that_rests() -> None:
    idle = Event()
    queue = UplinkQueue(LOG, idle=idle.set, idle_s=lambda: 1000)
    queue.start("uplink")
    assert idle.wait(30)
    assert queue.close(30)


def test_close_does_not_wait_for_what_hangs() -> None:
    dropped: list[int] = []
    queue, entered, release = UplinkQueue(LOG, dropped=dropped.append), Event(), Event()

    def hang() -> None:
        entered.set()
        assert release.wait(60)

    queue.put(hang)
    queue.put(lambda: pytest.fail("ran after close"))
    queue.start("uplink")
    assert entered.wait(5)
    assert not queue.close(0.05)
    assert dropped == [1]
    queue.put(nothing)
    release.set()


def test_close_without_start() -> None:
    queue = UplinkQueue(LOG)
    assert queue.close(0)


def test_what_is_not_done_is_told() -> None:
    """A job that is dropped, left over at the end, or comes too late."""
    lost: list[str] = []
    queue = UplinkQueue(LOG, limit=1)
    for name in ("first", "second"):
        queue.put(lambda: None, lost=partial(lost.append, name))
    assert lost == ["first"]
    queue.close(0.0)
    queue.put(lambda: None, lost=partial(lost.append, "late"))
    assert lost == ["first", "second", "late"]
