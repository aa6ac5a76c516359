"""State of the commands per meter that survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from logging import Logger
from pathlib import Path
from threading import Lock
from typing import Any

from dlms_connector.state import Outage, private_files

#: Connectors of one gateway share the folder and its files; each has its own devices.
_WRITING = Lock()
#: One thread, so that what was put last is written last.
_WRITER = ThreadPoolExecutor(1, "dlms-kept")

#: How long a caller waits for the disk, if it is not late already.
_QUICK_S = 0.05
#: How long a start waits for the disk.
_PATIENCE_S = 2.0
_MOST = 64 * 1024 * 1024


class Kept:
    """A JSON object per device in one file; only in memory if there is no folder."""

    def __init__(self, folder: Path | None, name: str, log: Logger) -> None:
        self._path = folder / name if folder else None
        self._log = log
        self._outage = Outage(name, log)
        self._complained = False
        self._memory = Lock()
        self._writing: Future[None] | None = None
        self._values = self._loaded()
        self._changed: dict[str, dict[str, Any]] = {}
        #: Whether there is something that no write has taken up.
        self._waiting = False

    def _loaded(self) -> dict[str, dict[str, Any]]:
        """Read the file, after what another connector of this process is still writing."""
        loading = _WRITER.submit(self._load)
        if wait([loading], _PATIENCE_S).done:
            return loading.result()
        self._complain(f"was not read within {_PATIENCE_S:g} s: its disk does not answer")
        return {}

    def get(self, device: str) -> Mapping[str, Any]:
        """Return the stored object of a device; an empty one if there is none."""
        known: Mapping[str, Any] = self._changed.get(device, self._values.get(device, {}))
        return known

    def put(self, device: str, values: Mapping[str, Any] | None) -> None:
        """Store or delete the object of a device; a write error, such as a full disk, is logged.

        The disk is left to a thread. A quick one is waited for; a slow one is not, so that other
        meters go on.
        """
        with self._memory:
            self._changed[device] = dict(values or {})
            self._waiting = True
        if self._path is None:
            return
        late = self._writing is not None and not self._writing.done()
        self._writing = _WRITER.submit(self._write)
        if not late:
            wait([self._writing], _QUICK_S)

    def _write(self) -> None:
        assert self._path is not None
        try:
            with _WRITING:
                with self._memory:
                    if not self._waiting:
                        return  # the write before took all that was put meanwhile
                    self._waiting = False
                    changed = dict(self._changed)
                merged = {**self._load(), **changed}
                known = {device: entry for device, entry in merged.items() if entry}
                private_files.write(self._path, known)
        except OSError as error:
            self._outage.failed(error)
        else:
            self._outage.worked()

    def _load(self) -> dict[str, dict[str, Any]]:
        if self._path is None:
            return {}
        try:
            found = private_files.load(self._path, _MOST)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            aside = private_files.put_aside(self._path)
            where = f", is kept as {aside.name}" if aside else ""
            self._complain(f"cannot be read{where} and begins anew: {error}")
            return {}
        values = found if isinstance(found, dict) else {}
        return {device: entry for device, entry in values.items() if isinstance(entry, dict)}

    def _complain(self, problem: str) -> None:
        if not self._complained and self._path is not None:
            self._complained = True
            self._log.warning("%s %s", self._path.name, problem)
