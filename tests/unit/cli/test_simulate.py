"""`dlms-connector simulate`."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli.simulate import command
from dlms_connector.config.loading import load
from dlms_connector.simulator import FAULTS
from dlms_connector.simulator.faults import fault_table
from tests.support.places import DOCS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_serving_for_some_seconds() -> None:
    result = run("--port", "0", "--meters", "2", "--seconds", "0", "--profile", "microstar")
    assert result.exit_code == 0
    assert result.output.count("tcp 127.0.0.1:") == 2
    assert "client 1, logical 0, physical 1" in result.output
    assert "password 2222222222" in result.output
    assert result.output.endswith("stopped\n")


def test_many_meters_are_announced_briefly() -> None:
    result = run("--port", "0", "--meters", "30", "--seconds", "0")
    assert "… and 10 more, up to port" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--profile", "microstar"],
        ["--interface", "WRAPPER", "--password", "secret"],
        ["--shared"],
        ["--udp"],
        ["--security", "AUTHENTICATION_ENCRYPTION", "--authentication", "HIGH_GMAC"],
        ["--suite", "2", "--security", "ENCRYPTION"],
        ["--referencing", "SN"],
        ["--authentication", "HIGH_ECDSA", "--suite", "2"],
        ["--authentication", "HIGH_SHA256"],
    ],
    ids=" ".join,
)
def test_the_printed_configuration_is_valid(arguments: list[str], tmp_path: Path) -> None:
    result = run("--meters", "3", "--print-config", *arguments)
    assert result.exit_code == 0, result.output
    loaded = load(json.loads(result.output), base=tmp_path)
    assert not loaded.refused
    assert not loaded.problems
    assert [device.device_name for device in loaded.configuration.devices] == [
        f"DLMS-Meter-0{number}" for number in (1, 2, 3)
    ]


def test_the_list_of_faults() -> None:
    result = run("--faults")
    assert result.exit_code == 0
    assert all(name in result.output for name in FAULTS)


def test_objects_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "objects.json"
    path.write_text('{"1-0:1.8.0": {"attributes": {"2": {"type": "unsigned", "value": 999}}}}')
    result = run("--objects", str(path), "--seconds", "0", "--port", "0")
    assert result.exit_code == 2
    assert "999 does not fit unsigned" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "nonsense"], "is no fault"),
        (["--fault", "delay=x"], "is not a number"),
        (["--udp", "--interface", "HDLC"], "HDLC is not spoken over UDP"),
        (["--fault", "delay=-1"], "is not a number from 0 up"),
        (["--fault", "delay=nan"], "is not a number from 0 up"),
        (["--print-config", "--port", "0"], "needs a --port"),
        (["--port", "65535", "--meters", "2"], "--port 65535 is too high for 2 meters"),
        (["--authentication", "HIGH_ECDSA", "--print-config"], "needs --suite 1 or 2"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_the_manual_lists_every_fault_and_option() -> None:
    manual = (DOCS / "simulator.md").read_text(encoding="utf-8")
    missing = [
        row for row in fault_table() if f"| `{row['name']}` | {row['effect']} |" not in manual
    ]
    assert not missing
    options = [option for parameter in command.params for option in parameter.opts]
    assert [option for option in options if f"`{option}" not in manual] == []


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--port", str(taken.getsockname()[1]), "--seconds", "0")
    assert result.exit_code == 1
    assert "another --port may be free" in result.output
