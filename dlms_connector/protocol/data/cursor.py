"""Sequential reader of an APDU; every step raises ProtocolError if the APDU ends too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.axdr import Data, decode
from dlms_connector.protocol.data.budget import Budget
from dlms_connector.protocol.data.lengths import decode_length

_T = TypeVar("_T")

#: Values of a reply for which no budget was set.
USUAL_VALUES = 1 << 14


class Cursor:
    """A read position in an APDU; `doing` names the operation in errors.

    `budget` is what all values of the reply may take together.
    """

    def __init__(self, apdu: bytes, doing: str, budget: Budget | None = None) -> None:
        self._apdu, self._doing, self._at = apdu, doing, 0
        self._budget = budget or Budget(USUAL_VALUES)

    @property
    def left(self) -> int:
        """How many octets remain."""
        return len(self._apdu) - self._at

    def take(self, count: int) -> bytes:
        """Take `count` octets."""
        if count > self.left:
            raise self.wrong(f"the answer is cut short after {len(self._apdu)} octets")
        self._at += count
        return self._apdu[self._at - count : self._at]

    def octet(self) -> int:
        """Take one octet."""
        return self.take(1)[0]

    def number(self, size: int) -> int:
        """Take an unsigned number of `size` octets."""
        return int.from_bytes(self.take(size), "big")

    def flag(self) -> bool:
        """Take a boolean: 0 is false, any other octet is true."""
        return self.octet() != 0

    def count(self, *, least: int) -> int:
        """Take the count of a list whose elements have `least` octets each or more."""
        count, self._at = self._named(decode_length)
        if count * least > self.left:
            raise self.wrong(f"{count} elements are announced, {self.left} octets are left")
        return count

    def results(self, *, least: int) -> int:
        """Take the count of a list of results: as many as were asked for, if that is known."""
        count = self.count(least=least)
        if self._budget.items not in (None, count):
            raise self.wrong(f"{count} results came back")
        return count

    def string(self) -> bytes:
        """Take a length, and return the octets after it."""
        size, self._at = self._named(decode_length)
        return self.take(size)

    def data(self) -> Data:
        """Take a value with its tag."""
        try:
            data, self._at = decode(self._apdu, self._at, self._budget)
        except ProtocolError as error:
            raise error.while_doing(self._doing) from error
        return data

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self.left:
            raise self.wrong(f"{self.left} octets too many at the end of the answer")

    def wrong(self, problem: str) -> ProtocolError:
        """Return a ProtocolError for this problem."""
        return ProtocolError(self._doing, problem)

    def _named(self, read: Callable[[bytes, int], tuple[_T, int]]) -> tuple[_T, int]:
        try:
            return read(self._apdu, self._at)
        except ProtocolError as error:
            raise error.while_doing(self._doing) from error
