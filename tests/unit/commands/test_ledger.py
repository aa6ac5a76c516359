"""Each call is answered once."""

from __future__ import annotations

import threading
from typing import Any

from dlms_connector.commands.ledger import Ledger
from dlms_connector.commands.request import Request


class Platform:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, Any]] = []
        self.there = True
        self.now = 0.0
        self.ledger = Ledger(self.send, lambda: self.now)

    def send(self, device: str, number: int, content: Any) -> bool:
        if self.there:
            self.heard.append((device, number, content))
        return self.there

    def take(self, number: int = 1, method: str = "m", params: Any = None) -> Any:
        return self.ledger.take(Request("M1", number, method, params))


def test_a_call_is_answered_once() -> None:
    platform = Platform()
    answer = platform.take()
    answer({"result": 1})
    answer({"result": 2})
    assert platform.heard == [("M1", 1, {"result": 1})]


def test_a_repeated_call_is_not_taken_again() -> None:
    platform = Platform()
    answer = platform.take()
    assert platform.take() is None
    answer({"result": 1})
    assert platform.take() is None
    assert len(platform.heard) == 1


def test_the_same_number_later_or_for_another_call_is_another_call() -> None:
    platform = Platform()
    platform.take()({"result": 1})
    other = platform.take(method="n")
    platform.take(params={"a": 1})({"result": 3})
    other({"result": 2})
    platform.now = 21.0
    platform.take(params={"a": 1})({"result": 4})
    assert [content["result"] for _, _, content in platform.heard] == [1, 3, 2, 4]


def test_a_call_under_way_is_not_repeated_however_long_it_takes() -> None:
    platform = Platform()
    platform.take()
    platform.now = 600.0
    assert platform.take() is None


def test_an_answer_that_nobody_heard_is_given_when_asked_again() -> None:
    platform = Platform()
    answer = platform.take()
    platform.there = False
    answer({"result": 1})
    platform.there = True
    assert platform.heard == []
    assert platform.take() is None
    assert platform.take() is None
    assert platform.heard == [("M1", 1, {"result": 1})]


def test_at_the_end_whatever_is_open_is_answered() -> None:
    platform = Platform()
    done, waiting = platform.take(1), platform.take(2)
    done({"result": 1})
    platform.ledger.close({"error": "stopped"})
    waiting({"result": 2})
    assert platform.take(3) is None
    assert platform.heard == [
        ("M1", 1, {"result": 1}),
        ("M1", 2, {"error": "stopped"}),
        ("M1", 3, {"error": "stopped"}),
    ]


def test_two_threads_answer_once() -> None:
    platform = Platform()
    answers = [platform.take(number) for number in range(200)]
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait()
        for answer in answers:
            answer({"result": 0})

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for _, number, _ in platform.heard) == list(range(200))


def test_only_so_many_are_remembered() -> None:
    platform = Platform()
    for number in range(1500):
        platform.take(number)({"result": number})
    assert len(platform.ledger._calls) == 1000
    assert platform.ledger._open == {}
