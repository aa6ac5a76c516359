"""What is fuzzed: a function that takes octets and returns nothing, and what it begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


class WrongError(AssertionError):
    """A value that was accepted and is not the true one, or two ways that disagree."""


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table.

    `run` returns if the input was taken or refused by an error of ours; anything that it raises is
    a find. `words` are put into inputs by mutation; `longest` bounds inputs in octets. `short` is
    how many inputs the tests run, about half a second.
    """

    name: str
    what: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = field(default=())
    longest: int = 2048
    short: int = 6000


class Input:
    """Reads an input from its beginning; what is missing is zero, so that every input means
    something.
    """

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    @property
    def left(self) -> int:
        """How many octets are left."""
        return len(self._octets) - self._at

    def octet(self) -> int:
        """Take one octet."""
        at = self._at
        self._at += 1
        return self._octets[at] if at < len(self._octets) else 0

    def number(self) -> int:
        """Take two octets."""
        return self.octet() << 8 | self.octet()

    def take(self, count: int) -> bytes:
        """Take so many octets, or what is left."""
        at, self._at = self._at, self._at + count
        return self._octets[at : self._at]

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(max(0, self.left))

    def parts(self, most: int = 64) -> list[bytes]:
        """Take all that is left as parts, each with its length before it (see `joined`)."""
        parts: list[bytes] = []
        while self.left > 0 and len(parts) < most:
            size = self.octet()
            parts.append(self.take(self.number() if size == 0xFF else size))
        return parts


def joined(parts: Iterable[bytes]) -> bytes:
    """Return parts as `Input.parts` takes them."""
    return b"".join(
        (bytes((len(part),)) if len(part) < 0xFF else b"\xff" + len(part).to_bytes(2, "big")) + part
        for part in parts
    )
