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


def test_another_thread_cannot(heard: list[str]) -> None:
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(end_in_order(gateway())))
    thread.start()
    thread.join()
    assert said == [False]
