"""`dlms-connector discover` against simulated meters."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.cli.discover_request import most_seconds
from dlms_connector.config.loading import load_file
from dlms_connector.simulator import MeterOptions, microstar, simulate, simulate_terminal
from tests.support.peers import free_port
from tests.support.places import GATEWAY_CONFIG

QUICK = ("--timeout", "0.05", "--rate", "1000")


async def run(*arguments: str) -> Result:
    """Run the command in a thread: the simulated meters live in this one's loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, [*arguments])


async def discover(port: int, *arguments: str) -> Result:
    return await run("discover", "--host", "127.0.0.1", "--port", str(port), *QUICK, *arguments)


async def test_the_entry_that_is_written_polls(tmp_path: Path) -> None:
    file = tmp_path / "dlms.json"
    async with simulate([MeterOptions()]) as (server,):
        found = await discover(server.port, "--output", str(file), "--client", "16")
        read = await run("read", str(file), "--json")
    assert found.exit_code == 0, found.output
    assert found.stdout == ""
    assert f"dlms-connector read {file}" in found.stderr
    assert load_file(file).every_problem == ()
    assert read.exit_code == 0, read.output
    readings = {one["key"]: one for one in json.loads(read.stdout)[0]["readings"]}
    assert readings["active_energy"]["unit"] == "kWh"
    assert readings["serialNumber"]["value"] == "00000001"


async def test_without_a_file_the_entry_alone_is_on_stdout() -> None:
    async with simulate([MeterOptions()]) as (server,):
        found = await discover(server.port, "--client", "16", "--server", "1/1", "--name", "M")
    assert found.exit_code == 0, found.output
    (entry,) = json.loads(found.stdout)["devices"]
    assert entry["deviceName"] == "M"
    assert '{"key": "voltage_l1", "obis": "1-0:32.7.0"}' in found.stdout
    assert "found a meter at tcp://127.0.0.1" in found.stderr
    assert "calls itself SIM0000000000001, serial number 00000001" in found.stderr


async def test_the_report_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_PASSWORD", "2222222222")
    async with simulate([microstar()]) as (server,):
        found = await discover(
            server.port, "--json", "--client", "1", "--password-env", "METER_PASSWORD",
            "--interface", "hdlc",
        )  # fmt: skip
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert report["found"] is True
    assert report["dlms"]["password"] == "${env:METER_PASSWORD}"
    assert report["entry"]["dlms"]["authentication"] == "LOW"
    voltage = next(one for one in report["objects"] if one["obis"] == "1-1:32.7.0")
    assert voltage == {
        "obis": "1-1:32.7.0", "class": "register", "key": "voltage_l1", "value": 135.19,
        "unit": "V",
    }  # fmt: skip
    assert "2222222222" not in found.output


async def test_a_refusal_is_exit_1_and_names_the_suspects() -> None:
    async with simulate([MeterOptions(authentication="LOW")]) as (server,):
        found = await discover(server.port, "--interface", "HDLC")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert "a meter answers at" in found.stderr
    assert "client 16 wants authentication" in found.stderr


async def test_an_entry_without_measured_values_is_exit_1_and_says_what_to_try(
    tmp_path: Path,
) -> None:
    file = tmp_path / "dlms.json"
    async with simulate([microstar()]) as (server,):
        found = await discover(server.port, "--interface", "HDLC", "--output", str(file))
        listed = await discover(server.port, "--interface", "HDLC", "--json")
    assert found.exit_code == listed.exit_code == 1
    assert "the entry reads no measured value; what to try:" in found.stderr
    assert "--client 1 --authentication LOW --password-env" in found.stderr
    assert json.loads(found.stdout)["devices"][0]["attributes"]
    assert not file.exists()  # it would be in the way of the next try
    assert json.loads(listed.stdout)["found"] is False


async def test_a_slow_line_is_waited_for_in_the_entry_too() -> None:
    async with simulate([MeterOptions()]) as (server,):
        found = await discover(server.port, "--interface", "HDLC", "--timeout", "8")
    assert json.loads(found.stdout)["devices"][0]["connection"]["timeoutMs"] == 8000


