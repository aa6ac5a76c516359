"""How fast meters can be polled, from how long their polls take. There is no clock.

Meters that share a line, or the places of a group, demand more than there is if their polls, each
in its period, take longer than all of the time. Then those that demand most get even parts: their
periods are lengthened so far that all just fit, and shortened again when polls take less. Who
demands less than an even part keeps its period. What counts is how long polls take, not how late
they come: that stays the same when the periods are lengthened, so nothing swings to and fro.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf

#: The part of a new duration in the mean one.
_NEW = 0.5
#: So many polls in a row must say the same before anything is changed, and the first one is not
#: counted: it opens the association and reads scalers.
_POLLS = 3
#: Periods are kept again when so much of the time is demanded: not at every small change.
_RELIEVED = 0.9
#: Parts are worked out anew when so much more or less is demanded.
_CHANGE = 0.01


class Demand:
    """What is demanded of something that serves `width` meters at a time."""

    __slots__ = ("_known", "_members", "_total", "_width")

    def __init__(self, width: int = 1) -> None:
        self._total, self._width = 0.0, width
        self._members: list[Pace] = []
        #: The total for which levels were found, and these.
        self._known: tuple[float, dict[float, float]] = (0.0, {})

    def join(self, member: Pace) -> None:
        """Add a meter, which demands nothing yet."""
        self._members.append(member)

    def leave(self, member: Pace) -> None:
        """Forget a meter, which demands nothing any more."""
        self._members.remove(member)

    def change(self, by: float) -> None:
        """Note that a meter demands more, or less."""
        self._total = max(0.0, self._total + by)

    def level(self, part: float = 1.0) -> float:
        """Return the most that one meter may have of a part of the time; infinity if all fits."""
        left = self._width * part
        if self._total <= left:
            return inf
        total, levels = self._known
        if abs(self._total - total) > _CHANGE * total:
            self._known = self._total, (levels := {})
        if part not in levels:
            levels[part] = self._even(left)
        return levels[part]

    def _even(self, left: float) -> float:
        shares = sorted(each.share for each in self._members)
        for at, share in enumerate(shares):
            even = left / (len(shares) - at)
            if share > even:
                return even
            left -= share
        return inf


class Pace:
    """One meter's part in what is demanded of its line and its group; times are in seconds."""

    __slots__ = ("_demands", "_log", "_name", "_polls", "_took_s", "is_slow", "share")

    def __init__(self, name: str, demands: Sequence[Demand], log: logging.Logger) -> None:
        self._name, self._demands, self._log = name, tuple(demands), log
        self._took_s = 0.0
        #: The part of the time that its polls need in its configured period.
        self.share = 0.0
        for each in self._demands:
            each.join(self)
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
        least = 1.0 if not self.is_slow else _RELIEVED
        fits = self.share <= min((each.level(least) for each in self._demands), default=inf)
        changed = fits == self.is_slow
        self._polls = self._polls + 1 if changed else 0
        if self._polls >= _POLLS:
            self._polls, self.is_slow = 0, not self.is_slow
            self._tell(period_s)
        return self._stretch if self.is_slow else 1.0

    @property
    def _stretch(self) -> float:
        level = min((each.level() for each in self._demands), default=inf)
        return max(1.0, self.share / level)

    def silent(self) -> None:
        """Note that the meter did not answer: it demands nothing until it does."""
        self._demand(0.0)

    def end(self) -> None:
        """Leave the line and the group: the meter is not polled any more."""
        self._demand(0.0)
        for each in self._demands:
            each.leave(self)
        self._demands = ()

    def _demand(self, share: float) -> None:
        for each in self._demands:
            each.change(share - self.share)
        self.share = share

    def _tell(self, period_s: float) -> None:
        if self.is_slow:
            self._log.warning(
                "%s: its period of %g s cannot be kept: a poll takes %.3g s, and with all that "
                "share its line or group there is time for one every %.3g s: it is polled so "
                "often until they need less", self._name, period_s, self._took_s,
                period_s * self._stretch,
            )  # fmt: skip
        else:
            self._log.info("%s: its period of %g s is kept again", self._name, period_s)
