"""Counts the objects of the process it is found by at its start: of the gateway in a soak run.

Python imports a module of this name by itself. What its collector tracks and what is in use of the
C library's memory tell of leaks that the memory of the whole process hides for hours: both Python
and the C library keep what was freed.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections import Counter

_EVERY_S = float(os.environ.get("SOAK_EVERY_S", "10"))
_MOST_TYPES = 40
#: All that stands between the gateway and the meters of one configuration.
_PARTS = "Parts"


class _MallInfo2(ctypes.Structure):
    """What glibc's mallinfo2(3) returns, in octets."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


def _in_use() -> int:
    """Return the octets of the C library's memory that are in use; 0 where it does not tell."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = _MallInfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def _count(path: str) -> None:
    while True:
        time.sleep(_EVERY_S)
        # Only what has lasted: who holds a tuple that another thread is making breaks its making.
        types = Counter(type(one).__name__ for one in gc.get_objects(generation=2))
        names = Counter(one.name.rstrip("0123456789") for one in threading.enumerate())
        common = " ".join(f"{name}={count}" for name, count in types.most_common(_MOST_TYPES))
        threads = " ".join(f"{name.replace(' ', '_')}={count}" for name, count in names.items())
        objects = types.total() + gc.get_freeze_count()
        blocks, octets = sys.getallocatedblocks(), _in_use()
        head = f"{time.time():.0f} {objects} {blocks} {octets} {types[_PARTS]}"
        line = f"{head} | {common} | {threads}\n"
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123  # as little as can be
            file.write(line)


if _PATH := os.environ.get("SOAK_OBJECTS"):
    threading.Thread(target=_count, args=(_PATH,), name="soak objects", daemon=True).start()
