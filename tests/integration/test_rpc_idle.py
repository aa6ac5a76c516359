"""Calls to meters that end associations early; the connector runs in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway
from tests.support.site import device, watch


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_the_first_call_after_a_while_is_carried_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framing: Literal["HDLC", "WRAPPER"]
) -> None:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    monkeypatch.setattr("dlms_connector.meter.idleness._LEAST_S", 0.0)
    gateway = FakeGateway(tmp_path)
    gateway.connect()
    seconds = [0.0]
    options = MeterOptions(
        framing=framing, monotonic=lambda: seconds[0], faults={"inactivity": 30.0}
    )
    async with simulate([options]) as endpoints:
        one = device(
            "M1",
            endpoints[0].port,
            pollPeriod=3_600_000,
            allowWrite=True,
            dlms={"interfaceType": framing},
        )
        one["connection"].update(timeoutMs=10_000, keepOpen=True)
        connector = DLMSConnector(gateway, {"id": "1", "name": "C", "devices": [one]}, "custom")
        connector.open()
        try:
            await asyncio.to_thread(gateway.wait_for, lambda: gateway.sent)
            for number, method in enumerate(("disconnectRelay", "getRelayState")):
                seconds[0] += 60.0
                data: dict[str, Any] = {"id": number, "method": method, "params": None}
                connector.server_side_rpc_handler({"device": "M1", "data": data, "id": number})
                await watch(lambda: gateway.replies[number:])  # noqa: B023 (it ends in its turn)
        finally:
            await asyncio.to_thread(connector.close)
        meter = endpoints[0].meter
        assert [reply["content"]["result"]["controlState"] for reply in gateway.replies] == [
            "disconnected"
        ] * 2
        assert (meter.seen["action"], meter.seen["aarq"]) == (1, 3)
