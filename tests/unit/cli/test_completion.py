"""Completion in shells, and the command line in the documentation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dlms_connector.cli import COMMANDS, main
from tests.support.places import ROOT


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    runner = CliRunner(
        env={
            "_DLMS_CONNECTOR_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["dlms-connector", *words]),
            "COMP_CWORD": str(len(words)),
        }
    )
    result = runner.invoke(
        main, prog_name="dlms-connector", complete_var="_DLMS_CONNECTOR_COMPLETE"
    )
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


def test_commands_and_options_are_completed() -> None:
    assert completed("com") == ["completeness", "completion"]
    assert "--parquet" in completed("profile", "dlms.json", "--p")
    assert completed("read", "dlms.json", "--format", "pro") == ["prometheus"]


@pytest.mark.parametrize("command", ["read", "watch", "profile", "completeness"])
def test_device_names_are_completed(command: str, tmp_path: Path) -> None:
    file = tmp_path / "dlms.json"
    devices = [{"deviceName": name} for name in ("North 1", "North 2", "South")]
    file.write_text(json.dumps({"devices": [*devices, 7]}), "utf-8")
    assert completed(command, str(file), "--device", "North") == ["North 1", "North 2"]
    assert completed(command, str(tmp_path / "none.json"), "--device", "N") == []


def test_completing_a_command_imports_none() -> None:
    code = (
        "import sys; from dlms_connector.cli import main\n"
        "try: main(prog_name='dlms-connector', complete_var='_COMPLETE')\n"
        "except SystemExit: pass\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    words = {"_COMPLETE": "bash_complete", "COMP_WORDS": "dlms-connector re", "COMP_CWORD": "1"}
    outcome = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | words, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "plain,read" in outcome.stdout


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", "data/bash-completion/completions/dlms-connector"),
        ("zsh", "data/zsh/site-functions/_dlms-connector"),
        ("fish", "config/fish/completions/dlms-connector.fish"),
    ],
)
def test_the_code_is_printed_or_written(
    shell: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    printed = CliRunner().invoke(main, ["completion", shell])
    assert printed.exit_code == 0, printed.output
    assert not (tmp_path / file).exists()
    for _ in range(2):
        written = CliRunner().invoke(main, ["completion", shell, "--install"])
        assert written.exit_code == 0, written.output
    assert str(tmp_path / file) in written.output
    assert (tmp_path / file).read_text("utf-8").strip() == printed.stdout.strip()
    if program := shutil.which(shell):
        check = subprocess.run([program, "-n", str(tmp_path / file)], capture_output=True)
        assert check.returncode == 0, check.stderr


def test_the_documentation_has_the_help_of_every_command(tmp_path: Path) -> None:
    """Releases of click may break lines elsewhere: only the words count.

    Written in a process of its own: a command that was invoked without the program before, as
    tests do, keeps a help option that has no short form.
    """
    text = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    anew = tmp_path / "command-line.md"
    anew.write_text(text, "utf-8")
    program = [sys.executable, "-m", "dlms_connector.cli.manual", str(tmp_path)]
    subprocess.run(program, cwd=ROOT, check=True)
    assert anew.read_text("utf-8").split() == text.split(), "run: make docs"
    for name in COMMANDS:
        if name in main.list_commands(click.Context(main)):
            assert f"### {name}\n" in text
