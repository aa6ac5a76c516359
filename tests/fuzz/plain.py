"""Fuzzing without coverage: the short form of the tests, and where atheris is not installed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import count

from tests.fuzz.mutating import mutated
from tests.fuzz.table import beginnings
from tests.fuzz.target import Target
from tests.fuzz.watch import SlowError, check, interrupting


class FindError(AssertionError):
    """An input that is a find; it is told in hexadecimal."""

    def __init__(self, target: Target, octets: bytes, error: BaseException) -> None:
        super().__init__(f"{target.name}: {error!r} for {octets.hex()}")
        self.octets = octets


def fuzz(
    target: Target, runs: int, seed: int, seconds: float | None = None, more: Sequence[bytes] = ()
) -> int:
    """Run the beginnings of a target and `more`, and so many changed inputs; return how many ran.

    Raises FindError.
    """
    rng = random.Random(f"{target.name} {seed}")
    pool = [*beginnings(target), *more]
    until = None if seconds is None else time.monotonic() + seconds
    done = 0
    with interrupting():
        for octets in pool:
            _try(target, octets)
            done += 1
        for number in count():
            if number >= runs or (until is not None and time.monotonic() > until):
                break
            _try(target, mutated(rng, pool, target.words, target.longest))
            done += 1
    return done


def _try(target: Target, octets: bytes) -> None:
    try:
        check(target, octets)
    except (Exception, SlowError) as error:
        raise FindError(target, octets, error) from error
