"""The metrics of a real connector with simulated meters, its dashboard and its alerts."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dlms_connector.connector import DLMSConnector
from dlms_connector.metrics import METRICS
from dlms_connector.metrics.dashboard import FILE, dashboard, filled, written
from dlms_connector.metrics.server import MetricsServer
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway
from tests.support.places import DOCS, ROOT

SECRET = "12345678"
#: What there is only where something is kept until it is confirmed, or a clock is read.
SOMETIMES = {
    "dlms_unconfirmed_rows", "dlms_handed_over_rows", "dlms_confirmed_rows", "dlms_lost_rows",
}  # fmt: skip


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    made = FakeGateway(tmp_path)
    made.connect()
    return made


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def configuration(meter_port: int, metrics: Any, **keys: Any) -> dict[str, Any]:
    return {
        "id": "id-1",
        "name": "Meters",
        "metrics": metrics,
        "devices": [
            {
                "deviceName": name,
                "connection": {"type": "tcp", "host": "127.0.0.1", "port": port, "retries": 0},
                "dlms": {"authentication": "LOW", "password": SECRET},
                "pollPeriod": 200,
                "timeseries": [
                    {"key": "voltage", "obis": "1-0:32.7.0"},
                    {"key": "clock", "obis": "0-0:1.0.0", "class": "clock"},
                ],
            }
            for name, port in (("M1", meter_port), ("M2", 1))
        ],
        **keys,
    }


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


async def serve_and_scrape(gateway: FakeGateway, **more: Any) -> str:
    """Run a connector until it has polled a good meter and a bad one; return a scrape."""
    port = free_port()
    meter = MeterOptions(authentication="LOW", password=SECRET.encode())
    async with simulate([meter]) as (endpoint,):
        metrics = {"port": port, **more.pop("metrics", {})}
        config = configuration(endpoint.port, metrics, **more)
        connector = DLMSConnector(gateway, config, "custom")
        try:
            connector.open()
            for _ in range(600):
                text = await asyncio.to_thread(scraped, port)
                found = samples(text)
                ok = found.get(("dlms_polls_total", (("result", "ok"),)), 0)
                bad = found.get(("dlms_polls_total", (("result", "unreachable"),)), 0)
                sent = found.get(("dlms_gateway_messages_total", (("result", "taken"),)), 0)
                if ok and bad and sent:
                    return text
                await asyncio.sleep(0.05)
            raise AssertionError(text)
        finally:
            await asyncio.to_thread(connector.close)


async def test_a_real_scrape_holds_what_is_described(gateway: FakeGateway) -> None:
    text = await serve_and_scrape(gateway, metrics={"perMeter": True})
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert set(families) | SOMETIMES | {"dlms_gateway_storage_messages"} >= {
        metric.name for metric in METRICS
    }
    for metric in METRICS:
        if (family := families.get(metric.name)) is not None:
            assert family.type == metric.kind
            assert family.documentation == metric.means
            labels = {label for one in family.samples for label in one.labels} - {"le"}
            assert labels <= set(metric.labels)
    found = samples(text)
    assert found["dlms_meters", (("state", "online"),)] == 1
    assert found["dlms_up", (("device", "M1"),)] == 1
    assert found["dlms_up", (("device", "M2"),)] == 0
    assert found["dlms_poll_duration_seconds_count", ()] >= 1
    assert found["dlms_received_bytes_total", ()] > 100
    assert found["dlms_platform_connected", ()] == 1
    assert found["dlms_readings_total", ()] >= 2
    assert SECRET not in text
    for expression in _expressions():
        for name in _named(expression):
            assert any(name == one for one, _ in found) or _sometimes(name), name


async def test_no_label_grows_with_the_fleet_unless_it_is_asked_for(gateway: FakeGateway) -> None:
    text = await serve_and_scrape(gateway)
    assert "M1" not in text
    assert len(samples(text)) < 120


async def test_rows_that_are_kept_have_their_metrics(gateway: FakeGateway) -> None:
    found = samples(await serve_and_scrape(gateway, journal={"maxAge": "P1D"}))
    assert found["dlms_unconfirmed_rows", ()] >= 0
    assert ("dlms_lost_rows_total", (("reason", "dropped"),)) in found


def test_a_busy_port_is_told_once_and_stops_nothing(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        connector = DLMSConnector(gateway, configuration(1, {"port": port}), "custom")
        connector.open()
        gateway.wait_for(lambda: gateway.sent)  # the state of a meter that was polled
        connector.close()
    (told,) = _errors(caplog, "metrics")
    assert f"metrics cannot be served at 127.0.0.1:{port}: Address already in use" in told
    assert "metrics.port" in told


def test_a_server_that_does_not_end_is_told_once_and_the_rest_is_closed(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(1, {"port": free_port()})
    connector = DLMSConnector(gateway, config, "custom")
    connector.open()
    end = MetricsServer.close

    def broken(server: MetricsServer) -> None:
        end(server)
        raise OSError("no such descriptor")

    monkeypatch.setattr(MetricsServer, "close", broken)
    connector.close()
    connector.close()
    assert connector.is_stopped()
    assert _errors(caplog, "") == ["metrics did not end cleanly"]
    with pytest.raises(RuntimeError, match="closed"):
        _ = connector.parts


def test_a_missing_library_is_told_with_the_command(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("exposition", "server"):
        monkeypatch.delitem(sys.modules, f"dlms_connector.metrics.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    connector = DLMSConnector(gateway, configuration(1, {"port": free_port()}), "custom")
    connector.open()
    connector.close()
    (told,) = _errors(caplog, "metrics")
    assert "pip install 'thingsboard-dlms-connector[metrics]'" in told


def test_opening_and_closing_a_hundred_times_leaks_nothing(gateway: FakeGateway) -> None:
    config = {"name": "Meters", "devices": [], "metrics": {"port": free_port()}}
    for _ in range(100):
        connector = DLMSConnector(gateway, config, "custom")
        connector.open()
        connector.close()
    assert [one for one in threading.enumerate() if "metrics" in one.name] == []


def test_it_is_off_by_default(gateway: FakeGateway) -> None:
    config = configuration(1, None)
    del config["metrics"]
    connector = DLMSConnector(gateway, config, "custom")
    connector.open()
    assert [one for one in threading.enumerate() if "metrics" in one.name] == []
    connector.close()


def _errors(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    told = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    return [one for one in told if word in one]


# The dashboard and the alerts


def test_the_dashboard_and_the_documentation_are_current() -> None:
    assert (ROOT / "gateway-config" / FILE).read_text("utf-8") == written(), "run: make docs"
    text = (DOCS / "metrics.md").read_text("utf-8")
    assert filled(text) == text, "run: make docs"


def test_panels_do_not_overlap_and_have_their_own_numbers() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_alerts_use_metrics_and_labels_that_there_are() -> None:
    text = (ROOT / "gateway-config" / "prometheus" / "alerts.yml").read_text("utf-8")
    known = {name for metric in METRICS for name in _names_of(metric)}
    used = _named(text)
    assert "dlms_readings_total" in used
    assert used - known == set()
    documented = (DOCS / "metrics.md").read_text("utf-8")
    for alert in re.findall(r"alert: (\w+)", text):
        assert f"`{alert}`" in documented


def _expressions() -> Iterator[str]:
    for panel in json.loads((ROOT / "gateway-config" / FILE).read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def _named(expression: str) -> set[str]:
    return set(re.findall(r"\bdlms_\w+", expression))


def _names_of(metric: Any) -> set[str]:
    if metric.kind == "histogram":
        return {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return {metric.sample}


def _sometimes(name: str) -> bool:
    return name.removesuffix("_total") in {*SOMETIMES, "dlms_gateway_storage_messages"}
