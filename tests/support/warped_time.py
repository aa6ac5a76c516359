"""An event loop with real sockets and threads, in which waiting takes no time.

Where nothing is ready, time passes in small steps, between which the sockets are looked at again:
what the kernel delivers late is not taken for silence. So minutes of timeouts and poll periods take
seconds, on a busy machine too, and always with the same result.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

#: Time passes so fast: what takes the kernel some hundredths of a second is no timeout of seconds.
_LOOK_AGAIN_S, _STEP_S = 0.0002, 0.05
#: What does not happen within so long really never happens.
_HANGS_S = 30.0
_WORKING_S = 0.01


class _Selector(selectors.BaseSelector):
    def __init__(self) -> None:
        self.now = 0.0
        #: Jobs in threads: they need real time.
        self.working = 0
        self._inner = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

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

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class WarpedLoop(asyncio.SelectorEventLoop):
    """A loop that begins at time 0 and skips what it would wait for."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

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
    loop = WarpedLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
