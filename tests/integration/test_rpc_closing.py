"""Calls that are open when the connector is closed; the connector runs in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dlms_connector.commands.dispatcher import STOPPED
from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway
from tests.support.site import device, watch

#: Nothing was done about a call that comes when the connector is closed.
CLOSED = "the connector is closed"

#: What the meter takes for an answer: much longer than anybody would wait here.
HANGS_S = 60


async def test_every_open_call_is_answered_when_the_connector_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    gateway = FakeGateway(tmp_path)
    gateway.connect()
    async with simulate([MeterOptions(serial=1)]) as endpoints:
        one = device("M1", endpoints[0].port, allowWrite=True, pollPeriod=60_000)
        one["connection"]["timeoutMs"] = 2 * 1000 * HANGS_S
        connector = DLMSConnector(gateway, {"id": "1", "name": "C", "devices": [one]}, "custom")
        connector.open()
        await asyncio.to_thread(gateway.wait_for, lambda: gateway.sent)
        asked = endpoints[0].meter.seen
        before = asked.copy()
        endpoints[0].meter.faults.set("delay", HANGS_S)
        for number in range(20):
            data = {"id": number, "method": "disconnectRelay", "params": None}
            connector.server_side_rpc_handler({"device": "M1", "data": data, "id": number})
        # One is at the meter, the others wait for it.
        await watch(lambda: asked != before)
        await asyncio.wait_for(asyncio.to_thread(connector.close), HANGS_S / 2)
        data = {"id": 99, "method": "readClock", "params": None}
        connector.server_side_rpc_handler({"device": "M1", "data": data, "id": 99})
    assert sorted(reply["req_id"] for reply in gateway.replies) == [*range(20), 99]
    for reply in gateway.replies:
        assert reply["device"] == "M1"
        told = CLOSED if reply["req_id"] == 99 else STOPPED
        assert reply["content"]["error"].endswith(told)


@pytest.mark.parametrize("content", [None, [], "x", 5, {}, {"device": None}, {"device": "M9"}])
async def test_nothing_is_raised_into_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    connector = DLMSConnector(FakeGateway(tmp_path), {"id": "1", "devices": []}, "custom")
    try:
        connector.server_side_rpc_handler(content)
        connector.on_attributes_update(content)
        assert connector.get_device_shared_attributes_keys("M9") == []
    finally:
        connector.close()
