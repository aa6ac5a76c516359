"""The parts of the demo: simulated meters, the platform stand-in, the gateway process."""

from __future__ import annotations

import copy
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_server import Platform
from dlms_connector.demo.platform_store import Point
from dlms_connector.simulator.options import MeterOptions, microstar
from dlms_connector.simulator.serving import Endpoint, sample_configuration, simulate

POLL_PERIOD_MS = 2000

#: The unit requested for each quantity, by key: telemetry itself has no units.
UNITS = {
    "voltage_l1": "V",
    "current_l1": "A",
    "frequency": "Hz",
    "active_power": "W",
    "active_energy": "kWh",
}

#: Packets that the journal keeps, because a demo may run for days.
_PACKETS = 1000

#: The kinds of meters, used in turn.
_KINDS: Sequence[Mapping[str, Any]] = (
    {"framing": "HDLC"},
    {"framing": "WRAPPER", "authentication": "LOW"},
    {
        "framing": "WRAPPER",
        "authentication": "HIGH_GMAC",
        "security": "AUTHENTICATION_ENCRYPTION",
        "client_address": 1,
    },
    {"framing": "HDLC", "authentication": "LOW"},
)


@dataclass(frozen=True)
class Scene:
    """The running parts; `units` has the unit of each expected time series, by device and key."""

    platform: Platform
    gateway: GatewayProcess
    units: Mapping[tuple[str, str], str]

    @property
    def devices(self) -> list[str]:
        """The names of the meters."""
        return list(dict.fromkeys(device for device, _ in self.units))

    def points(self) -> list[Point]:
        """Return the latest value of each time series that the meters have."""
        latest = self.platform.store.latest()
        return [point for point in latest if (point.device, point.key) in self.units]

    def missing(self) -> list[str]:
        """Return the meters with a time series that has not arrived yet."""
        arrived = {(point.device, point.key) for point in self.points()}
        return list(dict.fromkeys(one[0] for one in self.units if one not in arrived))


def cast(count: int) -> list[MeterOptions]:
    """Return meters of several kinds: HDLC and wrapper, no security, password, ciphered."""
    meters = [MeterOptions(serial=n, **_KINDS[(n - 1) % len(_KINDS)]) for n in range(1, count + 1)]
    if count > 1:
        meters[-1] = microstar(count)  # a meter that offers no GET-with-list
    return meters


def configuration(meters: Sequence[MeterOptions], endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the connector's configuration: each quantity in the unit of the demo's table."""
    places = [(one, at.host, at.port) for one, at in zip(meters, endpoints, strict=True)]
    made = copy.deepcopy(sample_configuration(places))
    made["defaults"]["pollPeriod"] = POLL_PERIOD_MS
    for device in made["devices"]:
        for item in device["timeseries"]:
            item["unit"] = UNITS[item["key"]]
    return made


@asynccontextmanager
async def stage(count: int) -> AsyncIterator[Scene]:
    """Run a scene with `count` meters; its end removes all processes and files."""
    token, meters = secrets.token_hex(10), cast(count)
    with tempfile.TemporaryDirectory(prefix="dlms-demo-") as folder:
        async with (
            Platform({token: "Gateway"}, packets=_PACKETS) as platform,
            simulate(meters) as endpoints,
        ):
            configured = configuration(meters, endpoints)
            units = {
                (device["deviceName"], item["key"]): item["unit"]
                for device in configured["devices"]
                for item in device["timeseries"]
            }
            gateway = GatewayProcess(
                Path(folder), platform_port=platform.port, token=token, configuration=configured
            )
            async with gateway:
                yield Scene(platform, gateway, units)
                await gateway.stop()
