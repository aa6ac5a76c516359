"""`dlms-connector read` against simulated meters."""

from __future__ import annotations

import asyncio
import csv
import json
import logging
import socket
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import simplejson
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.cli.read import read_once
from dlms_connector.config.model import Device
from dlms_connector.gateway.prepared import state_directory
from dlms_connector.meter.outcome import Outcome
from dlms_connector.simulator import MeterOptions, microstar, simulate
from dlms_connector.simulator.encoding.data import octets

LOG = logging.getLogger("test.read")
FIVE = {
    "voltage_l1": "1-1:32.7.0",
    "current_l1": "1-1:31.7.0",
    "frequency": "1-1:14.7.0",
    "active_power": "1-1:1.7.0",
    "active_energy": "1-1:1.8.0",
}


def entry(name: str, port: int, **more: Any) -> dict[str, Any]:
    return {
        "deviceName": name,
        "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 1000, "retries": 0},
        "timeseries": [{"key": "energy", "obis": "1-0:1.8.0", "unit": "kWh"}],
    } | more


def microstar_entry(name: str, port: int, password: str = "2222222222") -> dict[str, Any]:
    return entry(
        name,
        port,
        dlms={
            "clientAddress": 1,
            "logicalAddress": 0,
            "physicalAddress": 1,
            "authentication": "LOW",
            "password": password,
        },
        timeseries=[{"key": key, "obis": obis} for key, obis in FIVE.items()],
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def read(folder: Path, devices: list[dict[str, Any]], *arguments: str) -> Result:
    """Run the command in a thread: the simulated meters live in this one's loop."""
    file = folder / "dlms.json"
    file.write_text(json.dumps({"devices": devices}))
    return await asyncio.to_thread(CliRunner().invoke, main, ["read", str(file), *arguments])


async def test_a_table_shows_keys_objects_exact_values_and_units(tmp_path: Path) -> None:
    async with simulate([MeterOptions(hold_at=1_790_000_000)]) as (server,):
        result = await read(tmp_path, [entry("House 1", server.port)])
        raw = await read(
            tmp_path,
            [entry("House 1", server.port, timeseries=[{"key": "e", "obis": "1-0:1.8.0"}])],
            "--json",
        )
    assert result.exit_code == 0, result.output
    for text in ("House 1", "energy", "1-0:1.8.0", "kWh"):
        assert text in result.stdout
    (device,) = simplejson.loads(raw.stdout, use_decimal=True)
    kwh = Decimal(device["readings"][0]["value"]).scaleb(-3)
    assert f"{kwh.normalize():f}" in result.stdout


async def test_json_keeps_decimals_exact(tmp_path: Path) -> None:
    async with simulate([microstar()]) as (server,):
        result = await read(tmp_path, [microstar_entry("M", server.port)], "--json")
    assert result.exit_code == 0, result.output
    (device,) = simplejson.loads(result.stdout, use_decimal=True)
    assert device["device"] == "M"
    assert device["failures"] == []
    readings = {reading["key"]: reading for reading in device["readings"]}
    assert set(readings) == set(FIVE)
    voltage = readings["voltage_l1"]
    assert voltage["unit"] == "V"
    assert isinstance(voltage["value"], Decimal)
    assert str(voltage["value"]) in result.stdout
    assert 1_700_000_000_000 < voltage["ts"] < 4_000_000_000_000


async def test_csv_has_a_line_for_each_value_and_each_failure(tmp_path: Path) -> None:
    series = [{"key": "energy", "obis": "1-0:1.8.0"}, {"key": "none", "obis": "1-0:77.77.0"}]
    gone = entry("Gone", free_port())
    async with simulate([MeterOptions(hold_at=1_790_000_000)]) as (server,):
        devices = [entry('A, "1"', server.port, timeseries=series), gone]
        result = await read(tmp_path, devices, "--format", "csv")
        as_json = await read(tmp_path, devices, "--json")
    assert result.exit_code == 1
    energy, none, away = csv.DictReader(result.stdout.splitlines())
    (reading,) = simplejson.loads(as_json.stdout, use_decimal=True)[0]["readings"]
    assert energy["device"] == 'A, "1"'
    assert (Decimal(energy["value"]), energy["unit"]) == (reading["value"], "Wh")
    at = datetime.fromisoformat(energy["time"])
    assert abs(at.timestamp() * 1000 - int(energy["ts"])) < 1
    assert (none["key"], none["value"]) == ("none", "")
    assert "1-0:77.77.0" in none["error"]
    assert (away["device"], away["key"]) == ("Gone", "")
    assert "cannot connect" in away["error"]


async def test_prometheus_gets_numbers_and_which_meters_answer(tmp_path: Path) -> None:
    series = [
        {"key": "energy", "obis": "1-0:1.8.0", "unit": "kWh"},
        {"key": "serial", "obis": "0-0:96.1.0", "class": "data", "format": "text"},
    ]
    async with simulate([MeterOptions()]) as (server,):
        devices = [entry('A "1"', server.port, timeseries=series), entry("Gone", free_port())]
        result = await read(tmp_path, devices, "--format", "prometheus")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert r'dlms_up{device="A \"1\""} 1' in lines
    assert 'dlms_up{device="Gone"} 0' in lines
    (value,) = (line for line in lines if line.startswith("dlms_value{"))
    assert 'key="energy",obis="1-0:1.8.0",kind="timeseries",unit="kWh"' in value
    assert Decimal(value.split()[-1]) > 0
    kinds = [line for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)) == 4


