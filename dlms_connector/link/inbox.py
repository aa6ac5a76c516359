"""Received octets that are not read yet, and one reader that waits until a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dlms_connector.errors import LinkClosedError

#: Above this many octets reading is paused, so that no peer can fill the memory.
PAUSE_ABOVE = 1 << 20
#: Most octets that a reader gets at once: what it does with them must not hold the loop.
PORTION = 1 << 16


class Inbox:
    """A byte queue with one reader.

    One timer serves many waits: it is set for the first deadline and, when it fires, is
    set again for the current deadline. With an exchange per millisecond and a timeout of
    seconds, a timer is thus set only every few seconds.
    """

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume = pause, resume
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._more = False
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        """Add received octets."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > PAUSE_ABOVE and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self) -> None:
        """Note that nothing more will arrive."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def take(self) -> bytes:
        """Return and remove all received octets."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            if not self._ended:
                self._resume()
        return data

    def take_one(self) -> bytes:
        """Return and remove what was put first; there must be something."""
        if len(self._chunks) == 1:
            return self.take()
        data = self._chunks.pop(0)
        self._size -= len(data)
        return data

    async def get(self, deadline: float, *, single: bool = False) -> bytes:
        """Return received octets; b"" at the deadline. Raises LinkClosedError after `end`.

        `single` returns only what was put first.
        """
        if not self._chunks and not self._ended:
            if self._loop.time() >= deadline:
                return b""
            if self._waiter is not None:
                raise RuntimeError("two readers of one link")
            self._set_timer(deadline)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._ended and not self._chunks:
            raise LinkClosedError
        if single and self._chunks:
            return self.take_one()
        if self._more:
            await asyncio.sleep(0)  # the rest of a flood: let others run first
        data = self.take()
        self._more = len(data) > PORTION
        if not self._more:
            return data
        self.put_back(data[PORTION:])
        return data[:PORTION]

    def put_back(self, data: bytes) -> None:
        """Keep octets that were taken for the next reader."""
        self._chunks.insert(0, data)
        self._size += len(data)

    def _set_timer(self, deadline: float) -> None:
        self._deadline = deadline
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(deadline, self._time_over)
        elif deadline < timer.when():
            timer.cancel()
            self._timer = self._loop.call_at(deadline, self._time_over)

    def _time_over(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() >= self._deadline:
            self._wake()
        else:
            self._timer = self._loop.call_at(self._deadline, self._time_over)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
