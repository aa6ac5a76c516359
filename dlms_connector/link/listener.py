"""Meters that dial in: a TCP port where they call, and links over their calls.

A call is somebody unknown until it is identified, by its address or by a first talk over
it; then it becomes the connection of the link that bears the caller's name. Calls that
nobody can identify and too many unknown ones are hung up, so that what is behind the
port costs little.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from dlms_connector.errors import AbsentError, ConnectError, DlmsError, ProtocolError
from dlms_connector.link.tcp_stream import StreamLink, TcpStream
from dlms_connector.within import within

#: Calls that are not identified yet, from one address half of them: many meters of a mobile
#: network may share one.
MOST_STRANGERS = 1000
#: All networks.
EVERYBODY = ("0.0.0.0/0", "::/0")
#: Of the files that the process may have open, this part is for strangers: the gateway and its
#: other connectors need theirs.
_STRANGERS_PART = 4
IDENTIFY_WITHIN_S = 30.0
#: Modems announce themselves when they call: that is over when the line rests so long.
GREETING_S = 0.25
_LONGEST_GREETING_S = 3.0
#: No meter needs more to say who it is, be it with the object list that short names take.
MOST_TO_SAY = 1 << 17
#: A call over which nothing came so many times is of no use: the meter may call anew.
_DEAF_TIMES = 3
#: So many calls within so many seconds, each in place of one that still held, are not of one meter.
_CONTEST_CALLS, _CONTEST_S = 3, 60.0


def room_for_strangers() -> int:
    """Return how many calls may be unknown at once, so that a flood of them does no harm."""
    try:
        import resource
    except ImportError:  # there is no such bound on Windows
        return MOST_STRANGERS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounded = files != resource.RLIM_INFINITY
    return max(2, min(MOST_STRANGERS, files // _STRANGERS_PART)) if bounded else MOST_STRANGERS


class Call(StreamLink):
    """A connection of a meter not known yet: a link that is open already, for a first talk."""

    def __init__(self, made: Callable[[Call], None]) -> None:
        super().__init__()
        self.stream = self._stream = TcpStream(self, lambda: made(self))

    @property
    def peer(self) -> str:
        """The caller's address, as text."""
        return plain(self.stream.peer)

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived; raises ProtocolError if it is more than a meter has to say."""
        data = await super().receive(deadline)
        if self.bytes_in > MOST_TO_SAY:
            raise ProtocolError("finding out who calls", f"{self.bytes_in} octets told nothing")
        return data

    async def open(self) -> None:
        """Do nothing: only the meter can call. Raises ConnectError if it has hung up."""
        if not self.is_open:
            raise ConnectError(self.peer, "the meter has hung up")


class DialInLink(StreamLink):
    """The link of the meters behind one caller, over its latest call.

    `close` lets go of the call and keeps it, for only the meter can call again. `arrived`
    is called when the meter has.
    """

    def __init__(self, name: str, *, door: str = "", now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.name, self.door = name, door
        self.arrived: Callable[[], None] = lambda: None
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
        """Whether calls end each other so fast that two callers must be taken for this meter."""
        times = self._replaced
        return len(times) == _CONTEST_CALLS and times[-1] - times[0] < _CONTEST_S

    async def open(self) -> None:
        """Take up the meter's call; raises AbsentError, at once, where there is none."""
        if not self.has_call:
            self._stream = None
            raise AbsentError(self.name, self.door, self._since_text(), self._has_called)
        self._stream = self._kept
        self._at_opening = self.bytes_in, self.bytes_out
        self.drain()

    async def arrival(self, within_s: float) -> bool:
        """Wait for the meter's call; false if it does not come in time."""
        if not self.has_call:
            self._called = self._called or asyncio.get_running_loop().create_future()
            await asyncio.wait({self._called}, timeout=within_s)
        return self.has_call

    async def close(self) -> None:
        """Let go of the call; hang up if the meter is deaf to us."""
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
        """Go on with a new call; an earlier one is over, even if nobody has noticed yet."""
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
        self.arrived()

    def lose(self, call: Call) -> None:
        """Note that a call is over."""
        if self._kept is call.stream:
            self._kept, self._since = None, self._now()

    async def hang_up(self) -> None:
        """End the call."""
        kept, self._kept, self._stream = self._kept, None, None
        if kept is not None:
            self._since = self._now()
            await kept.close()

    def _since_text(self) -> str:
        return datetime.fromtimestamp(self._since).astimezone().isoformat(" ", "seconds")


#: Says which meter calls: a name, or None for a stranger. May talk over the call.
Identify = Callable[[Call], Awaitable[str | None]]


