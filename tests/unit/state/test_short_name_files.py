"""Short names that survive a restart."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.obis import Obis
from dlms_connector.state import short_names_of

LOG = logging.getLogger("test.names")
NAMES = {(3, Obis.parse("1-1:1.8.0")): 0x2BC0, (12, Obis.parse("0-0:40.0.0")): 0xFA00}
VERSIONS = {(3, Obis.parse("1-1:1.8.0")): 1}


def device(name: str = "M1", host: str = "h", **dlms: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": name,
            "connection": {"host": host},
            "dlms": {"referencing": "SN", **dlms},
        }
    )


def test_names_are_kept_for_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "dlms"
    file = short_names_of(device(), folder, LOG)
    assert file is not None
    assert file.load() == ({}, {})
    file.save(NAMES, VERSIONS)
    again = short_names_of(device(), folder, LOG)
    assert again is not None
    names, versions = again.load()
    assert names == NAMES
    assert versions == {object_: VERSIONS.get(object_, 0) for object_ in NAMES}
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_meter_has_its_own(tmp_path: Path) -> None:
    others = [device("M2"), device(host="other"), device(physicalAddress=17)]
    for one in [device(), *others]:
        file = short_names_of(one, tmp_path, LOG)
        assert file is not None
        assert file.load() == ({}, {})
        file.save(NAMES, VERSIONS)


def test_there_is_none_without_short_names_or_a_folder(tmp_path: Path) -> None:
    assert short_names_of(device(referencing="LN"), tmp_path, LOG) is None
    assert short_names_of(device(), None, LOG) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"objects": 5}',
        b'{"objects": [[3, "1-1:1.8.0", 70000, 0]]}',
        b'{"objects": [[3, "no code", 7, 0]]}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_read_costs_no_more_than_reading_the_list(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = short_names_of(device(), tmp_path, LOG)
    assert file is not None
    file.save(NAMES, VERSIONS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert file.load() == ({}, {})
    assert "M1: cannot use" in caplog.text


def test_a_folder_that_cannot_be_written_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    file = short_names_of(device(), blocked / "dlms", LOG)
    assert file is not None
    file.save(NAMES, VERSIONS)
    assert "M1: cannot keep its short names" in caplog.text