async def test_what_was_skipped_and_what_is_tried_are_told() -> None:
    options = MeterOptions(faults={"malformed-object": 52})
    async with simulate([options]) as (server,):
        found = await discover(server.port, "--interface", "HDLC")
        listed = await discover(server.port, "--interface", "HDLC", "--json")
    assert found.exit_code == 0, found.output
    assert "  skipped 1-0:52.7.0" in found.stderr
    assert "trying HDLC client 16, server 1/1" in found.stderr
    skipped = json.loads(listed.stdout)["skipped"]
    assert {one["obis"] for one in skipped} == {"1-0:52.7.0"}


@pytest.mark.parametrize(
    ("given", "timeout_s", "serial_port", "seconds"),
    [(None, 1.2, None, 50), (None, 12, None, 500), (None, 0.1, None, 50), (7, 12, None, 7),
     (None, 1.2, "/dev/ttyUSB0", 600)],
)  # fmt: skip
def test_a_search_ends_within_a_minute_unless_told_to_wait_longer(
    given: float | None, timeout_s: float, serial_port: str | None, seconds: float
) -> None:
    assert most_seconds(given, timeout_s, serial_port) == pytest.approx(seconds)


async def test_silence_is_exit_1_and_names_the_suspects() -> None:
    async with simulate([MeterOptions(faults={"silence": 1})]) as (server,):
        found = await discover(server.port, "--max-probes", "4", "--json")
    assert found.exit_code == 1
    report = json.loads(found.stdout)
    assert report["found"] is False
    assert report["entry"] is None
    assert any("suspect the server address first" in line for line in report["advice"])


