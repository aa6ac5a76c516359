"""A TCP port where meters dial in.

A caller is identified by its address or by a first talk over the call. Calls that cannot be
identified, and too many unidentified ones, are closed, so that the port needs few resources.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from dlms_connector.config import allowed_hosts
from dlms_connector.errors import DlmsError
from dlms_connector.link.dial_in_link import Call, DialInLink
from dlms_connector.link.tcp_stream import TcpStream
from dlms_connector.link.unreachable import unheard
from dlms_connector.within import within

#: Most calls that are not identified yet; half of them from one address, because many meters of
#: a mobile network may share it.
MOST_STRANGERS = 1000
#: All networks.
EVERYBODY = ("0.0.0.0/0", "::/0")
#: Unidentified calls may use one fourth of the file descriptors of the process: the gateway and
#: its other connectors need the rest.
_STRANGERS_PART = 4
IDENTIFY_WITHIN_S = 30.0
#: Modems may send a greeting after connecting: it is over after this many seconds of silence.
GREETING_S = 0.25
_LONGEST_GREETING_S = 3.0

#: Returns the name of the calling meter, None if unknown. May talk over the call.
Identify = Callable[[Call], Awaitable[str | None]]


def room_for_strangers() -> int:
    """Return how many calls may be unidentified at once, so that a flood does no harm."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounded = files != resource.RLIM_INFINITY
    return max(2, min(MOST_STRANGERS, files // _STRANGERS_PART)) if bounded else MOST_STRANGERS


class Listener:
    """A port where meters dial in; `links` are the links that expect a call, by their names.

    `hung_up` gets the address of a refused caller and the reason. `contested` gets the name of a
    link that seems to have two callers, and the address of the last one.
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
        self.expect(links, identify, allow=allow, identify_within_s=identify_within_s)
        self._host, self._port = host, port
        self._most_strangers = most_strangers or room_for_strangers()
        self._most_from_one = most_from_one or max(1, self._most_strangers // 2)
        self._greeting_s = greeting_s
        self._hung_up, self._contested = hung_up, contested
        self._server: asyncio.Server | None = None
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._strangers: Counter[str] = Counter()

    def expect(
        self,
        links: Mapping[str, DialInLink],
        identify: Identify,
        *,
        allow: Iterable[str] = EVERYBODY,
        identify_within_s: float = IDENTIFY_WITHIN_S,
    ) -> None:
        """Take the calls of these meters from now on; those that have called stay connected."""
        self._links, self._identify = links, identify
        self._allow: list[IPv4Network | IPv6Network] = [ip_network(each) for each in allow]
        self._identify_within_s = identify_within_s

    @property
    def port(self) -> int:
        """The TCP port number, also if the system chose it."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            # In two steps: who is cancelled behind the first one has the socket, and closes it.
            self._server = await loop.create_server(
                self._answer, self._host, self._port, start_serving=False
            )
            await self._server.start_serving()
        except asyncio.CancelledError:
            await self.close()
            raise
        except (OSError, UnicodeError) as error:
            endpoint = f"{self._host or '*'}:{self._port}"
            reason = getattr(error, "strerror", None) or str(error)
            raise unheard(endpoint, reason) from error

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
        """Identify the caller, then wait until the call is over."""
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
            except Exception as error:  # no error may leave the call open
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
        while loop.time() < end:
            if not (data := await call.receive(loop.time() + self._greeting_s)):
                break
            call.greeting += data
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
        hosts = allowed_hosts()
        if hosts is not None and not hosts.takes_address(address):
            return "its address is in no network of DLMS_ALLOW_HOSTS"
        caller = ip_address(address)
        return "" if any(caller in network for network in self._allow) else "not allowed"
