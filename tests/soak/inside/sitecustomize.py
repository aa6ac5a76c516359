"""Counts the objects of the process it is found by at its start: of the gateway in a soak run.

Python imports a module of this name by itself. What its collector tracks tells of leaks that the
memory of the whole process hides for hours.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter

_EVERY_S = float(os.environ.get("SOAK_EVERY_S", "10"))
_MOST_TYPES = 40


def _count(path: str) -> None:
    while True:
        time.sleep(_EVERY_S)
        # Only what has lasted: who holds a tuple that another thread is making breaks its making.
        types = Counter(type(one).__name__ for one in gc.get_objects(generation=2))
        names = Counter(one.name.rstrip("0123456789") for one in threading.enumerate())
        common = " ".join(f"{name}={count}" for name, count in types.most_common(_MOST_TYPES))
        threads = " ".join(f"{name.replace(' ', '_')}={count}" for name, count in names.items())
        line = f"{time.time():.0f} {types.total() + gc.get_freeze_count()} | {common} | {threads}\n"
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123  # as little as can be
            file.write(line)


if _PATH := os.environ.get("SOAK_OBJECTS"):
    threading.Thread(target=_count, args=(_PATH,), name="soak objects", daemon=True).start()
