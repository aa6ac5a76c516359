"""A device's `trace` in a running connector: it begins with the table, and has no secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway

SECRET = "Sesame-73"
ROW = "deviceName,connection.host,connection.port,dlms.authentication,dlms.password,trace.minutes\n"


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("**/traces/*.txt")]


async def written(folder: Path) -> str:
    """Return the text of the trace once the meter was read."""
    for _ in range(1200):
        if whole := [text for text in texts(folder) if "AARE" in text]:
            return whole[0]
        await asyncio.sleep(0.05)
    raise AssertionError("no trace was written")


async def test_a_change_of_the_table_turns_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    monkeypatch.setattr("dlms_connector.gateway.table.LOOK_S", 0.05)
    monkeypatch.setenv("METER_1", SECRET)
    gateway = FakeGateway(tmp_path)
    meter = MeterOptions(authentication="LOW", password=SECRET.encode())
    async with simulate([meter]) as (endpoint,):
        row = f"M1,127.0.0.1,{endpoint.port},LOW,${{env:METER_1}},"
        table = tmp_path / "config" / "meters.csv"
        table.write_text(f"{ROW}{row}\n")
        config = {
            "name": "Meters",
            "devicesFile": "meters.csv",
            "defaults": {
                "pollPeriod": 200, "timeseries": [{"key": "voltage", "obis": "1-0:32.7.0"}],
            },
        }  # fmt: skip
        connector = DLMSConnector(gateway, config, "custom")
        connector.open()
        try:
            await asyncio.to_thread(gateway.wait_for, lambda: gateway.sent)
            assert texts(tmp_path) == []
            table.write_text(f"{ROW}{row}30\n")
            text = await written(tmp_path)
        finally:
            await asyncio.to_thread(connector.close)
    assert "trace of M1" in text
    assert "voltage" not in text
    assert SECRET.encode().hex(" ").upper() not in text.upper()
