"""The gateway process's folder and its handling; the process itself is in the integration tests."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from dlms_connector.demo.gateway_process import GatewayError, GatewayProcess


def make(folder: Path, **options: object) -> GatewayProcess:
    return GatewayProcess(
        folder,
        platform_port=1884,
        token="secret",
        **{"configuration": {"devices": []}, **options},  # type: ignore[arg-type]
    )


def test_the_configuration_of_the_gateway(tmp_path: Path) -> None:
    gateway = make(tmp_path, connector_type="dlms", remote_configuration=True, check_period_s=3)
    written = json.loads((gateway.config_dir / "tb_gateway.json").read_text())
    platform = written["thingsboard"]
    assert (platform["host"], platform["port"]) == ("127.0.0.1", 1884)
    assert platform["security"] == {"type": "accessToken", "accessToken": "secret"}
    assert (platform["remoteConfiguration"], platform["qos"]) == (True, 1)
    assert platform["checkConnectorsConfigurationInSeconds"] == 3
    assert written["connectors"] == [
        {"type": "dlms", "name": "DLMS", "class": "DLMSConnector", "configuration": "dlms.json"}
    ]
    assert json.loads((gateway.config_dir / "logs.json").read_text())["version"] == 1


def test_the_configuration_of_the_connector_as_values_or_as_text(tmp_path: Path) -> None:
    gateway = make(tmp_path)
    path = gateway.config_dir / "dlms.json"
    assert json.loads(path.read_text()) == {"devices": []}
    gateway.write_configuration('{"devices": [')
    assert path.read_text() == '{"devices": ['


async def test_what_was_not_started_need_not_be_stopped(tmp_path: Path) -> None:
    gateway = make(tmp_path)
    assert not gateway.running
    assert gateway.log() == ""
    assert await gateway.stop() == 0


def test_without_a_gateway_the_user_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GatewayError, match="pip install"):
        make(tmp_path)
