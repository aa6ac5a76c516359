"""Block transfer of a value that does not fit one APDU."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Limit of a received value in octets; no correct client sends more.
_MOST = 4_000_000


class WrongBlockError(Exception):
    """A block number is out of order, or the value is too long."""


@dataclass
class Outgoing:
    """A reply that does not fit one APDU."""

    octets: bytes
    size: int
    number: int = 0
    _at: int = 0

    def next(self) -> tuple[int, bytes, bool]:
        """Return the next block's number, octets, and whether it is the last."""
        self.number += 1
        part = self.octets[self._at : self._at + self.size]
        self._at += len(part)
        return self.number, part, self._at >= len(self.octets)


@dataclass
class Incoming:
    """A request that does not fit one APDU; `head` holds the descriptors of its first block.

    `is_list` says that they are those of a list, even if it is one.
    """

    head: bytes = b""
    is_list: bool = False
    number: int = 0
    octets: bytearray = field(default_factory=bytearray)

    def add(self, number: int, part: bytes) -> None:
        """Append a block; raises WrongBlockError."""
        if number != self.number + 1 or len(self.octets) + len(part) > _MOST:
            raise WrongBlockError
        self.number = number
        self.octets += part
