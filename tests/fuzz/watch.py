"""The limits of one input: processor time, not time on the wall, so that a busy machine is none."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time
from types import FrameType

from tests.fuzz.target import Target

#: Seconds of processor time that an input may take: as long, no other meter is served.
LIMIT_S = 0.1
#: After so many seconds it is interrupted where it is: that is for ever.
_FOR_EVER_S = 5.0
#: An input is slow if it is so each time: what it was the first to import or to fill counts once.
_TRIES = 4


class SlowError(BaseException):
    """An input takes longer than it may; no handler of the code under test is to catch it."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise SlowError(f"not done after {_FOR_EVER_S:g} s of processor time")


@contextmanager
def interrupting() -> Iterator[None]:
    """Interrupt by a signal what would not end; only in the main thread."""
    before = signal.signal(signal.SIGPROF, _interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(target: Target, octets: bytes, limit_s: float = LIMIT_S) -> float:
    """Run an input and return its seconds of processor time. Raises what is a find."""
    took = _timed(target, octets)
    if took > limit_s:
        gc.collect()
        took = min(took, *(_timed(target, octets) for _ in range(_TRIES - 1)))
        if took > limit_s:
            raise SlowError(f"{target.name}: {took * 1000:.0f} ms for {len(octets)} octets")
    return took


def _timed(target: Target, octets: bytes) -> float:
    signal.setitimer(signal.ITIMER_PROF, _FOR_EVER_S)
    began = thread_time()
    try:
        target.run(octets)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return thread_time() - began
