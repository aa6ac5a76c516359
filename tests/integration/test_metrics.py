"""Metrics and a configured trace in the real gateway: scraped while it runs, gone when it ends."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from dlms_connector.simulator import microstar
from tests.support.site import Configuration, site


async def test_a_running_gateway_is_scraped_and_traces(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def with_metrics(configuration: Configuration) -> None:
        configuration["metrics"] = {"port": port, "perMeter": True}
        configuration["devices"][0]["trace"] = {"minutes": 5}

    async with site(tmp_path, [microstar(1)], with_metrics) as running:
        await running.until_polled(times=2)
        text = await asyncio.to_thread(_scraped, port)
    found = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    assert found["dlms_meters", "online"] == 1
    assert found["dlms_up", "DLMS-Meter-01"] == 1
    assert found["dlms_polls_total", "ok"] >= 2
    assert found["dlms_platform_connected",] == 1
    assert found["dlms_gateway_messages_total", "taken"] >= 2
    assert found["dlms_gateway_storage_messages",] >= 0
    assert any("AARQ" in trace for trace in _traces(tmp_path))


def _traces(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("**/traces/*.txt")]


def _scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())
