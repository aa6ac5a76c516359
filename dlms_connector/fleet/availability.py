"""Log changes, count repetitions: one line when an outage begins, one when it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dlms_connector.errors import DlmsError
from dlms_connector.obis import Obis
from dlms_connector.reading import Failure


def _sentence(error: DlmsError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _forgetting_where(error: DlmsError) -> DlmsError:
    """Return the error without its frames: each dead meter would keep 10 to 22 KB of them."""
    each: BaseException | None = error
    while each is not None and each.__traceback__ is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error


def _duration(seconds: float) -> str:
    """Return a duration as a readable text: `45 s`, `12 min`, `3.5 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


class Availability:
    """Whether a meter answers; logs only when that changes.

    `since` is the time when the present outage began (on the clock of `failed`), or None.
    """

    def __init__(self, meter: str, log: logging.Logger) -> None:
        self._meter, self._log = meter, log
        self.failures = 0
        self.since: float | None = None
        self.error: DlmsError | None = None

    def failed(self, error: DlmsError, now: float, *, told: bool = False) -> None:
        """Note a failed poll: warn of the first, unless `told` (logged before); debug the rest."""
        self.failures += 1
        self.error = _forgetting_where(error)
        if self.since is None:
            self.since = now
        if self.failures == 1 and not told:
            self._log.warning("%s: %s", self._meter, _sentence(error))
        else:
            self._log.debug("%s: still failing (%d times): %s", self._meter, self.failures, error)

    def answered(self, now: float) -> None:
        """Note a good poll; log it if it ends an outage."""
        if self.since is not None:
            self._log.info(
                "%s: answering again after %s and %d failed %s",
                self._meter,
                _duration(now - self.since),
                self.failures,
                "poll" if self.failures == 1 else "polls",
            )
        self.failures, self.since, self.error = 0, None, None


def _problem(error: DlmsError) -> object:
    """Return a key that is equal for the same problem: the texts may differ each time."""
    fact = getattr(error, "code", None) or getattr(error, "diagnostic", None)
    return type(error), fact


class ObjectNews:
    """Objects that a meter does not return; each is logged once, and once more on a change."""

    def __init__(self, meter: str, log: logging.Logger) -> None:
        self._meter, self._log = meter, log
        self._known: dict[tuple[str, Obis], object] = {}

    def polled(self, read: Iterable[tuple[str, Obis]], failures: Iterable[Failure]) -> None:
        """Note which keys and objects were read and which were not."""
        for failure in failures:
            name, problem = (failure.key, failure.obis), _problem(failure.error)
            if self._known.get(name) != problem:
                self._known[name] = problem
                self._log.warning("%s: %s: %s", self._meter, failure.key, _sentence(failure.error))
        for name in read:
            if self._known and self._known.pop(name, None) is not None:
                self._log.info("%s: %s: %s is read again", self._meter, *name)
