"""The thread that audits every profile once per day, without hurry."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from threading import Event, Thread
from time import time

from dlms_connector.delivery.audit import Audit
from dlms_connector.delivery.platform_rest import RestError
from dlms_connector.records import Source

#: Seconds from the start to the first audit, between two, and between two profiles.
FIRST_S, PERIOD_S, PAUSE_S = 600.0, 86_400.0, 0.5
#: Errors in a row that end an audit: it is tried again an hour later.
_MOST_ERRORS, _AGAIN_S = 5, 3600.0


class AuditThread:
    """Runs `audit`; `lacks` is called in this thread with a profile of which rows are missing."""

    def __init__(
        self,
        audit: Audit,
        log: Logger,
        lacks: Callable[[Source], None],
        *,
        first_s: float = FIRST_S,
        pause_s: float = PAUSE_S,
        unix: Callable[[], float] = time,
    ) -> None:
        self._audit, self._log, self._lacks, self._unix = audit, log, lacks, unix
        self._first_s, self._pause_s = first_s, pause_s
        self._ending = Event()
        self._told = ""
        self._thread: Thread | None = None
        #: The outcome of the last audit, for users.
        self.last: dict[str, int | str] = {}

    def start(self, name: str) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the thread end soon; a request that waits for the platform is not waited for."""
        self._ending.set()

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._ending.wait(wait_s):
            try:
                wait_s = self.once()
            except Exception:  # ours: the next audit may do better
                self._log.exception("the audit failed")
                wait_s = PERIOD_S

    def once(self) -> float:
        """Audit all profiles; return in how many seconds to do it again."""
        confirmed = missing = audited = errors = 0
        for source in self._audit.sources():
            if self._ending.wait(self._pause_s):
                break
            try:
                found = self._audit.look(source, int(self._unix() * 1000))
            except (RestError, OSError) as error:
                self._tell(str(error))
                errors += 1
                if errors >= _MOST_ERRORS:
                    self.last = {**self.last, "error": str(error)}
                    return _AGAIN_S
                continue
            errors = 0
            audited += 1
            confirmed += found.confirmed
            missing += found.missing
            if found.missing:
                self._lacks(source)
        self.last = {
            "at": int(self._unix() * 1000),
            "profiles": audited,
            "confirmed": confirmed,
            "missing": missing,
        }
        return PERIOD_S if audited or errors else _AGAIN_S

    def _tell(self, sentence: str) -> None:
        """Log an error, unless it was the last one, too."""
        if sentence != self._told:
            self._told = sentence
            self._log.warning("the audit of the platform's rows: %s", sentence)
