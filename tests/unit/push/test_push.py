"""All that is pushed to a connector: what goes on although something fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dlms_connector.config import Device
from dlms_connector.errors import DlmsError
from dlms_connector.push import Push, push
from dlms_connector.state import PUSHED_FILE
from tests.support.pushes import data_notification, device_of, general_glo
from tests.support.pushing import LOG, NOW_MS, Collected
from tests.unit.push.test_receiver import CIPHERED, NAMED, TITLE

pytestmark = pytest.mark.asyncio
_SECONDS = 30.0


class Raising(Collected):
    """A sink that fails when a meter is told silent."""

    def state(self, device: Device, state: str, error: DlmsError | None) -> None:
        super().state(device, state, error)
        if state == "offline":
            raise RuntimeError("the gateway's fault")


async def test_a_fault_of_the_sink_does_not_end_the_keeping_of_counters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "_SWEEP_S", 0.01)
    monkeypatch.setattr(push, "_STORE_S", 0.01)
    silent = {**CIPHERED, "push": {**CIPHERED["push"], "silentAfter": 1000}}
    sink = Raising()
    made = Push([device_of(silent)], sink, LOG, state_dir=tmp_path, now_ms=lambda: NOW_MS)
    running = asyncio.ensure_future(made.run())
    loop = asyncio.get_running_loop()
    end = loop.time() + _SECONDS
    while ("Meter", "offline") not in sink.states:
        assert loop.time() < end
        made.said("Meter", general_glo(data_notification(NAMED), TITLE, 1))
        await asyncio.sleep(0.01)
    before = (tmp_path / PUSHED_FILE).read_bytes() if (tmp_path / PUSHED_FILE).exists() else b""
    made.said("Meter", general_glo(data_notification(NAMED), TITLE, 2))
    while not (tmp_path / PUSHED_FILE).exists() or (tmp_path / PUSHED_FILE).read_bytes() == before:
        assert loop.time() < end, "no longer stored"
        assert not running.done()
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    await made.close()
