"""`dlms-connector demo` without what it needs; at work it is in the integration tests."""

from __future__ import annotations

import importlib.util

import pytest
from click.testing import CliRunner

from dlms_connector.cli import main


@pytest.mark.parametrize("missing", ["mqtt5", "thingsboard_gateway"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def find_others(name: str, package: str | None = None) -> object:
        return None if name == missing else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert f"error: the demo needs {missing}, not installed here" in result.output
    assert "thingsboard-dlms-connector[demo]" in result.output


@pytest.mark.parametrize("arguments", [["--meters", "0"], ["--seconds", "0"], ["--seconds", "x"]])
def test_wrong_options(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["demo", *arguments]).exit_code == 2


def test_help_says_what_it_does() -> None:
    output = CliRunner().invoke(main, ["demo", "--help"]).output
    assert "Simulated meters, the real gateway process" in output
    assert "Exit code 0" in output
