"""Files that are read while somebody writes them, and files that are no configuration at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dlms_connector.config import load, load_file
from dlms_connector.errors import ConfigError

SECRET = "Sesame-73-open"
TABLE = (
    "deviceName,connection.host,connection.port,dlms.authentication,dlms.password\n"
    f"M1,10.0.0.1,4059,LOW,{SECRET}\n"
    f'"M2",10.0.0.2,4059,LOW,"{SECRET}, too"\n'
)


def test_a_table_of_devices_that_is_cut_anywhere(tmp_path: Path) -> None:
    """Whole rows count; of the last one nothing is shown, and nothing raises."""
    table = tmp_path / "meters.csv"
    for length in range(len(TABLE) + 1):
        table.write_text(TABLE[:length])
        found = load({"devicesFile": "meters.csv"}, base=tmp_path)
        names = [device.device_name for device in found.configuration.devices]
        assert names == ["M1", "M2"][: len(names)]
        assert len(names) == 2 or length < len(TABLE) - 1
        for end in range(4, len(SECRET) + 1):
            assert SECRET[:end] not in " ".join(found.every_problem)


def test_a_configuration_that_is_cut_anywhere(tmp_path: Path) -> None:
    dlms = {"authentication": "LOW", "password": SECRET}
    device = {"deviceName": "M1", "connection": {"host": "h"}, "dlms": dlms}
    text = json.dumps({"devices": [device]}, indent=1)
    file = tmp_path / "dlms.json"
    for length in range(len(text)):
        file.write_text(text[:length])
        with pytest.raises(ConfigError) as caught:
            load_file(file)
        assert SECRET[:4] not in str(caught.value)
    file.write_text(text)
    assert len(load_file(file).configuration.devices) == 1


def _spoil(path: Path, kind: str) -> None:
    match kind:
        case "huge":
            path.touch()
            os.truncate(path, 1 << 40)  # a hole
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("kind", ["huge", "pipe", "folder", "noise", "device"])
def test_a_table_that_is_no_file_of_ours(kind: str, tmp_path: Path) -> None:
    """It is neither waited for nor read as a whole: the platform may have named it."""
    _spoil(tmp_path / "meters.csv", kind)
    found = load({"devicesFile": "meters.csv"}, base=tmp_path)
    assert "meters.csv" in " ".join(found.problems)


@pytest.mark.parametrize("kind", ["huge", "folder", "noise"])
def test_a_configuration_that_is_none(kind: str, tmp_path: Path) -> None:
    _spoil(tmp_path / "dlms.json", kind)
    with pytest.raises(ConfigError, match=r"dlms\.json"):
        load_file(tmp_path / "dlms.json")
