"""Links over the calls of meters that dial in.

The peer of a call is unknown until it is identified. Then the call becomes the connection of
the link with the caller's name.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address

from dlms_connector.errors import AbsentError, ConnectError, ProtocolError
from dlms_connector.hints import Symptom
from dlms_connector.link.tcp_stream import StreamLink, TcpStream

#: No meter sends more octets to be identified, even with the object list of short names.
MOST_TO_SAY = 1 << 17
#: A call that was used so many times without a reply is closed: the meter may call again.
_DEAF_TIMES = 3
#: This many calls in this many seconds, each replacing an open one, are from two callers.
_CONTEST_CALLS, _CONTEST_S = 3, 60.0


class Call(StreamLink):
    """A connection of a meter not identified yet: an open link, for a first talk."""

    def __init__(self, made: Callable[[Call], None]) -> None:
        super().__init__()
        self.stream = self._stream = TcpStream(self, lambda: made(self))
        #: What came before it was identified: a modem's greeting, or what the meter pushes.
        self.greeting = b""

    @property
    def peer(self) -> str:
        """The caller's address, as text."""
        return plain(self.stream.peer)

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived; raises ProtocolError if it is more than a meter needs."""
        data = await super().receive(deadline)
        if self.bytes_in > MOST_TO_SAY:
            raise ProtocolError(
                "finding out who calls", f"{self.bytes_in} octets told nothing"
            ).showing(Symptom.NOT_CALLED_IN)
        return data

    async def open(self) -> None:
        """Do nothing: only the meter can call. Raises ConnectError if it has hung up."""
        if not self.is_open:
            raise ConnectError(self.peer, "the meter has hung up")


class DialInLink(StreamLink):
    """The link of the meters behind one caller, over its latest call.

    `close` ends the use of the call but does not hang up, because only the meter can call
    again. `arrived` is called when the meter has called, `said` gets what it says while nobody
    listens.
    """

    def __init__(self, name: str, *, door: str = "", now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.name, self.door = name, door
        self.arrived: Callable[[], None] = _nothing
        self.said: Callable[[bytes], None] = _ignored
        self._now = now
        self._since = now()
        self._has_called = False
        self._kept: TcpStream | None = None
        self._deaf_times = 0
        self._at_opening = (0, 0)
        self._called: asyncio.Future[None] | None = None
        self._replaced: deque[float] = deque(maxlen=_CONTEST_CALLS)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "held" if self.has_call else "waiting"
        return f"<DialInLink {self.name} {state}>"

    @property
    def has_call(self) -> bool:
        """Whether the meter is connected just now."""
        return self._kept is not None and self._kept.is_open

    @property
    def is_contested(self) -> bool:
        """Whether calls replace each other so fast that there must be two callers."""
        times = self._replaced
        return len(times) == _CONTEST_CALLS and times[-1] - times[0] < _CONTEST_S

    async def open(self) -> None:
        """Use the meter's call; raises AbsentError at once if there is none."""
        if not self.has_call:
            self._stream = None
            raise AbsentError(self.name, self.door, self._since_text(), self._has_called)
        self._stream = self._kept
        self._at_opening = self.bytes_in, self.bytes_out
        self.said(self.drain())

    async def arrival(self, within_s: float) -> bool:
        """Wait for the meter's call; false if it does not come in time."""
        if not self.has_call:
            self._called = self._called or asyncio.get_running_loop().create_future()
            await asyncio.wait({self._called}, timeout=within_s)
        return self.has_call

    async def close(self) -> None:
        """Stop using the call; hang up if several times no reply came."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        heard, asked = self.bytes_in - self._at_opening[0], self.bytes_out - self._at_opening[1]
        if heard:
            self._deaf_times = 0
        elif asked:
            self._deaf_times += 1
        if self._deaf_times >= _DEAF_TIMES:
            self._deaf_times = 0
            await stream.close()

    async def take(self, call: Call) -> None:
        """Use a new call; an earlier one is over, even if that was not noticed yet."""
        if self.has_call:
            self._replaced.append(self._now())
        earlier, self._kept = self._kept, call.stream
        self._stream, self._deaf_times, self._has_called = None, 0, True
        call.stream.count_for(self)
        self.bytes_in += call.bytes_in
        self.bytes_out += call.bytes_out
        if earlier is not None:
            await earlier.close()
        if self._called is not None:
            self._called.set_result(None)
            self._called = None
        self.said(call.greeting)
        self.arrived()

    def lose(self, call: Call) -> None:
        """Note that a call is over."""
        if self._kept is call.stream:
            self._kept, self._since = None, self._now()

    def forget(self) -> None:
        """Tell nobody any more that the meter has called, or what it says."""
        self.arrived, self.said = _nothing, _ignored

    async def hang_up(self) -> None:
        """End the call."""
        kept, self._kept, self._stream = self._kept, None, None
        if kept is not None:
            self._since = self._now()
            await kept.close()

    def _since_text(self) -> str:
        return datetime.fromtimestamp(self._since).astimezone().isoformat(" ", "seconds")


def _nothing() -> None:
    """Do nothing."""


def _ignored(_octets: bytes) -> None:
    """Take no notice."""


def plain(address: str) -> str:
    """Return an address as it is written in a configuration.

    A socket for both families shows an IPv4 caller as `::ffff:10.0.0.1`.
    """
    if not address:
        return ""
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
