"""Meters that dial in: listens on ports, and passes each call to the right line.

A caller is identified by its address, or by a first association over the call: the AARE
contains the system title, and the serial number is read. Each call has a task of its own,
so that a slow one does not delay others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dlms_connector.config import Connection, Device, ListenConnection
from dlms_connector.errors import ConnectError
from dlms_connector.fleet.introduction import Introduction
from dlms_connector.fleet.schedule import backoff_s, spread
from dlms_connector.link import EVERYBODY, DialInLink, Listener
from dlms_connector.meter import MakeClient
from dlms_connector.state import NoPlace

#: Callers that are named in the log, each once; more of them are logged at DEBUG only.
_MOST_NAMED = 200
#: After this time in seconds refused callers are named again.
_NEWS_AGAIN_S = 86_400.0


class Reception:
    """The ports where meters dial in; call `expect` first, then `run`."""

    def __init__(
        self,
        log: logging.Logger,
        make_client: MakeClient,
        state_dir: Path | NoPlace | None = None,
    ) -> None:
        """`state_dir` is the folder of the invocation counters; None stores them nowhere."""
        self._log, self._make_client, self._state_dir = log, make_client, state_dir
        self._devices: dict[str, list[Device]] = {}
        self._links: dict[str, dict[str, DialInLink]] = {}
        self._listeners: dict[str, Listener] = {}

    def expect(self, devices: Sequence[Device], link: DialInLink) -> None:
        """Hand the calls of the meters behind one caller to their link."""
        connection = devices[0].connection
        assert isinstance(connection, ListenConnection)
        self._devices.setdefault(connection.door, []).append(devices[0])
        self._links.setdefault(connection.door, {})[connection.endpoint] = link

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """The listeners of the open ports."""
        return self._listeners

    async def run(self) -> None:
        """Begin to listen on all ports; `close` ends it, also after `run` was cancelled."""
        await asyncio.gather(*(self._listen(door) for door in self._devices))

    async def close(self) -> None:
        """Stop listening and hang up all calls."""
        listeners, self._listeners = self._listeners, {}
        await asyncio.gather(*(one.close() for one in listeners.values()))

    async def _listen(self, door: str) -> None:
        """Open a port, and if it is not free yet, try again."""
        failures = 0
        listener = self._listener(door)
        while True:
            try:
                await listener.open()
            except ConnectError as error:
                failures += 1
                level = logging.ERROR if failures == 1 else logging.DEBUG
                self._log.log(level, "no meter can dial in: %s", error)
                await asyncio.sleep(backoff_s(failures, spread(door)))
            else:
                self._listeners[door] = listener
                self._log.info("%s: listening for %d callers", door, len(self._links[door]))
                return

    def _listener(self, door: str) -> Listener:
        devices = self._devices[door]
        first = devices[0].connection
        assert isinstance(first, ListenConnection)
        news = News(door, self._log)
        return Listener(
            self._links[door],
            Introduction(devices, self._make_client, self._log, self._state_dir),
            host=first.host,
            port=first.port,
            allow=welcome(each.connection for each in devices),
            identify_within_s=max(each.connection.connect_timeout_ms for each in devices) / 1000,
            hung_up=news.refused,
            contested=news.contested,
        )


def welcome(connections: Iterable[Connection]) -> tuple[str, ...]:
    """Return the networks from which a meter may call; all other calls are closed at once."""
    networks: list[str] = []
    for connection in connections:
        assert isinstance(connection, ListenConnection)
        own = connection.allow or ((connection.peer,) if connection.peer else EVERYBODY)
        networks += own
    return tuple(dict.fromkeys(networks))


class News:
    """Log messages about callers: each is named once a day, and only a limited number of them."""

    def __init__(self, door: str, log: logging.Logger) -> None:
        self._door, self._log = door, log
        self._named: set[str] = set()
        self._disputed: set[str] = set()
        self._news_again = 0.0

    def contested(self, name: str, address: str) -> None:
        """Note that two callers are identified as the same meter."""
        self._begin_day()
        if name not in self._disputed:
            self._disputed.add(name)
            self._log.warning(
                "%s: the meter known by %s calls again and again while it is connected, the last "
                "time from %s: if it is not a restless modem, another caller is taken for the "
                "same meter, and their values are mixed",
                self._door, name, address,
            )  # fmt: skip

    def refused(self, address: str, reason: str) -> None:
        """Note why a caller was refused."""
        self._begin_day()
        news = address not in self._named and len(self._named) < _MOST_NAMED
        self._log.log(
            logging.WARNING if news else logging.DEBUG,
            "%s: hung up on %s: %s", self._door, address or "a caller", reason,
        )  # fmt: skip
        if news:
            self._named.add(address)
            if len(self._named) == _MOST_NAMED:
                self._log.warning(
                    "%s: callers that are refused are not named any more today", self._door
                )

    def _begin_day(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._news_again:
            self._named.clear()
            self._disputed.clear()
            self._news_again = now + _NEWS_AGAIN_S
