"""One line when a file of the state cannot be written, and one when it can again."""

from __future__ import annotations

from logging import Logger


class Outage:
    """Of one file, or of what a message calls it: `what` is the beginning of both sentences."""

    def __init__(self, what: str, log: Logger) -> None:
        self._what, self._log = what, log
        self._lasts = False

    def failed(self, error: Exception) -> None:
        """Note that it could not be written."""
        if not self._lasts:
            self._lasts = True
            self._log.warning("%s is not kept over a restart: %s", self._what, error)

    def worked(self) -> None:
        """Note that it was written."""
        if self._lasts:
            self._lasts = False
            self._log.info("%s is kept again", self._what)
