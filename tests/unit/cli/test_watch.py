"""`dlms-connector watch` against simulated meters, and what it shows."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from dlms_connector.cli import main
from dlms_connector.cli.watch_table import Watched, Watching, fleet_table, meter_table
from dlms_connector.config import Device
from dlms_connector.errors import ConnectError, ObjectError
from dlms_connector.obis import Obis
from dlms_connector.reading import Failure, Poll, Reading
from dlms_connector.simulator import MeterOptions, simulate


def entry(name: str, port: int, **more: Any) -> dict[str, Any]:
    return {
        "deviceName": name,
        "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 5000, "retries": 0},
        "pollPeriod": 1000,
        "timeseries": [{"key": "energy", "obis": "1-0:1.8.0", "unit": "kWh"}],
    } | more


async def watch(folder: Path, devices: list[dict[str, Any]], *arguments: str) -> Result:
    file = folder / "dlms.json"
    file.write_text(json.dumps({"devices": devices}), "utf-8")
    return await asyncio.to_thread(CliRunner().invoke, main, ["watch", str(file), *arguments])


async def test_each_change_is_a_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    options = MeterOptions(hold_at=1_790_000_000)
    async with simulate([options]) as (server,):
        result = await watch(tmp_path, [entry("M", server.port)], "--polls", "3")
        assert server.meter.seen["get"] + server.meter.seen["get-with-list"] >= 3
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    (value,) = (line for line in lines if " M energy " in line)
    assert value.endswith(" kWh")
    assert [line for line in lines if line.endswith(" M online")]


async def test_a_meter_that_does_not_answer_makes_it_fail(tmp_path: Path) -> None:
    async with simulate([MeterOptions()]) as (server,):
        both = [entry("here", server.port), entry("gone", 1)]
        result = await watch(tmp_path, both, "--polls", "1")
        alone = await watch(tmp_path, both, "--polls", "1", "--device", "here")
    assert result.exit_code == 1
    assert " here online" in result.stdout
    assert " gone " in result.stdout
    assert "cannot connect" in result.stdout
    assert alone.exit_code == 0, alone.output
    assert "gone" not in alone.stdout


async def test_a_terminal_gets_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    async with simulate([MeterOptions()]) as (server,):
        result = await watch(tmp_path, [entry("M", server.port)], "--polls", "1")
    assert result.exit_code == 0, result.output
    assert "1-0:1.8.0" in result.stdout
    assert "┃" in result.stdout


async def test_it_ends_by_itself(tmp_path: Path) -> None:
    async with simulate([MeterOptions()]) as (server,):
        result = await watch(tmp_path, [entry("M", server.port)], "--seconds", "0.5")
    assert result.exit_code in (0, 1)  # whether the meter has answered by then is not sure
    assert "Traceback" not in result.output


async def test_mistakes_are_told(tmp_path: Path) -> None:
    result = await watch(tmp_path, [entry("M", 1)], "--device", "X")
    assert result.exit_code == 2
    assert "no device is called 'X'; there are: M" in result.stderr
    none = await watch(tmp_path, [], "--seconds", "1")
    assert none.exit_code == 2
    assert "no meter to watch" in none.stderr


# What is shown


def device(name: str) -> Device:
    return Device.model_validate(entry(name, 4059))


def poll(value: int, *failures: Failure) -> Poll:
    reading = Reading(
        key="energy", kind="timeseries", obis=Obis.parse("1-0:1.8.0"), class_id=3, attribute=2,
        value=value, unit="Wh", ts_ms=1_000_000, quality="good",
    )  # fmt: skip
    return Poll(readings=(reading,), failures=failures)


def text_of(table: Any) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(table)
    return console.export_text()


def test_only_changes_are_told() -> None:
    lines: list[str] = []
    one = device("M")
    watching = Watching([Watched(one)], lines.append)
    for value in (1000, 1000, 2000):
        watching.polled(one, poll(value), 1000.0)
    refused = ConnectError("tcp://h:1", "refused")
    for _ in range(2):
        watching.state(one, "offline", refused, 1001.0)
    assert lines == [
        "1970-01-01T00:16:40+00:00 M energy 1 kWh",
        "1970-01-01T00:16:40+00:00 M energy 2 kWh",
        "1970-01-01T00:16:41+00:00 M offline: cannot connect to tcp://h:1: refused",
    ]


def test_a_meter_is_shown_with_values_and_failures() -> None:
    one = device("M [/red]")
    watching = Watching([Watched(one)], lambda line: None)
    ref = Obis.parse("1-0:2.8.0")
    error = ObjectError("reading\x1b[2J", 4)
    failure = Failure(key="export", kind="timeseries", obis=ref, error=error)
    watching.polled(one, poll(1500, failure), 1000.0)
    shown = text_of(meter_table(watching, 1060.0, 40))
    assert "1.5" in shown
    assert "60 s" in shown
    assert "export" in shown
    assert "M [/red]" in shown
    assert "\x1b[2J" not in shown


def test_a_large_fleet_fits_the_screen_with_trouble_first() -> None:
    devices = [device(f"M{number}") for number in range(100)]
    watching = Watching([Watched(one) for one in devices], lambda line: None)
    for one in devices:
        watching.state(one, "online", None, 1.0)
    watching.state(devices[77], "offline", ConnectError("tcp://h:1", "refused"), 2.0)
    shown = text_of(fleet_table(watching, 3.0, 24))
    assert "100 meters: 1 offline, 99 online" in shown
    assert shown.index("M77") < shown.index("M0 ")
    assert "more meters" in shown
    assert len(shown.splitlines()) <= 24
