"""The daily backup, in a thread of its own: neither meters nor delivery wait for its disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from logging import Logger
from pathlib import Path
from threading import Event, Thread

from dlms_connector.backup import BackupError, BusyError, is_due, make, newest
from dlms_connector.config import Backup
from dlms_connector.state import copies

#: Seconds after the start until the first look, since a start has enough to do; between two looks;
#: and until a backup is tried again that failed.
FIRST_S, LOOK_S, AGAIN_S = 60.0, 300.0, 3600.0
#: Where archives go if nothing is configured, beside the folder of the state.
FOLDER = "dlms-backups"
#: A pause between pieces of work, so that the meters' thread gets the interpreter.
_PAUSE_S = 0.001


class DailyBackup:
    """Makes a backup each day between `open` and `close`; without `settings`, none.

    A failure is told when it begins, and once more when it is mended.
    """

    def __init__(
        self,
        settings: Backup | None,
        config_dir: Path,
        log: Logger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._settings, self._config_dir, self._log, self._now = settings, config_dir, log, now
        self._ended = Event()
        self._failed = False

    def open(self, state: Path | None, name: str) -> None:
        """Begin; `state` is the folder of the state, `name` the connector's."""
        if self._settings is None:
            return
        if state is None and self._settings.directory is None:
            self._log.error("no backup is made: there is no folder for it; set backup.directory")
            return
        Thread(
            target=self._run, args=(self._settings, state, name), name=f"{name} backup", daemon=True
        ).start()

    def close(self) -> None:
        """Make no more backups; one that is being written is left, and removed by the next."""
        self._ended.set()

    def look(self, settings: Backup, state: Path | None, name: str) -> bool:
        """Make a backup if one is due; return whether it failed. Never raises."""
        target = folder_of(settings, state)
        try:
            installation = copies.installation_of(state) if state is not None else None
            if not is_due(newest(target, installation), self._now(), settings.at):
                return False
            made = make(
                self._config_dir, state, target, keep=settings.keep, connector=name,
                breathe=self._breathe,
            )  # fmt: skip
        except BusyError:
            return False  # a command makes one right now
        except (OSError, BackupError) as error:
            if not self._failed:
                self._log.error(
                    "the daily backup into %s fails, and is tried again each hour: %s", target,
                    error,
                )  # fmt: skip
            self._failed = True
            return True
        except _EndedError:
            return False
        except Exception:
            if not self._failed:
                self._log.exception("the daily backup fails by a fault of the connector")
            self._failed = True
            return True
        again = " again, after it had failed" if self._failed else ""
        self._failed = False
        self._log.info("the daily backup is made%s: %s", again, made.path)
        return False

    def _run(self, settings: Backup, state: Path | None, name: str) -> None:
        wait_s = FIRST_S
        while not self._ended.wait(wait_s):
            wait_s = AGAIN_S if self.look(settings, state, name) else LOOK_S

    def _breathe(self) -> None:
        if self._ended.is_set():
            raise _EndedError
        time.sleep(_PAUSE_S)


class _EndedError(Exception):
    """The connector ends while a backup is made."""


def folder_of(settings: Backup | None, state: Path | None) -> Path:
    """Return where archives go; a relative folder lies beside that of the state."""
    named = settings.directory if settings is not None else None
    beside = state.parent if state is not None else Path()
    return beside / (named or FOLDER)
