"""What is logged of reading a profile: each problem once, where a backfill begins and ends."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from dlms_connector.config import Profile
from dlms_connector.errors import DlmsError, LinkError, ObjectError, ServiceError
from dlms_connector.history import ProfileRead, Progress

_DAY_S, _HOUR_S = 86_400, 3600
#: So many intervals are unread now and then because they are new.
_NEW = 2
#: Remarks of one profile that are told, so that a strange meter does not fill the log.
_MOST_REMARKS = 20

_REFUSED = (
    "check its OBIS code, and whether this client may read it; the call `discover` lists what the "
    "meter shows"
)
_BROKEN = (
    "the meter answers polls: it may need smaller blocks (dlms.maxPduSize), or more time "
    "(connection.timeoutMs)"
)
_NO_SENSE = "compare `columns` and `capturePeriod` of the profile with the meter"


class HistoryNews:
    """What was told of one profile of one meter."""

    def __init__(self, meter: str, profile: Profile, log: logging.Logger) -> None:
        self._what, self._log = f"{meter}: profile {profile.obis}", log
        #: Why it is not read, and why what is read is not kept; empty if it is.
        self._unread = self._unkept = ""
        self._catching_up = False
        self._remarks: set[str] = set()

    def progress(self, progress: Progress, period_s: int) -> None:
        """Note how much is unread; tell when it becomes more than a day, and when it is none."""
        unit_s = period_s or _HOUR_S  # without a period, hours are counted
        if not self._catching_up and progress.unread * unit_s > _DAY_S:
            self._catching_up = True
            oldest = datetime.fromtimestamp(progress.oldest_ms / 1000, timezone.utc)
            self._log.info(
                "%s: %.3g days are to be read, back to %s UTC: between polls",
                self._what,
                progress.unread * unit_s / _DAY_S,
                oldest.strftime("%Y-%m-%d %H:%M"),
            )
        elif self._catching_up and progress.unread <= _NEW:
            self._catching_up = False
            self._log.info("%s: the past is read", self._what)

    @property
    def problem(self) -> str:
        """Why there is no progress; empty if there is."""
        return self._unread or self._unkept

    def failed(self, error: Exception) -> None:
        """Tell once that it cannot be read."""
        if not self._unread:
            hint = (isinstance(error, DlmsError) and error.hint) or _hint(error)
            self._log.warning("%s cannot be read: %s (%s)", self._what, error, hint)
        self._unread = str(error)

    def fault(self, error: Exception) -> None:
        """Tell once that reading it failed by a fault of the connector."""
        text = f"a fault of the connector: {error!r}"
        if not self._unread:
            self._log.error("%s cannot be read: %s", self._what, text, exc_info=error)
        self._unread = text

    def unkept(self, reason: str) -> None:
        """Tell once that what was read could not be kept."""
        if not self._unkept:
            text = "%s: what was read could not be kept: %s; it is read again later"
            self._log.warning(text, self._what, reason)
        self._unkept = reason

    def kept(self) -> None:
        """Note that what was read was kept."""
        if self._unkept:
            self._unkept = ""
            self._log.info("%s: what is read is kept again", self._what)

    def read(self, read: ProfileRead | None = None) -> None:
        """Note that it was read; tell once what is odd about its rows."""
        if self._unread:
            self._unread = ""
            self._log.info("%s is read again", self._what)
        if read is None:
            return
        told = list(read.remarks)
        if read.without_time:
            told.append("rows without a time are not sent: `capturePeriod` may tell theirs")
        for remark in told:
            if remark not in self._remarks and len(self._remarks) < _MOST_REMARKS:
                self._remarks.add(remark)
                self._log.info("%s: %s", self._what, remark)


def _hint(error: Exception) -> str:
    if isinstance(error, OSError):
        return "it is not known what was read before; polls go on"
    if isinstance(error, ObjectError | ServiceError):
        return _REFUSED
    return _BROKEN if isinstance(error, LinkError) else _NO_SENSE
