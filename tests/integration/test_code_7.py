"""Code 7 of the old installations, and that ours has none.

They had two processes: the gateway, and a bridge that polled the meters and published with the
gateway's own token. The platform knows one session per token, so each closed the other's.
"""

from __future__ import annotations

from pathlib import Path

from dlms_connector.simulator import MeterOptions
from tests.support.second_client import bridge
from tests.support.site import START_S, TOKEN, Site, site, watch

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER"), MeterOptions(serial=3)]

#: How often one closes the other in this test, of which the bridge feels every second time.
TIMES = 4


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
