"""Intervals of a day as bit sets: what is known of each.

A *slot* is an interval of the capture period on its grid in UTC; bit n of a set is the slot that
begins n periods after midnight UTC. A row belongs to the slot in which it was captured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

DAY_S = 86_400
DAY_MS = DAY_S * 1000


def grid(period_s: int) -> int:
    """Return the period if slots of it fill a day, else 0: such rows are not counted by slots."""
    return period_s if 0 < period_s <= DAY_S and not DAY_S % period_s else 0


@dataclass(frozen=True, slots=True)
class Day:
    """The slots of a UTC day; each is in one set at most, those of no set are not read yet.

    `sent`: in the outbox. `empty`: the meter has a row with nothing to send. `asked`: asked for
    once without a row. `absent`: asked for again without a row. `refused`: the platform does not
    take it, and `why`.
    """

    sent: int = 0
    confirmed: int = 0
    empty: int = 0
    asked: int = 0
    absent: int = 0
    refused: int = 0
    why: str = ""

    @property
    def given(self) -> int:
        """Slots with entries: nothing of them is to be sent again."""
        return self.sent | self.confirmed | self.refused

    @property
    def held(self) -> int:
        """Slots with a row in the meter."""
        return self.given | self.empty

    @property
    def done(self) -> int:
        """Slots that need not be read any more."""
        return self.held | self.absent


def all_slots(period_s: int) -> int:
    """Return the set of all slots of a day."""
    return (1 << DAY_S // period_s) - 1


def slots_between(start: int, end: int) -> int:
    """Return the set of the slots from `start` up to before `end`."""
    return (1 << end) - (1 << start) if end > start else 0


def runs(slots: int) -> Iterator[tuple[int, int]]:
    """Yield each run of set bits: the first, and the one after the last."""
    at = 0
    while slots:
        skip = (slots & -slots).bit_length() - 1
        slots >>= skip
        at += skip
        length = ((slots + 1) & ~slots).bit_length() - 1
        yield at, at + length
        slots >>= length
        at += length


def regridded(slots: int, from_s: int, to_s: int) -> int:
    """Return a set in slots of another period: those that are in it as a whole."""
    if from_s == to_s or not slots:
        return slots
    result = 0
    for first, after in runs(slots):
        start = -(-first * from_s // to_s)
        result |= slots_between(start, after * from_s // to_s)
    return result
