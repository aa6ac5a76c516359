"""Where the gateway and the commands beside it keep their state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
    assert commands_folder("/srv/state", tmp_path) == Path("/srv/state")
    assert commands_folder("state", tmp_path) == Path("state")
    config = tmp_path / "config"
    config.mkdir()
    (config / "tb_gateway.json").write_text("{}")
    assert commands_folder("/srv/state", config) == Path("/srv/state")
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


@pytest.mark.parametrize("text", [None, "{", "\ufffd"])
def test_a_command_by_itself_keeps_state_in_the_users_home(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "tb_gateway.json").write_text(text)
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
