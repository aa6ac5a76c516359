"""The old bridge as a second client: its own process, with the gateway's token."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dlms_connector.demo.platform_server import Platform
from tests.support.site import TOKEN

#: What the bridge of the old installations did, by the same library.
BRIDGE = """
import sys, time
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, client_id="dlms-bridge")
client.username_pw_set(sys.argv[2])
client.on_connect = lambda *args: print("connected", args[-1], flush=True)
client.on_disconnect = lambda client, data, code: print("disconnected", int(code), flush=True)
client.reconnect_delay_set(1, 1)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
while True:
    client.publish("v1/gateway/telemetry", '{"Old-Meter": [{"voltage_l1": 135.19}]}', qos=1)
    time.sleep(0.5)
"""


@asynccontextmanager
async def bridge(platform: Platform) -> AsyncIterator[list[str]]:
    """Run the old bridge beside whatever uses the token already; give what it has said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", BRIDGE, str(platform.port), TOKEN),
        stdout=asyncio.subprocess.PIPE,
    )
    said: list[str] = []

    async def listen() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            said.append(line.decode().strip())

    listening = asyncio.create_task(listen())
    try:
        yield said
    finally:
        process.kill()
        await process.wait()
        await listening
