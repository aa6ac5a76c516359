"""What event loops have in common whose time is told: see `fake_time` and `warped_time`."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Clock(selectors.BaseSelector):
    """A selector that decides how time passes where nothing is ready: in its `select`."""

    def __init__(self, inner: selectors.BaseSelector) -> None:
        self.now = 0.0
        self._inner = inner

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class ToldLoop(asyncio.SelectorEventLoop):
    """A loop that begins at time 0 of its clock."""

    def __init__(self, clock: Clock) -> None:
        self._told = clock
        super().__init__(clock)

    def time(self) -> float:
        return self._told.now


def run_in(loop: ToldLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, and close the loop."""
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
