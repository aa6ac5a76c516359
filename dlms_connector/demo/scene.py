"""The demo's cast: simulated meters, the stand-in for the platform, the gateway process."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator.options import MeterOptions, microstar
from dlms_connector.simulator.sample import sample_configuration
from dlms_connector.simulator.server import simulate

POLL_PERIOD_MS = 2000

#: What each quantity is sent in, so that the table can say so: by key.
UNITS = {
    "voltage_l1": "V",
    "current_l1": "A",
    "frequency": "Hz",
    "active_power": "W",
    "active_energy": "kWh",
}


@dataclass(frozen=True)
class Scene:
    """Everything that runs; `devices` are the names of the meters."""

    platform: Platform
    gateway: GatewayProcess
    devices: tuple[str, ...]


def cast(count: int) -> list[MeterOptions]:
    """Return meters of several kinds: HDLC and wrapper, with and without a password."""
    kinds: tuple[Mapping[str, Any], ...] = (
        {"framing": "HDLC", "authentication": "LOW"},
        {"framing": "WRAPPER"},
        {"framing": "HDLC"},
        {"framing": "WRAPPER", "authentication": "LOW"},
    )
    meters = [MeterOptions(serial=number, **kinds[number % len(kinds)]) for number in range(count)]
    for number, meter in enumerate(meters, 1):
        meter.serial = number
    if count > 1:
        meters[-1] = microstar(count)  # a meter that offers no GET-with-list
    return meters


@asynccontextmanager
async def stage(count: int) -> AsyncIterator[Scene]:
    """Run a scene with so many meters; when it ends nothing is left behind."""
    token = secrets.token_hex(10)
    meters = cast(count)
    with tempfile.TemporaryDirectory(prefix="dlms-demo-") as folder:
        async with Platform({token: "Gateway"}) as platform, simulate(meters) as endpoints:
            places = [
                (meter, endpoint.host, endpoint.port)
                for meter, endpoint in zip(meters, endpoints, strict=True)
            ]
            configuration = sample_configuration(places)
            configuration["defaults"]["pollPeriod"] = POLL_PERIOD_MS
            for device in configuration["devices"]:
                for item in device["timeseries"]:
                    item["unit"] = UNITS[item["key"]]
            gateway = GatewayProcess(
                Path(folder),
                platform_port=platform.port,
                token=token,
                configuration=configuration,
            )
            names = tuple(device["deviceName"] for device in configuration["devices"])
            async with gateway:
                yield Scene(platform, gateway, names)
                await gateway.stop()
