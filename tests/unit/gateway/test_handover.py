"""Waiting until the gateway has taken what was handed to it."""

from __future__ import annotations

from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from dlms_connector.gateway.handover import until_taken

Task = tuple[str, str, Any]


class Gateway:
    """Takes tasks as gateway 3.8.5 does: all that are there at once, to work them off later."""

    def __init__(self, *tasks: Task) -> None:
        self.stopped = False
        self.tasks: SimpleQueue[Task] = SimpleQueue()
        self.taken: list[Task] = []
        self.done: list[Task] = []
        for task in tasks:
            self.tasks.put(task)

    def get_converted_data_queue(self) -> SimpleQueue[Task]:
        return self.tasks

    def step(self) -> None:
        """Work off one task, or take all that wait."""
        if self.taken:
            self.done.append(self.taken.pop(0))
            return
        while not self.tasks.empty():
            self.taken.append(self.tasks.get_nowait())


TASKS = [("DLMS", "id", {"deviceName": name}) for name in ("A", "B", "C")]


def test_all_is_worked_off_when_it_returns() -> None:
    gateway = Gateway(*TASKS)
    assert until_taken(gateway, 30.0, pause=gateway.step)
    assert gateway.done[:3] == TASKS


def test_what_was_taken_before_is_waited_for() -> None:
    gateway = Gateway(*TASKS)
    gateway.step()
    assert gateway.tasks.empty()
    assert until_taken(gateway, 30.0, pause=gateway.step)
    assert gateway.done == TASKS


@pytest.mark.parametrize("gateway", [Gateway(*TASKS), Gateway()])
def test_a_gateway_that_takes_nothing_is_not_waited_for_longer(gateway: Gateway) -> None:
    assert not until_taken(gateway, 0.0)


def test_a_gateway_that_ends_is_not_waited_for() -> None:
    """Its thread has ended before connectors are closed."""
    gateway = Gateway(*TASKS)
    gateway.stopped = True
    assert not until_taken(gateway, 30.0)


def test_another_gateway_is_not_waited_for() -> None:
    assert not until_taken(SimpleNamespace(stopped=False), 30.0)
