"""How it ends: on request, by force, and with the meters told."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from time import monotonic

import pytest

from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway
from tests.support.measured import measured
from tests.support.site import START_S, Site, sample, site, watch

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER"), MeterOptions(serial=3)]
WITHIN_S = 1.0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@measured
async def test_at_the_end_the_meters_are_told(tmp_path: Path, how: signal.Signals) -> None:
    """The gateway itself closes on SIGINT only."""
    async with site(tmp_path, METERS) as running:
        await running.until_polled(times=2)
        # The first thing a meter hears may be a DISC, to clear what an earlier end left behind.
        before = [goodbyes(running, number) for number in range(3)]
        assert await running.gateway.stop(how, within_s=START_S) == 0
        assert [goodbyes(running, number) for number in range(3)] == [one + 1 for one in before]
        assert not any(one.meter.association_held for one in running.endpoints)
        assert running.log_lines(r"\| DLMS \| closed within \d{1,3} ms")
        assert not running.log_lines("Traceback|left behind")


def goodbyes(running: Site, number: int) -> int:
    """Return how often a meter was told goodbye: DISC by HDLC, RLRQ by the wrapper."""
    seen = running.endpoints[number].meter.seen
    return (
        seen["disc"] if running.endpoints[number].meter.options.framing == "HDLC" else seen["rlrq"]
    )


async def test_killed_and_started_again(tmp_path: Path) -> None:
    """Meters that hold an association that nobody released are polled again all the same."""
    sticky = MeterOptions(serial=1)
    async with site(tmp_path, [sticky, *METERS[1:]]) as running:
        for session in range(1, 4):
            await running.until_connected_anew(session)
            await running.gateway.stop(signal.SIGKILL)
            await running.gateway.start()
        await running.until_connected_anew(4)
        assert not running.log_lines(r"Traceback|\|(ERROR|WARNING)\| DLMS")


@pytest.mark.alone
@measured
async def test_close_with_a_hundred_meters_in_the_middle_of_a_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway gives up a connector that is not closed within five seconds."""
    monkeypatch.chdir(tmp_path)  # where the gateway's loggers write
    slow = [MeterOptions(serial=number, faults={"delay": 0.4}) for number in range(1, 101)]
    async with simulate(slow) as endpoints:
        gateway = FakeGateway(tmp_path)
        configuration = sample(endpoints) | {"id": "1", "name": "Hundred"}
        connector = DLMSConnector(gateway, configuration, "custom")
        try:
            gateway.connect()
            connector.open()
            await watch(lambda: all(one.meter.seen["aarq"] for one in endpoints))
        finally:
            began = monotonic()
            await asyncio.to_thread(connector.close)
            took = monotonic() - began
        assert took < WITHIN_S
        assert connector.is_stopped()
