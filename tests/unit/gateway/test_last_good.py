"""A configuration without devices does not cost the one that had some."""

import json
import logging
from pathlib import Path

import pytest

from dlms_connector.gateway.last_good import keep

LOG = logging.getLogger("last_good")
GOOD = {"name": "North/1", "devices": [{"deviceName": "m", "connection": {"host": "h"}}]}


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_an_empty_configuration_leaves_the_last_one_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(GOOD, tmp_path, "North/1", LOG)
    (file,) = kept(tmp_path)
    assert caplog.messages == []
    assert file.stat().st_mode & 0o777 == 0o600
    for empty in ({}, {"id": "a", "devices": []}):
        keep(empty, tmp_path, "North/1", LOG)
        told = f"no devices: the last configuration that had some is kept in {file}"
        assert caplog.messages == [told]
        caplog.clear()
    assert json.loads(file.read_text()) == GOOD
    keep({}, tmp_path, "South", LOG)
    assert caplog.messages == []


def test_a_newer_configuration_with_devices_takes_its_place(tmp_path: Path) -> None:
    keep(GOOD, tmp_path, "N", LOG)
    keep({"devicesFile": "meters.csv"}, tmp_path, "N", LOG)
    (file,) = kept(tmp_path)
    assert json.loads(file.read_text()) == {"devicesFile": "meters.csv"}


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000])
def test_a_broken_copy_is_replaced(content: bytes, tmp_path: Path) -> None:
    keep(GOOD, tmp_path, "N", LOG)
    (file,) = kept(tmp_path)
    file.write_bytes(content)
    keep(GOOD, tmp_path, "N", LOG)
    assert json.loads(file.read_text()) == GOOD


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(GOOD, tmp_path / "gone", "N", LOG)
    (line,) = caplog.messages
    assert line.startswith("the configuration is not kept aside in ")
    keep("{", tmp_path, "N", LOG)
