"""What has ended leaves the memory, also if its threads end later than the search for it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from dlms_connector.gateway import garbage
from dlms_connector.gateway.free_memory import FreeMemory


class Parts:
    """Holds itself, as what it is made of does."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture(autouse=True)
def no_search() -> Iterator[None]:
    """Python does not search by itself meanwhile."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("meters", [1, 1000])
def test_what_was_held_while_its_successor_began_goes_soon(meters: int) -> None:
    parts = thread = Parts()
    left = ref(parts)
    garbage.expect(parts)
    del parts
    garbage.keep_loaded(meters)
    frozen = gc.get_freeze_count() > 0
    assert frozen is (meters >= 1000)
    now = 0.0
    memory = FreeMemory(lambda pad: 1, lambda: now)
    del thread
    memory.look()
    assert left() is not None
    now = 21.0
    memory.look()
    assert left() is None
    assert (gc.get_freeze_count() > 0) is frozen


def test_nothing_is_searched_where_nothing_is_left() -> None:
    searched: list[str] = []
    gc.callbacks.append(lambda phase, facts: searched.append(phase))
    try:
        parts = Parts()
        garbage.expect(parts)
        garbage.take_away_ended()
        once = len(searched)
        garbage.take_away_ended()  # it is there still: what else holds it is not known
    finally:
        gc.callbacks.pop()
    assert once
    assert len(searched) == once