async def test_nobody_there_is_exit_1() -> None:
    found = await discover(free_port())
    assert found.exit_code == 1
    assert "cannot connect" in found.stderr
    assert "Traceback" not in found.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "either --host or --serial"),
        (("--host", "h", "--serial", "p"), "either --host or --serial"),
        (("--serial", "p", "--port", "1"), "--port and --udp go with --host"),
        (("--host", "h", "--server", "x"), "is not an address such as 1/17"),
        (("--host", "h", "--server", "1/2/3"), "is not an address such as 1/17"),
        (("--host", "h", "--preset", "nobody"), "microstar"),
        (("--host", "h", "--udp", "--interface", "HDLC"), "only WRAPPER goes over UDP"),
        (("--host", "h", "--password", "12345678"), "seen by all users"),
        (("--host", "h", "--dlms", "blockCipherKey=00"), "seen by all users"),
        (("--host", "h", "--dlms", "nonsense"), "is not KEY=VALUE"),
        (("--host", "h", "--dlms", "clientAddress=1"), "give --client"),
        (("--host", "h", "--dlms", "nonsense=1"), "nonsense"),
        (("--host", "h", "--password-env", "DLMS_NOWHERE"), "is not set"),
        (("--host", "h", "--password", "${env:HOME}"), "DLMS_ or METER_"),
        (("--host", "h", "--authentication", "LOW"), "needs a password"),
        (("--host", "h", "--server", "1/1", "--serial-number", "5"), "either --server or"),
        (("--host", "h", "--client", "0"), "1<=x<=127"),
    ],
)
def test_what_makes_no_sense_is_exit_2(arguments: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(main, ["discover", *arguments])
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert "12345678" not in result.output
    assert "Traceback" not in result.output


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "dlms.json"
    file.write_text("mine")
    result = CliRunner().invoke(main, ["discover", "--host", "h", "--output", str(file)])
    assert result.exit_code == 2
    assert file.read_text() == "mine"


async def test_the_example_of_install_makes_way(tmp_path: Path) -> None:
    file = tmp_path / "dlms.json"
    shutil.copy(GATEWAY_CONFIG / "dlms.json", file)
    file.chmod(0o640)
    async with simulate([MeterOptions()]) as (server,):
        found = await discover(server.port, "--output", str(file), "--client", "16")
    assert found.exit_code == 0, found.output
    assert load_file(file).configuration.devices[0].device_name == "DLMS-Meter-00000001"
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can give files away")
async def test_a_new_file_has_the_owner_of_its_folder(tmp_path: Path) -> None:
    """The gateway runs as a user of its own, and writes an id into its connectors' files."""
    folder = tmp_path / "config"
    folder.mkdir()
    os.chown(folder, 1234, 5678)
    async with simulate([MeterOptions()]) as (server,):
        await discover(server.port, "--output", str(folder / "dlms.json"), "--client", "16")
    made = (folder / "dlms.json").stat()
    assert (made.st_uid, made.st_gid) == (1234, 5678)


def test_a_file_that_cannot_be_written_is_refused_before_a_meter_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "dlms.json"
    result = CliRunner().invoke(main, ["discover", "--host", "h", "--output", str(file)])
    assert result.exit_code == 2
    assert f"there is no folder {file.parent}" in result.stderr


async def test_what_was_found_is_shown_where_the_file_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "dlms.json"
    async with simulate([MeterOptions(faults={"delay": 0.02})]) as (server,):
        asking = asyncio.create_task(discover(server.port, "--output", str(file)))
        while not server.meter.seen["aarq"]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        file.write_text("came meanwhile")
        result = await asking
    assert result.exit_code == 0, result.output
    assert f"cannot write {file}: File exists" in result.stderr
    assert json.loads(result.stdout)["devices"]
    assert file.read_text() == "came meanwhile"


@pytest.mark.parametrize("framing", ["HDLC", "HDLC_WITH_MODE_E"])
async def test_a_meter_on_a_serial_port_is_found(framing: Any, tmp_path: Path) -> None:
    pytest.importorskip("serialx")
    file = tmp_path / "dlms.json"
    async with simulate_terminal(MeterOptions(framing=framing)) as terminal:
        found = await run(
            "discover", "--serial", terminal.path, "--interface", framing, "--client", "16",
            "--server", "1/1/2", *QUICK, "--output", str(file),
        )  # fmt: skip
    assert found.exit_code == 0, found.output
    (device,) = load_file(file).configuration.devices
    assert device.dlms.interface_type == framing
    assert device.connection.endpoint == f"serial:{terminal.path}"
    assert "voltage_l1" in [item.key for item in device.timeseries]


async def test_silence_on_a_serial_port_names_baud_rates(tmp_path: Path) -> None:
    pytest.importorskip("serialx")
    async with simulate_terminal(MeterOptions(faults={"silence": 1})) as terminal:
        found = await run(
            "discover", "--serial", terminal.path, "--interface", "HDLC", "--client", "16",
            "--server", "1/1/2", *QUICK,
        )  # fmt: skip
    assert found.exit_code == 1
    assert "at 9600 baud" in found.stderr
    assert "at 19200 baud" in found.stderr
    assert "suspect the" in found.stderr or "baud rate, parity and wiring" in found.stderr


def test_help_tells_options_and_exit_codes() -> None:
    result = CliRunner().invoke(main, ["discover", "--help"])
    assert result.exit_code == 0
    for text in ("--host", "--serial", "--preset", "--password-env", "--json", "Exit codes"):
        assert text in result.stdout
    assert "discover" in CliRunner().invoke(main, ["--help"]).stdout


async def test_a_ciphered_meter_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What discovery and reading count does not come twice."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DLMS_A", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
    monkeypatch.setenv("DLMS_E", "000102030405060708090A0B0C0D0E0F")
    options = MeterOptions(
        client_address=1, authentication="HIGH_GMAC", security="AUTHENTICATION_ENCRYPTION"
    )
    keys = ("security=AUTHENTICATION_ENCRYPTION", "systemTitle=434C490000000001",
            "authenticationKey=${env:DLMS_A}", "blockCipherKey=${env:DLMS_E}")  # fmt: skip
    given: tuple[str, ...] = (
        "--client",
        "1",
        "--authentication",
        "HIGH_GMAC",
        "--interface",
        "HDLC",
    )
    given += tuple(each for key in keys for each in ("--dlms", key))
    results = []
    # Beside a configuration, its stateDirectory is used.
    (tmp_path / "dlms.json").write_text(f'{{"stateDirectory": "{tmp_path}/state"}}')
    async with simulate([options]) as (server,):
        for name in ("one", "two"):
            file = str(tmp_path / f"{name}.json")
            results.append(await discover(server.port, *given, "--output", file))
            results.append(await run("read", file))
    assert [each.exit_code for each in results] == [0] * 4, results[-1].output
    for folder in ("state", "home/dlms-connector"):
        assert list(Path.glob(tmp_path, f"{folder}/counter-*.json")), folder