async def test_two_formats_at_once_are_a_mistake(tmp_path: Path) -> None:
    result = await read(tmp_path, [entry("M", 1)], "--json", "--format", "csv")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


async def test_names_are_shown_as_they_are_written(tmp_path: Path) -> None:
    name, items = "Meter [/A] [red] :smile:", ["[/x]", "voltage[l1]", "[bold]", "power:zap:"]
    series = [{"key": key, "obis": "1-0:32.7.0"} for key in items]
    async with simulate([MeterOptions()]) as (server,):
        result = await read(tmp_path, [entry(name, server.port, timeseries=series)])
    assert result.exit_code == 0, result.output
    for text in (name, *items):
        assert text in result.stdout


async def test_a_meter_gives_no_orders_to_the_terminal(tmp_path: Path) -> None:
    items = [{"key": "name", "obis": "0-0:96.1.0", "class": "data", "format": "text"}]
    async with simulate([MeterOptions()]) as (server,):
        server.meter.put(1, "0-0:96.1.0", 2, octets(b"\x1b[2JM\r1"))
        result = await read(tmp_path, [entry("M", server.port, timeseries=items)])
    assert "\\x1b[2JM\\x0d1" in result.stdout
    assert "\x1b" not in result.stdout


async def test_no_value_is_cut_to_the_width_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = "k" * 90
    async with simulate([microstar()]) as (server,):
        device = microstar_entry("M", server.port)
        device["timeseries"].append({"key": key, "obis": FIVE["voltage_l1"]})
        piped = await read(tmp_path, [device])
        monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal, but without its width
        monkeypatch.setenv("COLUMNS", "30")
        narrow = await read(tmp_path, [device])
    assert key in piped.stdout
    assert "1234567" in piped.stdout
    assert "…" not in narrow.stdout
    assert "┃" in narrow.stdout


async def test_only_the_chosen_device_is_read_and_order_is_kept(tmp_path: Path) -> None:
    async with simulate([MeterOptions(), MeterOptions()]) as (first, second):
        devices = [entry("B", first.port), entry("A", second.port)]
        both = await read(tmp_path, devices, "--json")
        one = await read(tmp_path, devices, "--json", "--device", "A")
    assert [device["device"] for device in json.loads(both.stdout)] == ["B", "A"]
    assert [device["device"] for device in json.loads(one.stdout)] == ["A"]


async def test_a_meter_that_fails_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    async with simulate([MeterOptions()]) as (server,):
        result = await read(tmp_path, [entry("good", server.port), entry("gone", free_port())])
    assert result.exit_code == 1
    assert "good" in result.stdout
    assert "gone: cannot connect to" in result.stderr
    assert "hint: " in result.stderr
    assert "Traceback" not in result.output


async def test_a_wrong_password_is_a_refusal_with_a_hint(tmp_path: Path) -> None:
    async with simulate([microstar()]) as (server,):
        devices = [microstar_entry("M", server.port, password="1111111111")]
        result = await read(tmp_path, devices)
    assert result.exit_code == 1
    assert "M: opening the association: refused" in result.stderr
    assert "1111111111" not in result.output


async def test_an_object_that_the_meter_has_not_costs_only_itself(tmp_path: Path) -> None:
    items = [
        {"key": "energy", "obis": "1-0:1.8.0"},
        {"key": "nothing", "obis": "1-0:99.99.99"},
    ]
    async with simulate([MeterOptions()]) as (server,):
        devices = [entry("M", server.port, timeseries=items)]
        result = await read(tmp_path, devices, "--json")
        table = await read(tmp_path, devices)
    assert result.exit_code == table.exit_code == 1
    (device,) = json.loads(result.stdout)
    assert [reading["key"] for reading in device["readings"]] == ["energy"]
    assert [failure["key"] for failure in device["failures"]] == ["nothing"]
    assert "undefined" in device["failures"][0]["error"]
    assert "nothing" in table.stdout


async def test_a_unit_that_does_not_fit_is_told_since_nothing_would_be_sent(
    tmp_path: Path,
) -> None:
    items = [
        {"key": "good", "obis": "1-0:1.8.0", "unit": "kWh"},
        {"key": "slip", "obis": "1-0:1.8.0", "unit": "kwh"},
        {"key": "other", "obis": "1-0:1.8.0", "unit": "V"},
    ]
    async with simulate([MeterOptions()]) as (server,):
        devices = [entry("M", server.port, timeseries=items)]
        table = await read(tmp_path, devices)
        result = await read(tmp_path, devices, "--json")
        arguments = ["check", str(tmp_path / "dlms.json"), "--connect"]
        checked = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        own = await read(tmp_path, [entry("M", server.port, timeseries=items, uplinkConverter="C")])
    assert table.exit_code == result.exit_code == checked.exit_code == 1
    assert own.exit_code == 0
    (device,) = json.loads(result.stdout)
    assert [failure["key"] for failure in device["failures"]] == ["slip", "other"]
    for text in (table.stderr, checked.stderr, device["failures"][0]["error"]):
        assert "is not sent: cannot convert Wh to kwh: kwh is unknown, did you mean kWh?" in text


