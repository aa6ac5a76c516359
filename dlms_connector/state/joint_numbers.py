"""The numbers of several keys as one: each number is unused with all of them.

They are several if the meter's APDUs are ciphered with several lasting keys. Those of the same keys
that are used in other folders matter as well, but cannot hinder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlms_connector.errors import DlmsError
from dlms_connector.state.numbers import Numbers

#: Returns the numbers of the same keys that are used in other folders.
Elsewhere = Callable[[Sequence[Numbers]], Sequence[Numbers]]


def _nowhere(_numbers: Sequence[Numbers]) -> Sequence[Numbers]:
    """Find nobody."""
    return ()


class JointNumbers:
    """Takes each number from all."""

    def __init__(self, own: Sequence[Numbers], elsewhere: Elsewhere = _nowhere) -> None:
        self.own, self._elsewhere = tuple(own), elsewhere
        self._beside: tuple[Numbers, ...] = ()
        self._all = self.own

    def look_around(self) -> None:
        """Find who uses the same keys in other folders; call it before numbers are prepared.

        Our own can be found before we look: of two who begin at the same moment at least one finds
        the other, and takes each number out of both folders.
        """
        for each in self.own:
            each.managed = True
        self._beside = tuple(self._elsewhere(self.own))
        self._all = self.own + self._beside

    def try_open(self) -> bool:
        """Read the files, unless that is left to threads; return whether they are read."""
        return all(each.opened or (not each.managed and each.open()) for each in self.own)

    def open(self) -> None:
        """Read the files that were not read yet, in a thread."""
        for each in self._all:
            each.open()

    def prepare(self) -> None:
        """Reserve numbers for the steps to come, in a thread; never raises."""
        for each in self._all:
            each.prepare(self.peek())

    def blocked(self, error: DlmsError) -> None:
        """Note that a `prepare` has not come back."""
        for each in self.own:
            each.blocked(error)

    @property
    def hindered(self) -> bool:
        """Whether the last `prepare` could reserve nothing."""
        return any(each.hindered for each in self.own)

    @property
    def is_low(self) -> bool:
        """Whether there are few numbers left to take without the disk."""
        if len(self._all) == 1:
            return self._all[0].is_low()
        least = self.peek()
        return any(each.is_low(least) for each in self.own)

    def take(self) -> int:
        """Return an unused number. Raises RefusedError."""
        if len(self._all) == 1:
            return self.own[0].take()
        while True:
            least = self.peek()
            taken = {each.take(least) for each in self.own}
            taken |= self._taken_beside(max(taken))
            if len(taken) == 1:
                return taken.pop()

    def peek(self) -> int:
        """Return the lowest number that may come next."""
        least = 0
        for each in self._all:  # this is done for each request, and a generator costs more
            if (number := each.peek()) > least:
                least = number
        return least

    def raise_to(self, value: int) -> None:
        """Skip all numbers below a value."""
        for each in self.own:
            each.raise_to(value)

    def unraise(self, value: int) -> None:
        """Take back the last `raise_to`, if no number was taken or reserved since."""
        raised = self.peek()
        for each in self.own:
            each.unraise(value, raised)

    def resolve(self) -> None:
        """Note that the meter told its counter."""
        for each in self.own:
            each.resolve()

    def _taken_beside(self, least: int) -> set[int]:
        taken = set()
        for each in self._beside:
            try:
                taken.add(each.take(least))
            except DlmsError:
                each.raise_to(least + 1)
        return taken
