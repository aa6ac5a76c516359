"""What the process has freed is not kept from the system for ever."""

import subprocess
import sys

import pytest

from dlms_connector.gateway.free_memory import FreeMemory, _found

#: Frees every other of blocks that hold whole pages: the C library gives none back by itself.
_PROGRAM = """
import itertools
import psutil
from dlms_connector.gateway.free_memory import FreeMemory

def held():
    return psutil.Process().memory_info().rss

clock = itertools.chain([0.0, 19.0], itertools.repeat(21.0)).__next__
memory = FreeMemory(clock=clock)
kept = [bytearray(9000) for _ in range(10_000)]
del kept[::2]
before = held()
memory.look()
early = held()
memory.look()
print(before - early, early - held())
"""


def test_free_memory_is_given_back() -> None:
    if _found() is None:
        pytest.skip("this C library gives back by itself")
    out = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    early, due = map(int, out.split())
    assert early < 1_000_000
    assert due > 15_000_000


def test_it_is_done_soon_and_then_every_five_minutes() -> None:
    now = 0.0
    done: list[float] = []

    def trim(pad: int) -> int:
        assert pad == 0
        done.append(now)
        return 1

    memory = FreeMemory(trim, clock=lambda: now)
    for second in range(1000):
        now = float(second)
        memory.look()
    assert done == [20.0, 320.0, 620.0, 920.0]
