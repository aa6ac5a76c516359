"""State of the commands per meter that survives a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from logging import Logger
from pathlib import Path
from threading import Lock
from typing import Any

from dlms_connector.state.private_files import write

#: Connectors of one gateway share the folder and its files; each has its own devices.
_WRITING = Lock()


class Kept:
    """A JSON object per device in one file; only in memory if there is no folder."""

    def __init__(self, folder: Path | None, name: str, log: Logger) -> None:
        self._path = folder / name if folder else None
        self._log = log
        self._complained = False
        self._values = self._load()
        self._changed: dict[str, dict[str, Any]] = {}

    def get(self, device: str) -> Mapping[str, Any]:
        """Return the stored object of a device; an empty one if there is none."""
        known: Mapping[str, Any] = self._changed.get(device, self._values.get(device, {}))
        return known

    def put(self, device: str, values: Mapping[str, Any] | None) -> None:
        """Store or delete the object of a device; a write error, such as a full disk, is logged."""
        self._changed[device] = dict(values or {})
        if self._path is None:
            return
        try:
            with _WRITING:
                merged = {**self._load(), **self._changed}
                known = {device: entry for device, entry in merged.items() if entry}
                write(self._path, known)
        except OSError as error:
            if not self._complained:
                self._complained = True
                self._log.warning("%s is not kept over a restart: %s", self._path.name, error)

    def _load(self) -> dict[str, dict[str, Any]]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self._log.warning("%s cannot be read and begins anew: %s", self._path.name, error)
            return {}
        values = found if isinstance(found, dict) else {}
        return {device: entry for device, entry in values.items() if isinstance(entry, dict)}
