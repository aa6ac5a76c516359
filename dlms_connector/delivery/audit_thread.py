"""The thread that audits every profile once per day, without hurry.

After a start a profile is known when its next rows were read. So it is looked each hour for
profiles that were not audited for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from threading import Event, Thread
from time import time

from dlms_connector.delivery.audit import Audit, Finding
from dlms_connector.delivery.rest import RestError
from dlms_connector.records import Source

#: Seconds from the start to the first audit, between two of a profile, and between two profiles.
FIRST_S, PERIOD_S, PAUSE_S = 600.0, 86_400.0, 0.5
#: Seconds between two looks for what is due.
_AGAIN_S = 3600.0
#: Errors in a row that end a look.
_MOST_ERRORS = 5


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
        self._failed_at: dict[Source, float] = {}
        self._found: dict[Source, tuple[float, Finding]] = {}
        self._thread: Thread | None = None
        #: The outcome of the last audit of each profile, summed up for users.
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
                wait_s = _AGAIN_S

    def once(self) -> float:
        """Audit the profiles that are due; return in how many seconds to look again."""
        errors = 0
        for source in self._due():
            if self._ending.wait(self._pause_s):
                break
            now = self._unix()
            try:
                found = self._audit.look(source, int(now * 1000))
            except Exception as error:  # one odd answer must not cost the others their audit
                known = isinstance(error, RestError | OSError)
                self._tell(str(error) if known else f"{source.device}: {error!r}")
                self._failed_at[source] = now
                errors += 1
                if errors >= _MOST_ERRORS:
                    self.last = {**self.last, "error": str(error)}
                    break
                continue
            errors = 0
            self._failed_at.pop(source, None)
            self._found[source] = now, found
            self.last = self._summed_up(now)
            if found.missing:
                self._lacks(source)
        return _AGAIN_S

    def _due(self) -> list[Source]:
        before = self._unix() - PERIOD_S
        sources = self._audit.sources()
        due = [one for one in sources if one not in self._found or self._found[one][0] <= before]
        # Those that failed are last: a platform that lacks some devices is asked of the others.
        return sorted(due, key=lambda one: self._failed_at.get(one, 0.0))

    def _summed_up(self, now: float) -> dict[str, int | str]:
        findings = [found for _, found in self._found.values()]
        return {
            "at": int(now * 1000),
            "profiles": len(findings),
            "confirmed": sum(one.confirmed for one in findings),
            "missing": sum(one.missing for one in findings),
        }

    def _tell(self, sentence: str) -> None:
        """Log an error, unless it was the last one, too."""
        if sentence != self._told:
            self._told = sentence
            self._log.warning("the audit of the platform's rows: %s", sentence)
