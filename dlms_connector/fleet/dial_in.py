"""Meters that dial in: listens on ports, and passes each call to the right line.

A caller is identified by its address, or by a first association over the call: the AARE
contains the system title, and the serial number is read. Each call has a task of its own,
so that a slow one does not delay others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

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
    """The ports where meters dial in; tell it whom to `expect`, then `run` it."""

    def __init__(
        self,
        log: logging.Logger,
        make_client: MakeClient,
        state_dir: Path | NoPlace | None = None,
    ) -> None:
        """`state_dir` is the folder of the invocation counters; None stores them nowhere."""
        self._log, self._make_client, self._state_dir = log, make_client, state_dir
        self._expected: dict[str, _Expected] = {}
        self._doors: dict[str, tuple[Listener, asyncio.Task[None]]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, Listener] = {}
        self._is_running = False

    def expect(self, devices: Sequence[Device], link: DialInLink) -> None:
        """Hand the calls of the meters behind one caller to their link."""
        connection = devices[0].connection
        assert isinstance(connection, ListenConnection)
        self._expected.setdefault(connection.door, _Expected()).add(devices[0], link)

    def change(self, callers: Iterable[tuple[Sequence[Device], DialInLink]]) -> None:
        """Expect these callers from now on; those that were expected before stay connected."""
        before, self._expected = self._expected, {}
        for devices, link in callers:
            self.expect(devices, link)
        for door, (listener, task) in list(self._doors.items()):
            if (now := self._expected.get(door)) is None:
                self._close(door, listener, task)
            elif now != before.get(door):
                listener.expect(now.links, self._introduction(now), **now.guests)
        if self._is_running:
            self._open_doors()

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """The listeners of the open ports."""
        return self._listeners

    async def run(self) -> None:
        """Listen on all ports until cancelled; call `close` afterwards."""
        self._is_running = True
        self._open_doors()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Stop listening and hang up all calls."""
        self._is_running = False
        for door, (listener, task) in list(self._doors.items()):
            self._close(door, listener, task)
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _open_doors(self) -> None:
        for door in self._expected.keys() - self._doors.keys():
            listener = self._listener(door)
            self._doors[door] = listener, asyncio.create_task(self._listen(door, listener))

    def _close(self, door: str, listener: Listener, task: asyncio.Task[None]) -> None:
        async def close() -> None:
            task.cancel()
            await asyncio.wait({task})
            await listener.close()

        del self._doors[door]
        self._listeners.pop(door, None)
        closing = asyncio.create_task(close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _listen(self, door: str, listener: Listener) -> None:
        try:
            await self._open(door, listener)
        except Exception:
            self._log.exception("%s: a fault of the connector: no meter can dial in there", door)

    async def _open(self, door: str, listener: Listener) -> None:
        """Open a port, and if it is not free yet, try again."""
        failures = 0
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
                callers = len(self._expected[door].links)
                self._log.info("%s: listening for %d callers", door, callers)
                return

    def _listener(self, door: str) -> Listener:
        expected = self._expected[door]
        first = expected.devices[0].connection
        assert isinstance(first, ListenConnection)
        news = News(door, self._log)
        return Listener(
            expected.links,
            self._introduction(expected),
            host=first.host,
            port=first.port,
            hung_up=news.refused,
            contested=news.contested,
            **expected.guests,
        )

    def _introduction(self, expected: _Expected) -> Introduction:
        return Introduction(expected.devices, self._make_client, self._log, self._state_dir)


class _Guests(TypedDict):
    """What a listener must know of those whom it expects."""

    allow: tuple[str, ...]
    identify_within_s: float


@dataclass(slots=True)
class _Expected:
    """Whose calls are expected at one port: a device of each caller, and the links by endpoint."""

    devices: list[Device] = field(default_factory=list)
    links: dict[str, DialInLink] = field(default_factory=dict)

    def add(self, device: Device, link: DialInLink) -> None:
        self.devices.append(device)
        self.links[device.connection.endpoint] = link

    @property
    def guests(self) -> _Guests:
        """From where they call, and how long each may take to tell who it is."""
        connections = [device.connection for device in self.devices]
        timeouts = (each.connect_timeout_ms for each in connections)
        return {"allow": welcome(connections), "identify_within_s": max(timeouts) / 1000}


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
