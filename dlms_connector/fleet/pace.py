"""How fast meters can be polled, from how long their polls take. There is no clock.

Meters that share a line, or the places of a group, demand more than there is if their polls, each
in its period, take longer than all of the time. Then their periods are lengthened so far that they
just fit, and shortened again when the polls take less. What counts is how long polls take, not how
late they come: that stays the same when the periods are lengthened, so nothing swings to and fro.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf

#: The part of a new duration in the mean one.
_NEW = 0.3
#: So many polls in a row must say the same before anything is changed, and the first one is not
#: counted: it opens the association and reads scalers.
_POLLS = 3
#: Periods are kept again when so much of the time is demanded: not at every small change.
_RELIEVED = 0.9


class Demand:
    """What is demanded of something that serves so many meters at a time; 1 is all of it."""

    __slots__ = ("_total", "_width")

    def __init__(self, width: int = 1) -> None:
        self._total, self._width = 0.0, width

    def change(self, by: float) -> None:
        """Add the demand of a meter, or take it off."""
        self._total = max(0.0, self._total + by)

    @property
    def load(self) -> float:
        """How many times the time there is would be needed."""
        return self._total / self._width


class Pace:
    """One meter's part in what is demanded of its line and its group; times are in seconds."""

    __slots__ = ("_demands", "_log", "_name", "_polls", "_share", "_took_s", "is_slow")

    def __init__(self, name: str, demands: Sequence[Demand], log: logging.Logger) -> None:
        self._name, self._demands, self._log = name, tuple(demands), log
        self._took_s = self._share = 0.0
        #: Polls that spoke for a change, in a row; -1 before the first poll.
        self._polls = -1
        #: Whether the configured period cannot be kept.
        self.is_slow = False

    def polled(self, took_s: float, period_s: float) -> float:
        """Note how long a good poll took; return by how much the period is to be lengthened."""
        if period_s == inf:
            return 1.0
        if self._polls < 0:
            self._polls = 0
            return 1.0
        self._took_s += (took_s - self._took_s) * (_NEW if self._took_s else 1.0)
        self._demand(self._took_s / period_s)
        load = max((each.load for each in self._demands), default=0.0)
        changed = load <= _RELIEVED if self.is_slow else load > 1.0
        self._polls = self._polls + 1 if changed else 0
        if self._polls >= _POLLS:
            self._polls, self.is_slow = 0, not self.is_slow
            self._tell(period_s, load)
        return max(1.0, load) if self.is_slow else 1.0

    def silent(self) -> None:
        """Note that the meter did not answer: it demands nothing until it does."""
        self._demand(0.0)

    def _demand(self, share: float) -> None:
        for each in self._demands:
            each.change(share - self._share)
        self._share = share

    def _tell(self, period_s: float, load: float) -> None:
        if self.is_slow:
            self._log.warning(
                "%s: its period of %g s cannot be kept: a poll takes %.3g s, and all that share "
                "its line or group need %.3g times the time there is; it is polled every %.3g s "
                "until they need less", self._name, period_s, self._took_s, load, period_s * load,
            )  # fmt: skip
        else:
            self._log.info("%s: its period of %g s is kept again", self._name, period_s)
