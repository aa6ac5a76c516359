"""Talks in quick succession: when the files of a counter are looked at, and when not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dlms_connector.state.heard import STEP
from dlms_connector.state.invocation_counter import InvocationCounter
from tests.support import fake_time

TITLE = b"SIM\x00\x00\x00\x00\x01"


class Bench:
    """A counter, and how often its files were looked at."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.counter = InvocationCounter("M1", folder / "counter.json")
        prepare = InvocationCounter._prepare

        def counting(counter: InvocationCounter) -> None:
            self.looks += 1
            prepare(counter)

        monkeypatch.setattr(InvocationCounter, "_prepare", counting)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def on(test: Callable[[], Awaitable[None]]) -> None:
    async def body() -> None:
        await test()

    fake_time.run(body())


def test_talks_within_a_second_look_once(bench: Bench) -> None:
    async def test() -> None:
        numbers = []
        for _ in range(5):
            await bench.counter.begin()
            numbers.append(bench.counter.next())
            await asyncio.sleep(0.1)
        assert bench.looks == 1
        await asyncio.sleep(1)
        await bench.counter.begin()
        numbers.append(bench.counter.next())
        assert bench.looks == 2
        assert numbers == sorted(set(numbers))

    on(test)


def test_what_the_first_reply_tells_is_stored_before_the_next_request(bench: Bench) -> None:
    async def test() -> None:
        await bench.counter.begin()
        bench.counter.hear(TITLE, 7, opening=True)
        await bench.counter.begin()
        assert bench.looks == 2

    on(test)


def test_a_crash_loses_no_more_heard_numbers_than_before(bench: Bench) -> None:
    async def test() -> None:
        await bench.counter.begin()
        for number in range(STEP):
            bench.counter.hear(TITLE, number, opening=False)
            await bench.counter.begin()
        assert bench.looks == 2

    on(test)


def test_few_numbers_left_are_a_reason_to_look(bench: Bench) -> None:
    async def test() -> None:
        await bench.counter.begin()
        for _ in range(97):
            bench.counter.next()
        await bench.counter.begin()
        assert bench.looks == 2
        assert bench.counter.next() == 98

    on(test)
