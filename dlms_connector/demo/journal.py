"""A record of the packets that a server received and sent, and a way to wait for them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import simplejson

T = TypeVar("T")

#: Seen from the server.
Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Packet:
    """One MQTT packet; `at` is the event loop's time, `session` counts connections from 1."""

    at: float
    session: int
    direction: Direction
    type: str
    topic: str = ""
    payload: bytes = b""
    detail: str = ""

    @property
    def json(self) -> Any:
        """The payload with exact decimals; None if it is empty."""
        return simplejson.loads(self.payload, use_decimal=True) if self.payload else None


class Journal:
    """The last `most` packets, or all, in order; `counts` counts all packets by type."""

    def __init__(self, most: int | None = None) -> None:
        self.counts: Counter[tuple[Direction, str]] = Counter()
        self._packets: deque[Packet] = deque(maxlen=most)
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[Packet]:
        return iter(tuple(self._packets))

    def __len__(self) -> int:
        return len(self._packets)

    def note(self, packet: Packet) -> None:
        """Record a packet and wake the waiting tasks."""
        self._packets.append(packet)
        self.counts[packet.direction, packet.type] += 1
        self.wake()

    def wake(self) -> None:
        """Let the waiting tasks look again."""
        self._news.set()
        self._news = asyncio.Event()

    def select(
        self,
        kind: str = "",
        topic: str = "",
        *,
        direction: Direction = "in",
        since: float = float("-inf"),
    ) -> list[Packet]:
        """Return the packets of a type and topic; an empty type or topic matches all.

        `since` is a time of the event loop in seconds.
        """
        return [
            packet
            for packet in self._packets
            if packet.direction == direction
            and packet.at >= since
            and (not kind or packet.type == kind)
            and (not topic or packet.topic == topic)
        ]

    async def wait_for(self, look: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Call `look` after every packet until it returns a true value, and return the value.

        Raises asyncio.TimeoutError.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        while not (found := look()):
            left = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._news.wait(), max(left, 0.0))
            except asyncio.TimeoutError:
                if found := look():
                    return found
                raise
        return found
