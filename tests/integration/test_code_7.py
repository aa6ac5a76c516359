"""Code 7 of the old installations, and that ours has none.

They had two processes: the gateway, and a bridge that polled the meters and published with the
gateway's own token. The platform knows one session per token, so each closed the other's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dlms_connector.demo.platform_server import Platform
from dlms_connector.simulator import MeterOptions
from tests.support.site import START_S, TOKEN, Site, site, watch

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER"), MeterOptions(serial=3)]

#: How often one closes the other in this test, of which the bridge feels every second time.
TIMES = 4

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


async def test_two_processes_with_one_token_close_each_other(tmp_path: Path) -> None:
    async with site(tmp_path, METERS) as running:
        await running.until_polled()
        async with bridge(running.platform) as said:
            await running.until(lambda: closed_by_the_platform(running) >= TIMES, 60)
            await watch(lambda: said.count("disconnected 7") >= TIMES // 2)
            await watch(lambda: said.count("connected 0") >= 2)
            await running.until(lambda: running.platform.telemetry("Old-Meter", "voltage_l1"))
        await running.until_logged("MQTT client was disconnected")
        # Without the second process there is peace again, though the connector did nothing.
        sessions = len(running.platform.journal.select("Connect"))
        await running.until_connected_anew(session=sessions)


async def test_one_process_has_one_session_from_beginning_to_end(tmp_path: Path) -> None:
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=5)
        assert await running.gateway.stop(within_s=START_S) == 0
        assert [one.detail for one in running.platform.journal.select("Connect")] == [TOKEN]
        assert closed_by_the_platform(running) == 0
        assert len({packet.session for packet in running.platform.journal}) == 1
        assert not running.log_lines("reason code (?!0)")


def closed_by_the_platform(running: Site) -> int:
    return len(running.platform.journal.select("Closed", direction="out"))
