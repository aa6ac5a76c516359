"""A whole installation: simulated meters, the real gateway process, the stand-in's platform."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.journal import Packet
from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator import MeterOptions, simulate
from dlms_connector.simulator.serving.sample import sample_configuration
from dlms_connector.simulator.serving.server import Endpoint

T = TypeVar("T")

#: Not that of other tests at the same time: who looks for a second client sees all processes.
TOKEN = f"the-gateway-token-{uuid4().hex}"
GATEWAY = "Gateway"

#: What a machine under load needs to start a gateway and to poll for the first time.
START_S = 30.0

Meters = Sequence[MeterOptions | Sequence[MeterOptions]]
Configuration = dict[str, Any]


@dataclass
class Site:
    """Everything that runs."""

    platform: Platform
    gateway: GatewayProcess
    endpoints: list[Endpoint]
    configuration: Configuration

    @property
    def devices(self) -> list[str]:
        """The names of the devices in the configuration."""
        return [device["deviceName"] for device in self.configuration["devices"]]

    async def until(self, look: Callable[[], T], timeout_s: float = START_S) -> T:
        """Wait until `look` returns something true; the log is shown if it never does."""
        try:
            return await self.platform.wait_for(look, timeout_s)
        except asyncio.TimeoutError:
            tail = "\n".join(self.gateway.log().splitlines()[-40:])
            raise AssertionError(
                f"not within {timeout_s:g} s; the gateway's log:\n{tail}"
            ) from None

    async def until_logged(self, pattern: str, timeout_s: float = START_S) -> str:
        """Wait until a line of the log matches, and return it."""
        try:
            return (await watch(lambda: self.log_lines(pattern), timeout_s))[0]
        except asyncio.TimeoutError:
            tail = self.gateway.log()[-4000:]
            raise AssertionError(f"{pattern!r} is not in the gateway's log:\n{tail}") from None

    async def until_polled(self, *devices: str, times: int = 1) -> None:
        """Wait until values of these devices, or of all, arrived so many times."""
        await self.until(lambda: all(self.polls(name) >= times for name in devices or self.devices))

    async def until_started(self) -> None:
        """Wait until values of all devices arrived, and the gateway takes calls and attributes."""
        await self.until_polled()
        await self.until_logged(r"Subscribed to \*\|\*")

    async def until_connected_anew(self, session: int) -> None:
        """Wait until every device was connected in this session or a later one, and data flows."""

        def connected() -> set[str]:
            return {
                packet.json["device"]
                for packet in self.published("v1/gateway/connect")
                if packet.session >= session
            }

        await self.until(lambda: connected() == set(self.devices))
        times = {name: self.polls(name) + 2 for name in self.devices}
        await self.until(lambda: all(self.polls(name) >= times[name] for name in times))

    def polls(self, device: str) -> int:
        """Return how many values the busiest time series of a device has."""
        keys = {
            item["key"]
            for one in self.configuration["devices"]
            if one["deviceName"] == device
            for item in one.get("timeseries", ())
        }
        return max(len(self.platform.telemetry(device, key)) for key in keys)

    def states(self, device: str) -> list[str]:
        """Return the states of a device in the order the platform heard of them."""
        return [
            packet.json[device]["dlmsState"]
            for packet in self.published("v1/gateway/attributes")
            if "dlmsState" in packet.json.get(device, {})
        ]

    def published(self, topic: str) -> list[Packet]:
        """Return what the gateway published to a topic."""
        return self.platform.journal.select("Publish", topic)

    def log_lines(self, pattern: str) -> list[str]:
        """Return the lines of the gateway's log in which a pattern is found."""
        return [line for line in self.gateway.log().splitlines() if re.search(pattern, line)]


async def watch(look: Callable[[], T], timeout_s: float = START_S) -> T:
    """Look at what tells nobody when it changes until it is true; raises asyncio.TimeoutError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while loop.time() < end:
        if found := look():
            return found
        await asyncio.sleep(0.05)
    raise asyncio.TimeoutError


def sample(endpoints: Sequence[Endpoint], *, poll_period_ms: int = 1000) -> Configuration:
    """Return a configuration with every meter of the endpoints."""
    configuration = sample_configuration(
        [
            (meter.options, endpoint.host, endpoint.port)
            for endpoint in endpoints
            for meter in endpoint.meters
        ]
    )
    configuration["defaults"]["pollPeriod"] = poll_period_ms
    # A configuration of its own for every device: tests change parts of it.
    return json.loads(json.dumps(configuration))  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def site(
    folder: Path,
    meters: Meters,
    configure: Callable[[Configuration], Any] = lambda configuration: None,
    *,
    text: str | None = None,
    platform_online: bool = True,
    manners: Manners | None = None,
    **gateway_options: Any,
) -> AsyncIterator[Site]:
    """Run meters, a platform and a gateway that polls them once per second.

    `configure` may change the configuration, `text` is written in place of it.
    Without `platform_online` nobody listens where the platform will be.
    """
    async with (
        Platform({TOKEN: GATEWAY}, manners=manners) as platform,
        simulate(meters) as endpoints,
    ):
        if not platform_online:
            await platform.go_offline()
        configuration = sample(endpoints)
        configure(configuration)
        gateway = GatewayProcess(
            folder,
            platform_port=platform.port,
            token=TOKEN,
            configuration=configuration if text is None else text,
            **gateway_options,
        )
        async with gateway:
            yield Site(platform, gateway, endpoints, configuration)


def device(name: str, port: int, **keys: Any) -> dict[str, Any]:
    """Return a device's section with one time series and short timeouts."""
    connection = {"host": "127.0.0.1", "port": port, "timeoutMs": 500, "connectTimeoutMs": 500}
    return {
        "deviceName": name,
        "connection": {**connection, "retries": 0},
        "timeseries": [{"key": "voltage_l1", "obis": "1-0:32.7.0"}],
        **keys,
    }


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Give a port that answers no SYN: the queue of those who wait there is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port
