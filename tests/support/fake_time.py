"""An event loop whose time is told: it jumps to the next timer as soon as nothing is ready."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.told_time import Clock, ToldLoop, run_in

T = TypeVar("T")


class _Clock(Clock):
    """Never waits: the time it should have waited has passed."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen any more: the test hangs")
            self.now += max(0.0, timeout)
        return ready


class FakeTimeLoop(ToldLoop):
    """A loop that sleeps for nobody."""

    def __init__(self) -> None:
        super().__init__(_Clock(selectors.SelectSelector()))

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Do the work at once: a thread would need time, of which there is none here."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def pass_time(self, seconds: float) -> None:
        self._told.now += seconds


def skip(seconds: float) -> None:
    """Let time pass while something holds the loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeTimeLoop)
    loop.pass_time(seconds)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in no time."""
    return run_in(FakeTimeLoop(), coroutine)
