"""Meters that dial in: a TCP port where they call, and links that wait for their call.

A call is somebody unknown until it is identified, by its address or by a first talk over
it; then it becomes the connection of the link that bears the meter's name. Calls from
networks that are not allowed, too many of them and ones that nobody can identify are
hung up, so that what is behind the port costs little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from dlms_connector.errors import ConnectError, DlmsError
from dlms_connector.link.tcp_stream import StreamLink, TcpStream

MOST_CALLS = 1000
IDENTIFY_WITHIN_S = 30.0


class Call(StreamLink):
    """A connection of a meter not known yet: a link that is open already, for a first talk."""

    def __init__(self, made: Callable[[Call], None]) -> None:
        super().__init__()
        self.stream = self._stream = TcpStream(self, lambda: made(self))

    @property
    def peer(self) -> str:
        """The caller's address, as text."""
        return _plain(self.stream.peer)

    async def open(self) -> None:
        """Do nothing: only the meter can call. Raises ConnectError if it has hung up."""
        if not self.is_open:
            raise ConnectError(self.peer, "the meter has hung up")


class DialInLink(StreamLink):
    """The link of one meter, over its latest call."""

    def __init__(self, name: str, *, connect_timeout_s: float = 10.0) -> None:
        super().__init__()
        self.name = name
        self._connect_timeout_s = connect_timeout_s
        self._called: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<DialInLink {self.name} {'open' if self.is_open else 'waiting'}>"

    async def open(self) -> None:
        """Wait for the meter's call if there is none; raises ConnectError."""
        if self.is_open:
            self.drain()
            return
        await self.close()
        if self._called is None:
            self._called = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(asyncio.shield(self._called), self._connect_timeout_s)
        except asyncio.TimeoutError as error:
            reason = f"the meter did not call within {self._connect_timeout_s:g} s"
            raise ConnectError(self.name, reason) from error

    async def take(self, call: Call) -> None:
        """Go on with a new call; an earlier one is over, even if nobody has noticed yet."""
        earlier, self._stream = self._stream, call.stream
        call.stream.count_for(self)
        self.bytes_in += call.bytes_in
        self.bytes_out += call.bytes_out
        if self._called is not None:
            self._called.set_result(None)
            self._called = None
        if earlier is not None:
            await earlier.close()


#: Says which meter calls: a name, or None for a stranger. May talk over the call.
Identify = Callable[[Call], Awaitable[str | None]]


def by_address(names: Mapping[str, str]) -> Identify:
    """Return what identifies meters by the address they call from."""
    known = {_plain(address): name for address, name in names.items()}

    async def identify(call: Call) -> str | None:
        return known.get(call.peer)

    return identify


class Listener:
    """A port where meters call; `links` are those whose calls are expected.

    `hung_up` is told the address of a caller that was refused, and why.
    """

    def __init__(
        self,
        links: Mapping[str, DialInLink],
        identify: Identify,
        *,
        host: str | None = None,
        port: int = 4059,
        allow: Iterable[str] = ("0.0.0.0/0", "::/0"),
        most_calls: int = MOST_CALLS,
        identify_within_s: float = IDENTIFY_WITHIN_S,
        hung_up: Callable[[str, str], None] = lambda address, reason: None,
    ) -> None:
        self._links, self._identify = links, identify
        self._host, self._port = host, port
        self._allow: list[IPv4Network | IPv6Network] = [ip_network(each) for each in allow]
        self._most_calls = most_calls
        self._identify_within_s = identify_within_s
        self._hung_up = hung_up
        self._server: asyncio.Server | None = None
        self._calls: dict[Call, asyncio.Task[None]] = {}

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
        except OSError as error:
            endpoint = f"{self._host or '*'}:{self._port}"
            raise ConnectError(endpoint, f"cannot listen: {error.strerror}") from error

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
        await asyncio.gather(*(link.close() for link in self._links.values()))

    def _answer(self) -> TcpStream:
        return Call(self._called).stream

    def _called(self, call: Call) -> None:
        task = asyncio.ensure_future(self._serve(call))
        self._calls[call] = task
        task.add_done_callback(lambda _: self._calls.pop(call, None))

    async def _serve(self, call: Call) -> None:
        """See who calls, then watch the call until it is over: open calls are counted."""
        link = await self._link_of(call)
        if link is None:
            await call.close()
            return
        await link.take(call)
        await call.stream.until_lost()

    async def _link_of(self, call: Call) -> DialInLink | None:
        if reason := self._reason_to_refuse(call.peer):
            self._hung_up(call.peer, reason)
            return None
        try:
            name = await asyncio.wait_for(self._identify(call), self._identify_within_s)
        except asyncio.TimeoutError:
            reason = f"nobody knows it after {self._identify_within_s:g} s"
        except DlmsError as error:
            reason = str(error)
        else:
            if name is not None and name in self._links:
                return self._links[name]
            reason = "no configured meter calls from there" if name is None else f"unknown: {name}"
        self._hung_up(call.peer, reason)
        return None

    def _reason_to_refuse(self, address: str) -> str:
        if self._server is None:
            return "the port is closed"
        if len(self._calls) > self._most_calls:
            return "too many calls"
        if not address:
            return "it is gone already"
        caller = ip_address(address)
        return "" if any(caller in network for network in self._allow) else "not allowed"


def _plain(address: str) -> str:
    """Return an address as it is written in a configuration.

    A socket for both families shows an IPv4 caller as `::ffff:10.0.0.1`.
    """
    if not address:
        return ""
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
