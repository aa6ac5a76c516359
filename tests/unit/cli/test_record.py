"""`record`, and its file served as a meter: each in tests/recordings is a test by itself."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.simulator import MeterOptions, dial_in, simulate
from dlms_connector.simulator.recording import read_recording
from tests.support.places import ROOT
from tests.unit.cli.test_tracing import METERS_TITLE, PASSWORD, TITLE, WAYS, configured, found_in

RECORDINGS = sorted((ROOT / "tests" / "recordings").glob("*.json"))
HERE = "127.0.0.1"
IDENTITIES = [PASSWORD, TITLE, METERS_TITLE, b"73219846"]


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


async def record(
    folder: Path, port: int, dlms: dict[str, Any], **workarounds: Any
) -> tuple[Result, Path]:
    output = folder / "recording.json"
    file = configured(folder, port, dlms, workarounds=workarounds)
    result = await run("record", file, "--device", "House 1", "--output", str(output))
    return result, output


def content_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def replayed(device: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that reach the recorded meter; its password is not known."""
    keys = ("interfaceType", "referencing", "clientAddress", "logicalAddress", "physicalAddress")
    return {key: device[key] for key in keys if device[key] is not None}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_a_recording_is_served_as_it_was_recorded(path: Path, tmp_path: Path) -> None:
    recorded = content_of(path)
    async with simulate([MeterOptions(**read_recording(path))]) as (server,):
        result, output = await record(tmp_path, server.port, replayed(recorded["device"]))
    again = content_of(output)
    assert again["failure"] == recorded["failure"], result.output
    assert again["objects"] == recorded["objects"]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_in_the_repository_has_no_identities(path: Path) -> None:
    assert not found_in([path], IDENTITIES)


async def test_a_recording_has_no_secrets_and_is_private(tmp_path: Path) -> None:
    options, dlms = WAYS["md5"]
    meter = MeterOptions(
        password=PASSWORD, system_title=METERS_TITLE, serial=73_219_846, **options
    )  # fmt: skip
    async with simulate([meter]) as (server,):
        result, output = await record(tmp_path, server.port, {**options, **dlms})
        assert result.exit_code == 0, result.output
        again, _ = await record(tmp_path, server.port, {**options, **dlms})
    assert again.exit_code == 2  # it is there already
    assert not found_in([output], IDENTITIES)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


async def test_single_values_lists_and_unknown_ones_are_answered(tmp_path: Path) -> None:
    path = ROOT / "tests" / "recordings" / "hdlc_low.json"
    items = [{"key": "energy", "obis": "1-0:1.8.0"}, {"key": "other", "obis": "1-0:99.99.9"}]
    async with simulate([MeterOptions(**read_recording(path))]) as (server,):
        device = {
            "deviceName": "m",
            "connection": {"host": "127.0.0.1", "port": server.port},
            "timeseries": items,
        }
        file = tmp_path / "dlms.json"
        for single in (True, False):
            device["workarounds"] = {"singleReads": single}
            file.write_text(json.dumps({"devices": [device]}))
            result = await run("read", str(file), "--json")
            shown = json.loads(result.stdout)[0]
            assert [one["key"] for one in shown["readings"]] == ["energy"], result.output
            assert shown["readings"][0]["value"] > 0
            assert "undefined" in shown["failures"][0]["error"]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("device", "clientAddress", "16"),
        ("device", "logicalAddress", 70_000),
        ("device", "physicalAddress", True),
        ("device", "referencing", ["LN"]),
        ("exchanges", "request", ""),
        ("exchanges", "response", ""),
    ],
)
def test_a_damaged_recording_is_refused(part: str, key: str, value: object, tmp_path: Path) -> None:
    content = content_of(RECORDINGS[0])
    one = content[part] if part == "device" else content[part][0]
    one[key] = value
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="damaged"):
        read_recording(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "no recording"),
        ("[", "Expecting"),
        ('{"format": "dlms-connector recording", "version": 9}', "version"),
        ('{"format": "dlms-connector recording", "version": 1}', "damaged"),
        (
            '{"format": "dlms-connector recording", "version": 1, '
            '"device": {"security": "ENCRYPTION"}}',
            "ciphered",
        ),
    ],
)
async def test_what_cannot_be_replayed_is_refused(
    content: str, told: str, tmp_path: Path
) -> None:  # fmt: skip
    path = tmp_path / "r.json"
    path.write_text(content)
    result = await run("simulate", "--replay", str(path), "--seconds", "0", "--port", "0")
    assert result.exit_code == 2
    assert told in result.output


def test_simulate_serves_a_recording() -> None:
    arguments = ["simulate", "--replay", str(RECORDINGS[0]), "--seconds", "0", "--port", "0"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output


async def test_a_meter_that_answers_in_blocks_is_recorded_and_served(tmp_path: Path) -> None:
    async with simulate([MeterOptions(serial=73_219_846)]) as (server,):
        result, output = await record(tmp_path, server.port, {}, maxPdu=128)
    assert result.exit_code == 0, result.output
    content = content_of(output)
    blocks = [one for one in content["exchanges"] if (one["response"] or "").startswith("C402")]
    assert blocks
    assert not found_in([output], IDENTITIES)
    folder = tmp_path / "again"
    folder.mkdir()
    async with simulate([MeterOptions(**read_recording(output))]) as (server,):
        result, again = await record(folder, server.port, {})
    assert result.exit_code == 0, result.output
    listed = [one["obis"] for one in content_of(again)["objects"]]
    assert listed == [one["obis"] for one in content["objects"]]


async def test_a_meter_that_dials_in_is_waited_for(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind((HERE, 0))
        port = int(one.getsockname()[1])
    door = {"type": "listen", "host": HERE, "port": port, "peer": HERE}
    file = configured(tmp_path, port, {}, connection=door)
    output = tmp_path / "recording.json"
    recording = asyncio.ensure_future(
        run("record", file, "--device", "House 1", "--output", str(output))
    )
    async with AsyncExitStack() as calls:
        while not recording.done():
            try:
                await calls.enter_async_context(dial_in(MeterOptions(), HERE, port))
                break
            except ConnectionRefusedError:  # the port is not open yet
                await asyncio.sleep(0.02)
        result = await recording
    assert result.exit_code == 0, result.output
    assert content_of(output)["objects"]


async def test_a_meter_that_refuses_is_recorded_too(tmp_path: Path) -> None:
    async with simulate([MeterOptions(faults=["refuse-association"])]) as (server,):
        result, output = await record(tmp_path, server.port, {})
    assert result.exit_code == 1
    assert "House 1: " in result.stderr
    assert "hint: " in result.stderr
    assert content_of(output)["failure"]
