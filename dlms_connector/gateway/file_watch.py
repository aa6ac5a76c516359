"""Notices that a file of the configuration has changed which the gateway does not watch."""

from __future__ import annotations

from pathlib import Path

#: What tells one content from another without reading it: time, size, number of the file.
_Look = tuple[int, int, int]


class FileWatch:
    """Watches one file, or none. A change counts once the file is the same at two looks."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._loaded = self._last = self._look()

    def changed(self) -> bool:
        """Whether the file has changed since it was loaded; a missing one has not."""
        now = self._look()
        still, self._last = now == self._last, now
        if now is None or now == self._loaded or not still:
            return False
        self._loaded = now
        return True

    def _look(self) -> _Look | None:
        if self.path is None:
            return None
        try:
            status = self.path.stat()
        except (OSError, ValueError):
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