async def test_a_wrong_configuration_is_the_users_mistake(tmp_path: Path) -> None:
    async with simulate([MeterOptions()]) as (server,):
        devices = [entry("good", server.port), entry("bad", server.port, typo=1)]
        result = await read(tmp_path, devices)
        only_good = await read(tmp_path, devices, "--device", "good")
        only_bad = await read(tmp_path, devices, "--device", "bad")
        nobody = await read(tmp_path, devices, "--device", "nobody")
    assert result.exit_code == 2
    assert "typo" in result.stderr
    assert "good" in result.stdout
    assert only_good.exit_code == 0, only_good.output
    assert only_bad.exit_code == 2
    assert "typo" in only_bad.stderr
    assert nobody.exit_code == 2
    assert "good" in nobody.stderr
    missing = await asyncio.to_thread(
        CliRunner().invoke, main, ["read", str(tmp_path / "none.json")]
    )
    assert missing.exit_code == 2


async def test_meters_of_one_line_are_read_in_turn(tmp_path: Path) -> None:
    async with simulate([[MeterOptions(physical_address=n) for n in (1, 2, 3)]]) as (server,):
        devices = [
            Device.model_validate(entry(f"M{n}", server.port, dlms={"physicalAddress": n}))
            for n in (1, 2, 3)
        ]
        outcomes: dict[str, Outcome] = {}
        await read_once(
            devices, lambda device, result: outcomes.update({device.device_name: result})
        )
    assert list(outcomes) == ["M1", "M2", "M3"]
    assert all(not outcome.error and outcome.poll.readings for outcome in outcomes.values())


@pytest.mark.parametrize("place", ["own", "gateway"])
async def test_a_ciphered_meter_is_read_again_and_again(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number of a key is used twice, so the next command goes on where the last one ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    config = tmp_path / "config"
    config.mkdir()
    if place == "gateway":
        (config / "tb_gateway.json").write_text("{}")
    secured: dict[str, Any] = {
        "authentication": "HIGH_GMAC", "security": "AUTHENTICATION_ENCRYPTION",
    }  # fmt: skip
    options = MeterOptions(framing="WRAPPER", client_address=1, **secured)
    keys = {
        "interfaceType": "WRAPPER",
        "clientAddress": 1,
        "systemTitle": "434C490000000001",
        "blockCipherKey": options.block_cipher_key.hex(),
        "authenticationKey": options.authentication_key.hex(),
    }
    async with simulate([options]) as (server,):
        devices = [entry("M", server.port, dlms={**secured, **keys})]
        results = [await read(config, devices) for _ in range(2)]
        file = str(config / "dlms.json")
        results.append(
            await asyncio.to_thread(CliRunner().invoke, main, ["check", file, "--connect"])
        )
        results.append(await read(config, devices))
    assert [result.exit_code for result in results] == [0] * 4, results[1].output
    kept = tmp_path / {"own": "home/dlms-connector", "gateway": "data/dlms"}[place]
    assert len(list(kept.glob("counter-*.json"))) == 1


async def test_no_number_is_used_where_the_gateways_counters_are_not_to_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meter in clear is read, the ciphered one is not, and the reason is told."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "tb_gateway.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    container = state_directory(None, {"data_folder_path": "./inside/"}, config, LOG)
    assert container is not None
    note = config / ".dlms-state.json"
    note.write_text(note.read_text().replace("storage ./inside/", "storage "))
    container.rename(container.with_name("mounted elsewhere"))
    secured: dict[str, Any] = {"authentication": "NONE", "security": "AUTHENTICATION_ENCRYPTION"}
    plain, ciphered = MeterOptions(), MeterOptions(framing="WRAPPER", client_address=1, **secured)
    keys = {
        "interfaceType": "WRAPPER",
        "clientAddress": 1,
        "systemTitle": "434C490000000001",
        "blockCipherKey": ciphered.block_cipher_key.hex(),
        "authenticationKey": ciphered.authentication_key.hex(),
    }
    async with simulate([plain, ciphered]) as (clear, hidden):
        devices = [
            entry("Clear", clear.port),
            entry("Hidden", hidden.port, dlms=secured | keys),
        ]
        result = await read(config, devices)
        assert hidden.meter.seen["aarq"] == 0
    assert result.exit_code == 1
    assert "energy" in result.stdout
    assert "Hidden: keeping the invocation counter: refused: the gateway keeps" in result.stderr
    assert str(container) in result.stderr
    assert "docker exec" in result.stderr
    assert "Traceback" not in result.output
