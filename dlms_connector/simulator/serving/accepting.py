"""A listening TCP port that pauses when the process has no file descriptor left.

The servers of asyncio try a hundred times in a row then, with a log entry each time, and at ten
thousand ports nothing else is left to do.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

_LOG = logging.getLogger(__name__)
#: How long a port waits after it could not take a call.
_PAUSE_S = 1.0
#: Calls that wait, and how many of them are taken at once.
_BACKLOG = 100


class Shortage:
    """Tells once that calls cannot be taken; again only after some could be for a while."""

    def __init__(self, quiet_s: float = 60.0) -> None:
        self._quiet_s = quiet_s
        self._quiet_until = 0.0

    def tell(self, error: OSError, now: float) -> None:
        """Note that a call could not be taken."""
        if now >= self._quiet_until:
            _LOG.warning(
                "calls have to wait: %s; the limit of open files (ulimit -n) is too low for so "
                "many meters and clients",
                error.strerror or error,
            )
        self._quiet_until = now + self._quiet_s


#: One for the process, whose limit it is.
_SHORTAGE = Shortage()


class Port:
    """Takes calls at all addresses of a host; each gets a protocol of `factory`."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        pause_s: float = _PAUSE_S,
        shortage: Shortage = _SHORTAGE,
    ) -> None:
        self._factory, self._pause_s, self._shortage = factory, pause_s, shortage
        self._sockets: list[socket.socket] = []
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        self._taking: set[asyncio.Task[object]] = set()
        self.number = 0

    async def open(self, host: str, port: int) -> None:
        """Begin to listen; `number` is known afterwards. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.number = port
        try:
            for family, address in dict.fromkeys((each[0], each[4][0]) for each in found):
                made = socket.create_server(
                    (str(address), self.number), family=family, backlog=_BACKLOG
                )
                made.setblocking(False)
                self._sockets.append(made)
                self.number = made.getsockname()[1]
                loop.add_reader(made, self._take, made)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening; connections that were taken stay."""
        loop = asyncio.get_running_loop()
        for pause in self._pauses.values():
            pause.cancel()
        self._pauses.clear()
        for each in self._sockets:
            loop.remove_reader(each)
            each.close()
        self._sockets.clear()

    def _take(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_BACKLOG):
            try:
                call, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._shortage.tell(error, loop.time())
                loop.remove_reader(listening)
                self._pauses[listening] = loop.call_later(self._pause_s, self._resume, listening)
                return
            call.setblocking(False)
            task = loop.create_task(self._serve(call))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)

    async def _serve(self, call: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._factory, call)
        except OSError:  # gone already
            call.close()

    def _resume(self, listening: socket.socket) -> None:
        self._pauses.pop(listening, None)
        asyncio.get_running_loop().add_reader(listening, self._take, listening)
