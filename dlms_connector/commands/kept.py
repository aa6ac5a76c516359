"""What commands remember of each meter over a restart."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from logging import Logger
from pathlib import Path
from threading import Lock
from typing import Any

#: Connectors of one gateway share the folder, each with devices of its own.
_WRITING = Lock()


class Kept:
    """A JSON object per device in one file; in memory alone where there is no folder."""

    def __init__(self, folder: Path | None, name: str, log: Logger) -> None:
        self._path = folder / name if folder else None
        self._log = log
        self._complained = False
        self._values = self._load()
        self._changed: dict[str, dict[str, Any]] = {}

    def get(self, device: str) -> Mapping[str, Any]:
        """Return what is known of a device, an empty object if nothing is."""
        known: Mapping[str, Any] = self._changed.get(device, self._values.get(device, {}))
        return known

    def put(self, device: str, values: Mapping[str, Any] | None) -> None:
        """Remember something of a device, or forget it; a disk that is full is no error."""
        self._changed[device] = dict(values or {})
        if self._path is None:
            return
        try:
            with _WRITING:
                merged = {**self._load(), **self._changed}
                known = {device: entry for device, entry in merged.items() if entry}
                _replace(self._path, json.dumps(known))
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


def _replace(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that a crash leaves the old one or the new one."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
