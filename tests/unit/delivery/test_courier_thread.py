"""The courier's thread: it wakes for news, survives faults, and ends in time."""

from __future__ import annotations

import logging
from threading import Event

import pytest

from dlms_connector.delivery import CourierThread
from tests.support.delivered import Delivery, row

LOG = logging.getLogger("test courier thread")


def test_news_wake_it_and_the_end_writes_what_is_known() -> None:
    delivery = Delivery(confirm="receipts")
    thread = CourierThread(delivery.courier, LOG)
    thread.start("test delivering")
    entries = delivery.outbox.keep([row("M1", 1)])
    sent = Event()
    thread.put(lambda courier: courier.add(entries))
    thread.put(lambda courier: courier.step())
    thread.put(lambda courier: sent.set())
    assert sent.wait(30)
    assert len(delivery.platform.sent) == 1
    (number,) = delivery.outbox.entries
    thread.put(lambda courier: courier.receipt("M1", number))
    assert thread.close(30)
    assert delivery.outbox.proved == {number}


def test_a_fault_of_the_gateway_is_logged_once_and_work_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivery = Delivery(confirm="none")
    thread = CourierThread(delivery.courier, LOG)
    thread.start("test delivering")
    done = Event()

    def fail(courier: object) -> None:
        raise RuntimeError("the gateway's")

    thread.put(fail)
    thread.put(fail)
    thread.put(lambda courier: done.set())
    assert done.wait(30)
    assert thread.close(30)
    assert caplog.text.count("delivery failed and goes on") == 1
