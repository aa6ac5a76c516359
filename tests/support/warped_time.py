"""An event loop with real sockets and threads, in which waiting takes no time.

Where nothing is ready, time passes in small steps, between which the sockets are looked at again:
what the kernel delivers late is not taken for silence. So minutes of timeouts and poll periods take
seconds, on a busy machine too, and always with the same result.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.told_time import Clock, ToldLoop, run_in

T = TypeVar("T")

#: Time passes so fast: what takes the kernel some hundredths of a second is no timeout of seconds.
_LOOK_AGAIN_S, _STEP_S = 0.0002, 0.05
#: What does not happen within so long really never happens.
_HANGS_S = 30.0
_WORKING_S = 0.01


class _Clock(Clock):
    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        #: Jobs in threads: they need real time.
        self.working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.working:
            return self._inner.select(_WORKING_S)
        if timeout is None:
            if not (ready := self._inner.select(_HANGS_S)):
                raise RuntimeError("nothing will ever happen any more: the test hangs")
            return ready
        time.sleep(_LOOK_AGAIN_S)
        if not (ready := self._inner.select(0)):
            self.now += min(timeout, _STEP_S)
        return ready


class WarpedLoop(ToldLoop):
    """A loop that skips what it would wait for."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self._clock.working += 1
        done.add_done_callback(self._worked)
        return done

    def _worked(self, _: object) -> None:
        self._clock.working -= 1


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return run_in(WarpedLoop(), coroutine)
