"""The connector's runtime and simulated meters, met over real sockets and pseudo-terminals.

The configuration is JSON as a user writes it; polls come from the real fleet, calls go
through the real dispatcher.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from dlms_connector.commands.audit import Audit
from dlms_connector.commands.dispatcher import Dispatcher
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.request import Request
from dlms_connector.commands.work import Context
from dlms_connector.config.loading import load
from dlms_connector.config.model import Configuration
from dlms_connector.errors import DlmsError
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Failure, Value
from dlms_connector.simulator import Meter, MeterOptions, dial_in, simulate, simulate_terminal
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.json_value import json_value
from tests.support.fake_meter import RecordingSink

T = TypeVar("T")

NOW = 1_790_000_000
_HERE = "127.0.0.1"
#: How long a modem takes to notice that the line is down, and to try again.
_REDIAL_S = 0.02
LOG = logging.getLogger("test.meeting")
#: What is not there by then does not come.
_PATIENCE_S = 30.0


def _now() -> datetime:
    return datetime.fromtimestamp(NOW, timezone.utc)


class Meeting:
    """A running fleet: what it polled, and calls to its meters."""

    def __init__(self, configuration: Configuration, folder: Path, meters: Sequence[Meter]) -> None:
        self.meters = meters
        self.sink = RecordingSink()
        devices = configuration.devices
        self.names = [device.device_name for device in devices]
        self.fleet = Fleet(devices, self.sink, LOG, state_dir=folder)
        self._ids = itertools.count(1)
        kept = Kept(folder, "clock-sets.json", LOG)
        self._dispatcher = Dispatcher(
            {
                device.device_name: Context(device, DLMSDownlinkConverter(device, LOG), _now, kept)
                for device in devices
            },
            self.fleet,
            json_value=json_value,
            audit=Audit(LOG),
            log=LOG,
        )

    @property
    def meter(self) -> Meter:
        """The first simulated meter."""
        return self.meters[0]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that a meter said makes a condition true."""
        await asyncio.wait_for(self.sink.until(condition), _PATIENCE_S)

    async def polled(self, times: int = 1) -> None:
        """Wait until every meter was polled so often."""
        await self.until(lambda: all(self._polls(name) >= times for name in self.names))

    def _polls(self, name: str) -> int:
        return len(self.sink.polls.get(name, ()))

    def values(self, name: str | None = None, poll: int = -1) -> dict[str, Value]:
        """Return the values of a poll by their keys."""
        _, last = self.sink.polls[name or self.names[0]][poll]
        return {reading.key: reading.value for reading in last.readings}

    def units(self, name: str | None = None) -> dict[str, str | None]:
        """Return the units of the last poll by their keys."""
        _, last = self.sink.polls[name or self.names[0]][-1]
        return {reading.key: reading.unit for reading in last.readings}

    def failures(self, name: str | None = None) -> tuple[Failure, ...]:
        """Return what the last poll did not get."""
        return self.sink.polls[name or self.names[0]][-1][1].failures

    async def state(self, wanted: str, name: str | None = None) -> DlmsError | None:
        """Wait for a meter's state; return what was said with it."""
        name = name or self.names[0]
        await self.until(lambda: wanted in self.sink.state_names(name))
        return next(error for _, state, error in self.sink.states[name] if state == wanted)

    async def call(self, method: str, params: Any = None, name: str | None = None) -> Any:
        """Call a method of a meter as the platform does; return the content of the answer."""
        request = Request(name or self.names[0], next(self._ids), method, params)
        answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._dispatcher.call(request, answered.set_result)
        return await asyncio.wait_for(answered, _PATIENCE_S)

    async def ask(self, talk: Callable[[Client], Talk[T]], name: str | None = None) -> T:
        """Hold a conversation with a meter on its line."""
        return await self.fleet.submit(name or self.names[0], talk, timeout_s=_PATIENCE_S)


@asynccontextmanager
async def meeting(
    document: Mapping[str, Any], folder: Path, meters: Sequence[Meter]
) -> AsyncIterator[Meeting]:
    """Run a fleet as configured; the document must be without a fault."""
    loaded = load(document, base=folder)
    assert loaded.every_problem == ()
    met = Meeting(loaded.configuration, folder, meters)
    running = asyncio.create_task(met.fleet.run())
    try:
        yield met
    finally:
        running.cancel()
        await asyncio.wait({running})


@asynccontextmanager
async def on_a_line(
    kind: str, options: Sequence[MeterOptions]
) -> AsyncIterator[tuple[dict[str, Any], tuple[Meter, ...]]]:
    """Serve meters on one endpoint, or let one call; yields its `connection` too.

    `kind` is `tcp`, `udp`, `serial` or `listen`.
    """
    if kind == "listen":
        meter = Meter(options[0])
        with socket.socket() as free:
            free.bind((_HERE, 0))
            port = free.getsockname()[1]
        calling = asyncio.create_task(_call(meter, port))
        yield {"type": "listen", "host": _HERE, "port": port, "peer": _HERE}, (meter,)
        calling.cancel()
        await asyncio.wait({calling})
        return
    if kind == "serial":
        async with simulate_terminal(options) as terminal:
            yield {"type": "serial", "port": terminal.path}, terminal.meters
        return
    async with simulate([list(options)], udp=kind == "udp") as (endpoint,):
        yield {"type": kind, "host": endpoint.host, "port": endpoint.port}, endpoint.meters


async def _call(meter: Meter, port: int) -> None:
    """Call, and call again whenever the line is down, as a modem does."""
    while True:
        with suppress(OSError):
            async with dial_in(meter, _HERE, port):
                while meter.connections:  # noqa: ASYNC110 (a modem polls its line)
                    await asyncio.sleep(_REDIAL_S)
        await asyncio.sleep(_REDIAL_S)
