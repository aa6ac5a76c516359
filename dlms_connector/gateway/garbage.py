"""Keeps Python's search for garbage away from what stays: a fleet has millions of objects.

A full search looks at each of them while everything stands still: seconds in which no meter is
polled, now and then, and as long again when the process ends. What was made to stay is taken out of
the search (`gc.freeze`); small fleets do without.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

#: From so many meters on it is worth it.
_MANY = 1000
#: What is no more, or is about to go.
_ended: WeakSet[object] = WeakSet()


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the search while a fleet is made.

    It would look through all meters that are there again and again: of ten thousand it took more
    than half of the time, in which another gateway's meters wait for this one to take them over.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def keep_loaded(meters: int) -> None:
    """Take out of the search what a configuration is made of; call it before anything is polled.

    What an earlier configuration has left goes at once. By itself Python searches everything only
    when there is a quarter more: that may be several fleets that are no more.
    """
    gc.unfreeze()
    gc.collect()
    if meters >= _MANY:
        gc.freeze()


def keep_running(meters: int) -> None:
    """Take out what has been added since: sessions and connections that last."""
    if meters >= _MANY:
        gc.collect(1)  # all but the oldest, which would take seconds
        gc.freeze()


def expect(ended: object) -> None:
    """Note something large that has ended, but that its threads may hold for a while."""
    _ended.add(ended)


def take_away_ended() -> None:
    """Search once more if that is there still: its threads ended behind the first search."""
    if not _ended:
        return
    _ended.clear()
    frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()


def ending() -> None:
    """Let the process end without a last search."""
    gc.freeze()
