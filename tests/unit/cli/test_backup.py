"""`backup` and `restore` on a made-up gateway: what they say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main, restore
from tests.support.installed import CLEAR, Gateway


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setattr(restore, "running", lambda config_dir: [])
    monkeypatch.delenv("DLMS_STATE_DIRECTORY", raising=False)
    return Gateway(tmp_path / "host")


def run(command: str, where: Path, gateway: Gateway, *options: str) -> Result:
    arguments = [command, str(where), "--gateway-config", str(gateway.config), *options]
    return CliRunner().invoke(main, arguments)


def test_what_is_left_out_is_named_and_not_shown(gateway: Gateway, tmp_path: Path) -> None:
    result = run("backup", tmp_path / "kept", gateway)
    assert result.exit_code == 0, result.output
    assert "devices[0].dlms.password; a restored configuration looks for it in" in result.output
    assert "1 invocation counters, the records" in result.output
    assert not any(secret in result.output for secret in CLEAR)


def test_there_and_back_to_another_host(gateway: Gateway, tmp_path: Path) -> None:
    run("backup", tmp_path / "kept", gateway)
    other = Gateway(tmp_path / "other", empty=True)
    before = other.everything()
    result = run("restore", tmp_path / "kept", other, "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "dry run: nothing was changed"
    assert other.everything() == before
    result = run("restore", tmp_path / "kept", other)
    assert result.exit_code == 0, result.output
    assert "restored 1 of 1 invocation counters" in result.output
    assert "still to do: devices[0].dlms.password" in result.output
    assert not any(secret in result.output for secret in CLEAR)


def test_a_gateway_that_runs_is_not_touched(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", tmp_path / "kept", gateway)
    monkeypatch.setattr(restore, "running", lambda config_dir: [77])
    before = gateway.everything()
    result = run("restore", tmp_path / "kept", gateway)
    assert result.exit_code == 1
    assert "(process 77): stop it first" in result.output
    assert gateway.everything() == before


@pytest.mark.parametrize("part", ["config", "state"])
def test_a_part_only(gateway: Gateway, tmp_path: Path, part: str) -> None:
    run("backup", tmp_path / "kept", gateway)
    other = Gateway(tmp_path / "other", empty=True)
    assert run("restore", tmp_path / "kept", other, "--only", part).exit_code == 0
    assert (other.config / "dlms.json").exists() is (part == "config")
    assert (other.state / "records.sqlite").exists() is (part == "state")


def test_mistakes_are_told_in_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for where, told in ((tmp_path / "nothing", "No such file"), (empty, "has no backup")):
        result = run("restore", where, gateway)
        assert result.exit_code == 1
        assert told in result.output
