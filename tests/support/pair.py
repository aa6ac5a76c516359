"""Two gateways, each with its own token, that have the same meters in their configuration."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator import simulate
from dlms_connector.simulator.meter import Meter
from tests.support.site import Configuration, Meters, Site, sample, watch

NAMES = ("Gateway A", "Gateway B")


@dataclass
class Pair:
    """Both gateways, as sites with the same platform, meters and configuration."""

    sites: tuple[Site, Site]

    @property
    def first(self) -> Site:
        """The site of the first gateway, for what does not depend on the gateway."""
        return self.sites[0]

    @property
    def meters(self) -> list[Meter]:
        """All meters."""
        return [meter for endpoint in self.first.endpoints for meter in endpoint.meters]

    def told(self, number: int) -> Mapping[str, Any]:
        """Return the client attributes of a gateway's own device."""
        return self.first.platform.store.attributes(NAMES[number], "client")

    async def until_told(self, number: int, **attributes: str) -> None:
        """Wait until a gateway has told this of itself."""
        await self.sites[number].until(lambda: attributes.items() <= self.told(number).items())

    def two_clients(self) -> int:
        """Return how often a meter was asked by one client after another had begun to ask."""
        return sum(meter.seen["two-clients"] for meter in self.meters)

    def instants(self, device: str, key: str = "voltage_l1") -> list[int]:
        """Return the instants of a time series, in order."""
        return sorted(point.ts for point in self.first.platform.telemetry(device, key))

    async def until_more(self, count: int) -> None:
        """Wait until so many more values of each device have arrived."""
        devices = self.first.devices
        goal = {name: len(self.instants(name)) + count for name in devices}
        await self.first.until(
            lambda: all(len(self.instants(name)) >= goal[name] for name in devices), 60
        )

    async def until_let_go(self) -> None:
        """Wait until no meter has a connection any more."""
        await watch(lambda: not any(meter.connections for meter in self.meters))


@contextlib.asynccontextmanager
async def pair(
    folder: Path,
    meters: Meters,
    configure: Callable[[Configuration], Any],
    environments: tuple[Mapping[str, str], Mapping[str, str]],
    *,
    manners: Manners | None = None,
) -> AsyncIterator[Pair]:
    """Run meters and a platform; the gateways are started by the test, and killed at the end.

    `environments` are what tells one gateway from the other.
    """
    tokens = [f"token-{uuid4().hex}" for _ in NAMES]
    async with (
        Platform(dict(zip(tokens, NAMES, strict=True)), manners=manners) as platform,
        simulate(meters) as endpoints,
    ):
        configuration = sample(endpoints)
        configure(configuration)
        sites = []
        for name, token, environment in zip(NAMES, tokens, environments, strict=True):
            place = folder / name[-1]
            place.mkdir()
            gateway = GatewayProcess(
                place,
                platform_port=platform.port,
                token=token,
                configuration=json.loads(json.dumps(configuration)),
                environment=environment,
            )
            sites.append(Site(platform, gateway, endpoints, configuration))
        try:
            yield Pair((sites[0], sites[1]))
        finally:
            for one in sites:
                await one.gateway.stop(signal.SIGKILL)
