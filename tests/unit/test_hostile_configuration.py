"""What somebody reaches who can write any configuration, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

from dlms_connector.config import load
from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway
from tests.support.leaks import Collector

TREASURE = "s3cr3t-Treasure-of-the-host"
OUTSIDE = (
    *("treasure", "../treasure", "secrets/../treasure", "link", "links/treasure", "secrets"),
    *("/etc/passwd", "/proc/self/environ", "~/treasure", "file:///etc/passwd"),
)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    """A gateway whose host has what is not for everybody, in files and in its environment."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path / "logs"))
    monkeypatch.setenv("TB_GW_ACCESS_TOKEN", TREASURE)
    monkeypatch.setenv("MYDLMS_X", TREASURE)
    gateway = FakeGateway(tmp_path)
    config = tmp_path / "config"
    (config / "secrets").mkdir()
    (tmp_path / "treasure").write_text(TREASURE)
    (config / "treasure").write_text(f"{TREASURE},{TREASURE}\n")
    (config / "secrets" / "link").symlink_to(tmp_path / "treasure")
    (config / "secrets" / "links").symlink_to(tmp_path)
    gateway.connect()
    return gateway


@pytest.mark.parametrize("key", ["password", "blockCipherKey"])
@pytest.mark.parametrize(
    "reference",
    [*(f"${{file:{name}}}" for name in OUTSIDE),
     *(f"${{env:{name}}}" for name in ("TB_GW_ACCESS_TOKEN", "MYDLMS_X", "PATH", "DLMS_$(id)"))],
)  # fmt: skip
def test_no_file_and_no_variable_becomes_a_secret(
    gateway: FakeGateway, key: str, reference: str
) -> None:
    device = {"deviceName": "m", "connection": {"host": "h"}, "dlms": {key: reference}}
    access = {"url": "https://h", "username": "u", "password": reference}
    found = load({"devices": [device], "platform": access, "enableRemoteLogging": True},
                 base=gateway.folder / "config")  # fmt: skip
    assert found.configuration.devices == ()
    assert found.configuration.platform is None
    assert TREASURE not in repr(found)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_is_shown_as_a_table_of_devices(gateway: FakeGateway, name: str) -> None:
    found = load({"devicesFile": name}, base=gateway.folder / "config")
    assert found.problems
    assert TREASURE not in repr(found)


@pytest.mark.parametrize(
    "name",
    ["os.system", "Popen", "Thread", "Path", "system", "../treasure", "__import__('os')", "Kept"],
)
def test_a_converter_by_name_is_a_converter(
    gateway: FakeGateway, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what else the files of the extensions folder hold or import."""
    made: list[Any] = []
    monkeypatch.setattr("dlms_connector.made_in_test", made, raising=False)
    monkeypatch.setattr(TBModuleLoader, "PATHS", [str(gateway.folder / "extensions")])
    monkeypatch.setattr(TBModuleLoader, "LOADED_CONNECTORS", {})
    place = gateway.folder / "extensions" / "custom"
    place.mkdir(parents=True)
    (place / "mine.py").write_text(
        "from os import system\nfrom pathlib import Path\nfrom subprocess import Popen\n"
        "from threading import Thread\nimport dlms_connector\n"
        "class Kept:\n    def __init__(self, *_):\n        dlms_connector.made_in_test.append(1)\n"
    )
    for key in ("uplinkConverter", "downlinkConverter"):
        device = {"deviceName": "m", "connection": {"host": "h"}, key: name}
        connector = DLMSConnector(gateway, {"name": "Meters", "devices": [device]}, "custom")
        (refused,) = connector.parts.prepared.misconfigured
        assert key in refused.problems[0]
        connector.close()
    assert made == []


async def test_files_are_written_in_the_folder_of_the_state_only(gateway: FakeGateway) -> None:
    """Whatever names and folders are asked for."""
    evil = "../../../evil"
    before = {path for path in gateway.folder.rglob("*") if "logs" not in path.parts}
    async with simulate([MeterOptions(authentication="LOW", password=TREASURE.encode())]) as (at,):
        connection = {"host": "127.0.0.1", "port": at.port}
        item = {"key": "voltage", "obis": "1-0:32.7.0"}
        config = {
            "name": "evil connector",
            "enableRemoteLogging": False,
            "stateDirectory": str(gateway.folder / "elsewhere"),
            "secretsDirectory": str(gateway.folder),
            "journal": {},
            "standby": {"activeFile": "/run/dlms-\0"},
            "devices": [
                {"deviceName": name, "deviceType": evil, "connection": connection,
                 "pollPeriod": 200, "trace": {"minutes": 1}, "timeseries": [item],
                 "dlms": {"authentication": "LOW", "password": TREASURE}}
                for name in (evil, "/etc/evil", "..", ".", "evil\\..\\x")
            ],
        }  # fmt: skip
        refused = DLMSConnector(gateway, config, "custom")  # on duty or not? nobody knows
        assert refused.parts.prepared.devices == ()
        refused.close()
        del config["standby"]
        connector = DLMSConnector(gateway, config, "custom")
        connector.open()
        try:
            await asyncio.to_thread(gateway.wait_for, lambda: len(gateway.sent) > 5)
        finally:
            await asyncio.to_thread(connector.close)
    ours = gateway.folder / "data" / "dlms"
    written = {
        path
        for path in gateway.folder.rglob("*")
        if "logs" not in path.parts and path not in before and path.is_file()
    }
    assert any("traces" in path.parts for path in written)
    elsewhere = [path for path in written if ours not in path.parents]
    assert [path.name for path in elsewhere] == [".dlms-state.json"]
    collector = Collector({"the password": TREASURE.encode()})
    collector.take_files("the state", ours, leave_out=ours.glob("configuration-*"))
    collector.check()
    assert not [thread for thread in threading.enumerate() if "evil" in thread.name]
