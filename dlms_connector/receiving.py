"""Receiving from a connection into one buffer that all connections of a thread share.

For an `asyncio.Protocol`, asyncio lets the system fill a new object of 256 KiB and cuts it to
what has arrived. The C library takes such a block from the system and gives it back each time,
unless something larger was freed before: more than all the rest of a short exchange takes.
"""

from __future__ import annotations

import asyncio
import threading

#: Octets that are received at once; more come with the next turn of the loop.
SIZE = 1 << 16


class _Shared(threading.local):
    """One buffer for each thread: a loop has one, and copies out of it at once."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(SIZE))


_shared = _Shared()


class Receiver(asyncio.BufferedProtocol):
    """A protocol whose `data_received` is called as that of an `asyncio.Protocol`."""

    def __init__(self) -> None:
        """Call this in the thread of the loop."""
        self._buffer = _shared.view

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to write what has arrived."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take it out again, before anything else is received."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        raise NotImplementedError
