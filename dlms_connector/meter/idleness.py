"""The inactivity timeout of a meter: configured, the standard's default, or learned.

A meter does not tell when it drops an idle association. The client notices it at the next
request: no reply to all tries, a DM, a refusal or a closed connection. Noise and a restarted
converter look the same. So a limit is learned only from two losses in a row, half a minute
apart, if the meter answers a new association at once each time. An association that survives
the same idle time clears the suspicion. A learned limit holds for an hour and is then tested
again: one loss confirms it. Each confirmation doubles the time: a dozen losses in a year.
"""

from __future__ import annotations

import logging
from math import inf

from dlms_connector.config import Device

#: The defaults of the HDLC setup (class 23) and of the TCP-UDP setup (class 41), IEC 62056-6-2.
_USUAL_S = {"HDLC": 120.0, "HDLC_WITH_MODE_E": 120.0, "WRAPPER": 180.0}

#: No meter drops an association after less idle time; an earlier loss has another cause.
_LEAST_S = 2.0
#: Losses in a row that are no accident any more.
_ENOUGH = 2
#: The time in seconds that they must span: bursts of noise last some seconds.
_APART_S = 30.0
#: This part of an idle time counts as equal to it: polls are not exact to the millisecond.
_ALIKE = 0.9
_LESSON_S = 3600.0


class IdleLimit:
    """The longest idle time of one meter's associations; times are those of the loop's clock."""

    def __init__(self, device: Device, log: logging.Logger) -> None:
        self._meter, self._log = device.device_name, log
        self._told_s = _told_s(device)
        self._deaths, self._lesson_s = 0, _LESSON_S
        #: The shortest idle time before a loss, the limit learned from it, and until when it holds.
        self._deadly_s = self._learned_s = self._doubt_at = inf
        self._logged_s = self._first_at = inf

    @property
    def seconds(self) -> float:
        """The idle time after which the meter has probably dropped an association."""
        return min(self._told_s, self._learned_s)

    def review(self, now: float) -> None:
        """Test a limit again that was learned long ago: one loss is enough this time."""
        if now >= self._doubt_at:
            self._learned_s, self._doubt_at, self._deaths = inf, inf, _ENOUGH - 1

    def survived(self, idle_s: float) -> None:
        """Note that an association survived this idle time."""
        if idle_s >= _ALIKE * self._deadly_s:
            self._forget()

    def died(self, idle_s: float, now: float) -> None:
        """Note that an association was lost after this idle time, but the meter still answers."""
        if idle_s < _LEAST_S:
            return
        self._deaths += 1
        self._deadly_s = min(idle_s, self._deadly_s)
        self._first_at = min(now, self._first_at)
        if self._deaths < _ENOUGH or now - self._first_at < _APART_S:
            return
        self._learned_s, self._doubt_at = _ALIKE * self._deadly_s, now + self._lesson_s
        self._lesson_s *= 2
        if self._deadly_s < _ALIKE * self._logged_s:
            self._logged_s = self._deadly_s
            self._log.info(
                "%s: drops associations that are idle for %.0f s: keeps none so long from now on",
                self._meter, self._deadly_s,
            )  # fmt: skip

    def _forget(self) -> None:
        self._deaths, self._lesson_s = 0, _LESSON_S
        self._deadly_s = self._learned_s = self._doubt_at = self._first_at = inf


class Trial:
    """Whether the present association is alive, which only its next answer shows.

    `proven` says that it is new, or has answered in this turn.
    """

    def __init__(self, limit: IdleLimit) -> None:
        self._limit = limit
        self._idle_s = 0.0
        #: The idle time that seems to have ended the last one, until a new one answers.
        self._deadly_s: float | None = None
        self.proven = False

    @property
    def is_doubtful(self) -> bool:
        """Whether the association was idle so long that the meter may have dropped it."""
        return not self.proven and self._idle_s >= _LEAST_S

    def resume(self, idle_s: float) -> bool:
        """Continue an idle association; return False if the meter has surely dropped it."""
        self.proven, self._idle_s = False, idle_s
        return idle_s <= self._limit.seconds

    def begin(self) -> None:
        """Continue with a new association."""
        self.proven = True

    def answered(self, now: float) -> None:
        """Note an answer."""
        if not self.proven:
            self._limit.survived(self._idle_s)
        elif self._deadly_s is not None:
            self._limit.died(self._deadly_s, now)
        self.proven, self._deadly_s = True, None

    def broke(self) -> None:
        """Note the end of the association; if it was idle before, that may be the cause."""
        self._deadly_s = None if self.proven else self._idle_s

    def acquit(self) -> None:
        """Note that a new association does not help: idle time is not the cause."""
        self._deadly_s = None


def _told_s(device: Device) -> float:
    told_ms = device.workarounds.inactivity_timeout_ms
    if told_ms is not None:
        return told_ms / 1000 or inf
    if device.connection.keep_open is True:
        return inf  # configured on purpose: takes precedence over the defaults
    return _USUAL_S[device.dlms.interface_type]
