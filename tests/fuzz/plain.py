"""Fuzzing without coverage: the short form of the tests, and where atheris is not installed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from tests.fuzz.mutating import mutated
from tests.fuzz.table import beginnings
from tests.fuzz.target import Target
from tests.fuzz.watch import SlowError, check, interrupting


class FindError(AssertionError):
    """An input that is a find, told in hexadecimal; `before` is how many were run before it."""

    def __init__(self, target: Target, octets: bytes, error: BaseException, before: int) -> None:
        super().__init__(f"{target.name}: {error!r} for {octets.hex()}")
        self.octets, self.before = octets, before


def fuzz(
    target: Target, runs: int, seed: int, seconds: float | None = None, more: Sequence[bytes] = ()
) -> int:
    """Run the beginnings of a target and `more`, then so many changed inputs.

    Returns how many of these were run. Raises FindError.
    """
    rng = random.Random(f"{target.name} {seed}")
    pool = [*beginnings(target), *more]
    until = None if seconds is None else time.monotonic() + seconds
    with interrupting():
        for octets in pool:
            _try(target, octets, 0)
        for number in range(runs):
            if until is not None and time.monotonic() > until:
                return number
            _try(target, mutated(rng, pool, target.words, target.longest), number)
    return runs


def _try(target: Target, octets: bytes, before: int) -> None:
    try:
        check(target, octets)
    except (Exception, SlowError) as error:
        raise FindError(target, octets, error, before) from error