def by_address(names: Mapping[str, str]) -> Identify:
    """Return what identifies meters by the address they call from."""
    known = {plain(address): name for address, name in names.items()}

    async def identify(call: Call) -> str | None:
        return known.get(call.peer)

    return identify


class Listener:
    """A port where meters call; `links` are those whose calls are expected, by their names.

    `hung_up` is told the address of a caller that was refused, and why; `contested` the name of
    a link for which there seem to be two callers, and the address of the last.
    """

    def __init__(
        self,
        links: Mapping[str, DialInLink],
        identify: Identify,
        *,
        host: str | None = None,
        port: int = 4059,
        allow: Iterable[str] = EVERYBODY,
        most_strangers: int | None = None,
        most_from_one: int | None = None,
        identify_within_s: float = IDENTIFY_WITHIN_S,
        greeting_s: float = GREETING_S,
        hung_up: Callable[[str, str], None] = lambda address, reason: None,
        contested: Callable[[str, str], None] = lambda name, address: None,
    ) -> None:
        self._links, self._identify = links, identify
        self._host, self._port = host, port
        self._allow: list[IPv4Network | IPv6Network] = [ip_network(each) for each in allow]
        self._most_strangers = most_strangers or room_for_strangers()
        self._most_from_one = most_from_one or max(1, self._most_strangers // 2)
        self._identify_within_s, self._greeting_s = identify_within_s, greeting_s
        self._hung_up, self._contested = hung_up, contested
        self._server: asyncio.Server | None = None
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._strangers: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The port that is listened on, also when the system chose it."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._answer, self._host, self._port)
        except (OSError, UnicodeError) as error:
            endpoint = f"{self._host or '*'}:{self._port}"
            reason = getattr(error, "strerror", None) or str(error)
            raise ConnectError(endpoint, f"cannot listen: {reason}") from error

    async def close(self) -> None:
        """Stop listening and hang up all calls, also those that became links."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        calls = dict(self._calls)
        for task in calls.values():
            task.cancel()
        await asyncio.gather(*calls.values(), return_exceptions=True)
        await asyncio.gather(*(call.close() for call in calls))
        await asyncio.gather(*(link.hang_up() for link in self._links.values()))

    def _answer(self) -> TcpStream:
        return Call(self._called).stream

    def _called(self, call: Call) -> None:
        task = asyncio.ensure_future(self._serve(call))
        self._calls[call] = task
        task.add_done_callback(lambda _: self._calls.pop(call, None))

    async def _serve(self, call: Call) -> None:
        """See who calls, then watch the call until it is over."""
        link = await self._link_of(call)
        if link is None:
            await call.close()
            return
        try:
            await link.take(call)
            if link.is_contested:
                self._contested(link.name, call.peer)
            await call.stream.until_lost()
        finally:
            link.lose(call)

    async def _link_of(self, call: Call) -> DialInLink | None:
        address = call.peer
        reason = self._reason_to_refuse(address)
        if not reason:
            self._strangers[address] += 1
            try:
                name = await within(self._identify_within_s, self._find_out(call))
            except asyncio.TimeoutError:
                reason = f"nobody knows it after {self._identify_within_s:g} s"
            except DlmsError as error:
                reason = str(error)
            except Exception as error:  # whatever it was, it must not keep the call
                reason = f"a fault of the connector: {error!r}"
            else:
                if name is not None and name in self._links:
                    return self._links[name]
                reason = (
                    "no configured meter calls from there" if name is None else f"unknown: {name}"
                )
            finally:
                self._strangers -= Counter((address,))
        self._hung_up(address, reason)
        return None

    async def _find_out(self, call: Call) -> str | None:
        """Let the modem's greeting pass, then identify the meter."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _LONGEST_GREETING_S
        while loop.time() < end and await call.receive(loop.time() + self._greeting_s):
            pass
        return await self._identify(call)

    def _reason_to_refuse(self, address: str) -> str:
        if self._server is None:
            return "the port is closed"
        if self._strangers.total() >= self._most_strangers:
            return "too many calls that are not identified yet"
        if self._strangers[address] >= self._most_from_one:
            return "too many calls from there that are not identified yet"
        if not address:
            return "it is gone already"
        caller = ip_address(address)
        return "" if any(caller in network for network in self._allow) else "not allowed"


def plain(address: str) -> str:
    """Return an address as it is written in a configuration.

    A socket for both families shows an IPv4 caller as `::ffff:10.0.0.1`.
    """
    if not address:
        return ""
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
