"""What the backfills of all meters share: the records of what was read, and one brake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from dlms_connector.fleet.brake import Brake
from dlms_connector.records import Known, Source

T = TypeVar("T")


class Records(Protocol):
    """What is asked of the records. Each call may wait for the disk; raises OSError."""

    def known(self, source: Source) -> Known:
        """Return what was read of a profile."""
        ...

    def noted(self, device: str, serial: str, now_ms: int) -> bool:
        """Note a meter's identity; return whether it is another meter than before."""
        ...

    def held_from(self, source: Source, oldest_ms: int) -> None:
        """Note that a meter holds no older rows of a profile."""
        ...


@dataclass(slots=True)
class Archive:
    """The records, the thread in which they are asked, and the brake of all errands."""

    records: Records
    executor: Executor | None = None
    brake: Brake = field(default_factory=Brake)

    def ask(
        self,
        question: Callable[[], T],
        answered: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Ask the records outside of the loop; one of both is called in the loop afterwards."""
        loop = asyncio.get_running_loop()

        def done(future: asyncio.Future[T]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                answered(future.result())
            elif isinstance(error, Exception):
                failed(error)

        loop.run_in_executor(self.executor, question).add_done_callback(done)

    def close(self) -> None:
        """End the thread after what it is doing; questions that wait are not asked any more."""
        if self.executor is not None:
            self.executor.shutdown(wait=False, cancel_futures=True)
