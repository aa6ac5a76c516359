"""SIGTERM does what the gateway does on SIGINT, where nobody else has a use for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dlms_connector.gateway.signals import end_in_order


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Stand for the gateway's own handler; what it had to do is noted."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard: list[str] = []
    signal.signal(signal.SIGINT, lambda *_: heard.append("SIGINT"))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def gateway(*, stopped: bool = False) -> Any:
    return SimpleNamespace(stopped=stopped)


def test_the_first_is_taken_and_the_second_ends_the_process(heard: list[str]) -> None:
    assert end_in_order(gateway())
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["SIGINT"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_in_the_middle_of_the_shutdown_it_is_passed_over(heard: list[str]) -> None:
    assert end_in_order(gateway(stopped=True))
    signal.raise_signal(signal.SIGTERM)
    assert heard == []


def test_the_handler_of_another_is_left(heard: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: heard.append("theirs"))
    assert not end_in_order(gateway())
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["theirs"]


def test_two_connectors_have_one_handler(heard: list[str]) -> None:
    assert [end_in_order(gateway()) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN, signal.SIG_DFL])
def test_without_a_handler_of_the_gateways_nothing_is_changed(
    heard: list[str], handler: Any
) -> None:
    signal.signal(signal.SIGINT, handler)
    assert not end_in_order(gateway())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def in_another_thread(gateway: Any) -> bool:
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(end_in_order(gateway)))
    thread.start()
    thread.join()
    return said[0]


def test_another_thread_cannot(heard: list[str]) -> None:
    assert not in_another_thread(gateway())


def test_the_main_thread_does_it_when_it_waits_for_the_end(heard: list[str]) -> None:
    """So where the platform adds the first connector."""
    event = threading.Event()
    waiting = SimpleNamespace(stopped=False, stop_event=event)
    assert in_another_thread(waiting)
    assert not in_another_thread(waiting), "once is enough"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    # The gateway's other threads wait for it, too.
    stands_in = waiting.stop_event
    other = threading.Thread(target=lambda: stands_in.wait(0))
    other.start()
    other.join()
    assert waiting.stop_event is stands_in
    assert not stands_in.is_set()
    assert waiting.stop_event.wait(0) is False
    assert waiting.stop_event is event
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["SIGINT"]
    stands_in.set()  # who has held it all the time
    assert event.is_set()
    assert stands_in.wait()
