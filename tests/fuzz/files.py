"""Files that an input becomes: in memory where the system has such a folder, gone at the end."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

#: A folder in memory: a file there costs no disk, and nobody waits until it is written.
_MEMORY = Path("/dev/shm")


@lru_cache(1)
def _made() -> tuple[Path, Any]:
    inside = _MEMORY if _MEMORY.is_dir() else None
    made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=inside)
    return Path(made.name), made


def folder() -> Path:
    """Return the folder of this process."""
    return _made()[0]


def file(name: str, octets: bytes) -> Path:
    """Return a file with these octets."""
    path = folder() / name
    path.write_bytes(octets)
    return path
