import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from dlms_connector import __version__
from dlms_connector.cli import COMMANDS, main, program
from dlms_connector.errors import ConfigError, ConnectError, DlmsError


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert __version__ in result.output


def test_help_lists_the_commands_there_are() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "check" in result.output
    assert "Exit codes" in result.output


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name in main.list_commands(click.Context(main))]
)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_a_terminal_that_has_no_arrows_gets_escapes() -> None:
    result = CliRunner(charset="latin-1").invoke(main, ["migrate", "--help"])
    assert result.exit_code == 0
    assert "old \\u2192 new" in result.stdout


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from dlms_connector.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "sys.exit(any(name in sys.modules for name in ('dlms_connector.cli.check', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("arguments", [["chek"], ["check"], ["check", "--nope"]])
def test_mistakes_on_the_command_line(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ConfigError("a: wrong", "b: worse"), 2, ["error: a: wrong", "error: b: worse"]),
        (ConnectError("tcp://h:1", "refused"), 1, ["error: cannot connect to tcp://h:1: refused"]),
        (OSError(28, "No space left", "x.json"), 1, ["error: x.json: No space left"]),
        (KeyboardInterrupt(), 130, []),
    ],
)
def test_errors_become_lines_and_exit_codes(
    error: BaseException, code: int, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> None:
        raise error

    module = ModuleType("dlms_connector.cli.check")
    monkeypatch.setattr(module, "command", command, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(program, "_exists", lambda name: True)
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("error")] == lines
    assert ("hint: " in result.stderr) is isinstance(error, DlmsError)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_is_a_line() -> None:
    command = [sys.executable, "-m", "dlms_connector", "schema"]
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: No space left")
    assert "Traceback" not in outcome.stderr


def test_schema_is_json() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert json.loads(result.output)["title"] == "DLMS connector"


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "dlms_connector", "--version"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    assert outcome.stdout.startswith("dlms-connector, version")
