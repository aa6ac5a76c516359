"""Where the gateway and the commands beside it keep their state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.state import NoPlace
from dlms_connector.state.state_folder import commands_folder, gateways_folder


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        ({}, "/g/data/dlms"),
        ({"data_folder_path": ""}, "/g/data/dlms"),
        ({"data_folder_path": 7}, "/g/data/dlms"),
        ({"data_folder_path": "/store/"}, "/store/dlms"),
        ({"data_folder_path": "./data/"}, "data/dlms"),
        ({"data_file_path": "/store/data.db"}, "/store/dlms"),
    ],
)
def test_the_gateways_own(storage: dict[str, Any], folder: str) -> None:
    assert gateways_folder(storage, Path("/g/config")) == Path(folder)


def test_a_command_takes_what_is_configured(tmp_path: Path) -> None:
    alone, config = tmp_path / "alone", tmp_path / "config"
    alone.mkdir()
    config.mkdir()
    assert commands_folder(f"{tmp_path}/srv", alone) == tmp_path / "srv"
    (config / "tb_gateway.json").write_text("{}")
    assert commands_folder("state", config) == tmp_path / "state"


@pytest.mark.parametrize(
    ("gateway", "folder"),
    [
        ({"storage": {"data_folder_path": "./store/"}}, "store/dlms"),
        ({"storage": {"data_folder_path": "{}/far/"}}, "far/dlms"),
        ({"storage": None}, "data/dlms"),
        ({}, "data/dlms"),
        ([], "data/dlms"),
    ],
)
def test_a_command_beside_a_gateway_counts_with_it(
    gateway: Any, folder: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    text = json.dumps(gateway).replace("{}/", f"{tmp_path}/")
    (config / "tb_gateway.json").write_text(text)
    assert commands_folder(None, config) == tmp_path / folder


@pytest.mark.parametrize("text", ["{", "\ufffd", "[" * 100_000])
def test_a_gateway_that_cannot_be_read_may_keep_counters_anywhere(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "tb_gateway.json").write_text(text)
    found = commands_folder(None, tmp_path)
    assert isinstance(found, NoPlace)
    assert "tb_gateway.json" in found.problem


def test_a_command_by_itself_keeps_state_in_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"{tmp_path}/state")
    assert commands_folder(None, tmp_path) == tmp_path / "state/dlms-connector"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    assert commands_folder(None, tmp_path) == tmp_path / "home/.local/state/dlms-connector"


def test_a_user_without_a_home_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "~")  # stands for none, and no entry of the user either
    assert commands_folder(None, tmp_path) is None
