"""A simulated meter on a serial line: a pseudo-terminal that any serial port library opens."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.options import MeterOptions
from dlms_connector.simulator.serving.connection import Connection

_CHUNK = 4096
_PATIENCE_S = 0.01


@dataclass(frozen=True)
class Terminal:
    """The path of the line and the meters on it. The baud rate has no effect."""

    path: str
    meters: tuple[Meter, ...]


@asynccontextmanager
async def simulate_terminal(
    options: MeterOptions | Sequence[MeterOptions],
) -> AsyncIterator[Terminal]:
    """Serve meters on a pseudo-terminal (POSIX only); yields its path."""
    meters = [Meter(one) for one in ([options] if isinstance(options, MeterOptions) else options)]
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    loop = asyncio.get_running_loop()
    connection = Connection(meters)

    def send(out: bytes) -> None:
        if closed:
            return
        try:
            written = os.write(ours, out)
        except BlockingIOError:  # the reader is slow
            written = 0
        if written < len(out):
            loop.call_later(_PATIENCE_S, send, out[written:])

    def received() -> None:
        try:
            data = os.read(ours, _CHUNK)
        except OSError:  # the other side is closed; it may be opened again
            return
        if out := connection.feed(data):
            loop.call_later(connection.delay_s, send, out)

    closed = False
    loop.add_reader(ours, received)
    try:
        yield Terminal(os.ttyname(theirs), tuple(meters))
    finally:
        closed = True
        loop.remove_reader(ours)
        connection.close()
        os.close(ours)
        os.close(theirs)
