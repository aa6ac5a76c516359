"""Meters push: to the real gateway, and from there to the platform."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.simulator import Meter, MeterOptions, push
from tests.support.site import START_S, Configuration, site

pytestmark = pytest.mark.asyncio

_CIPHERED: dict[str, Any] = {
    "framing": "WRAPPER",
    "security": "AUTHENTICATION_ENCRYPTION",
}
_LAYOUT = [
    {"obis": "0-0:1.0.0", "class": "clock"},
    {"obis": "0-0:42.0.0", "class": "data"},
    {"obis": "1-0:1.8.0", "scaler": 0, "unit": "Wh"},
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_pushes_reach_the_platform(tmp_path: Path) -> None:
    """One meter only pushes, one is polled too, and one has no entry and is made by rule."""
    port = _free_port()
    told, new = (Meter(MeterOptions(serial=serial, **_CIPHERED)) for serial in (71, 72))
    keys = {
        "security": "AUTHENTICATION_ENCRYPTION",
        "blockCipherKey": told.options.block_cipher_key.hex(),
        "authenticationKey": told.options.authentication_key.hex(),
    }

    def configure(configuration: Configuration) -> None:
        polled = configuration["devices"][0]
        polled["timeseries"].append(
            {"key": "pushed", "obis": "1-0:1.8.0", "pollPeriod": 86_400_000}
        )
        configuration["templates"] = {
            "pushing": {
                "dlms": keys,
                "push": {"layouts": [{"objects": _LAYOUT}]},
                "timeseries": [{"key": "energy", "obis": "1-0:1.8.0", "unit": "kWh"}],
            }
        }
        configuration["devices"].append(
            {
                "deviceName": "Told",
                "template": "pushing",
                "connection": {"type": "push"},
                "push": {"systemTitle": told.options.title().hex()},
            }
        )
        configuration["push"] = [
            {
                "type": "tcp",
                "host": "127.0.0.1",
                "port": port,
                "allow": ["127.0.0.0/8"],
                "autoCreate": {"template": "pushing", "deviceName": "New {systemTitle}"},
            }
        ]

    async with site(tmp_path, [MeterOptions(framing="WRAPPER")], configure) as running:
        polled = running.devices[0]
        await running.until_polled(polled)
        await running.until_logged("listening for pushes")
        store, created = running.platform, f"New {new.options.title().hex().upper()}"

        await push(told, "127.0.0.1", port)
        await push(new, "127.0.0.1", port)
        for name in ("Told", created):
            await running.until(partial(store.telemetry, name, "energy"))
            await running.until(partial(running.states, name))
            assert running.states(name) == ["online"]

        before = len(store.telemetry(polled, "pushed"))
        meter = running.endpoints[0].meter
        await push(meter, "127.0.0.1", port)  # nothing tells its order: the push setup is read
        end = asyncio.get_running_loop().time() + START_S
        while len(store.telemetry(polled, "pushed")) <= before:
            assert asyncio.get_running_loop().time() < end, running.gateway.log()[-3000:]
            await asyncio.sleep(0.2)
            await push(meter, "127.0.0.1", port)
        assert not running.log_lines("Traceback")
