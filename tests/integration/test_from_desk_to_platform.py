"""A new user's way: a meter of unknown addresses on a port, and no editor.

`discover` finds it, `install` adds the connector to a gateway that has none, and its values arrive
at the platform. The password is in a file, as the documents say.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from dlms_connector.demo.gateway_process import GatewayProcess
from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator import microstar, simulate
from tests.support.site import GATEWAY, TOKEN

pytestmark = pytest.mark.asyncio

#: The whole way, with reserve for a machine that has other things to do.
WITHIN_S = 120.0
DEVICE = "DLMS-Meter-00000007"


async def command(*arguments: str) -> str:
    """Run a command as a user does; return what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_from_an_unknown_meter_to_values(tmp_path: Path) -> None:
    async with Platform({TOKEN: GATEWAY}) as platform, simulate([microstar(7)]) as (meter,):
        gateway = GatewayProcess(
            tmp_path, platform_port=platform.port, token=TOKEN, configuration="{}"
        )
        config = gateway.config_dir
        own = without_the_connector(config)
        (tmp_path / "extensions").mkdir()
        (config / "secrets").mkdir(mode=0o700)
        (config / "secrets" / "meter").write_text("2222222222\n")

        said = await command("install", "--gateway-config", str(config))
        assert f"dlms-connector discover --host HOST --port PORT --output {own}" in said
        said = await command(
            *("discover", "--host", meter.host, "--port", str(meter.port), "--rate", "50"),
            *("--password", "${file:meter}", "--output", str(own)),
        )
        assert f"found a meter at tcp://{meter.host}:{meter.port}: HDLC, client 1" in said
        said = await command("check", str(own), "--connect")
        assert f"{DEVICE}: " in said

        document = json.loads(own.read_text())
        wanted = {item["key"] for item in document["devices"][0]["timeseries"]}
        assert {"voltage_l1", "active_energy"} <= wanted
        async with gateway:
            await platform.wait_for(
                lambda: all(platform.telemetry(DEVICE, key) for key in wanted), WITHIN_S
            )
            assert platform.store.attributes(DEVICE)["serialNumber"] == '"00000007"'
        assert "2222222222" not in own.read_text() + gateway.log()


def without_the_connector(config: Path) -> Path:
    """Make the gateway one that has never heard of meters; return where their file will be."""
    main = config / "tb_gateway.json"
    document = json.loads(main.read_text())
    document["connectors"] = []
    main.write_text(json.dumps(document, indent=2))
    (config / "dlms.json").unlink()
    return config / "dlms.json"
