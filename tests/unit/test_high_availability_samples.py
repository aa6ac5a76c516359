"""The script that a cluster manager calls: who is active, and that the last word counts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.places import GATEWAY_CONFIG

FOLDER = GATEWAY_CONFIG / "high-availability"
SCRIPT = FOLDER / "dlms-role"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dlms-active"


def begin(file: Path, state: str, pause: str = "0") -> subprocess.Popen[bytes]:
    environment = {"DLMS_ACTIVE_FILE": str(file), "DLMS_HANDOVER_SECONDS": pause}
    return subprocess.Popen(
        ["/bin/sh", str(SCRIPT), "INSTANCE", "dlms", state, "150"],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )


def call(file: Path, state: str) -> int:
    with begin(file, state) as process:
        return process.wait()


@pytest.mark.parametrize("state", ["BACKUP", "FAULT", "STOP"])
def test_the_role_comes_and_goes(file: Path, state: str) -> None:
    assert call(file, state) == 0  # as at the start
    assert not file.exists()
    for _ in range(2):
        assert call(file, "MASTER") == 0
        assert file.exists()
    assert call(file, state) == 0
    assert not file.exists()


def test_who_loses_the_role_meanwhile_does_not_get_it(file: Path) -> None:
    with begin(file, "MASTER", pause="3") as waiting:
        wanted = file.with_name(file.name + ".wanted")
        while not (wanted.exists() and wanted.read_text()):
            assert waiting.poll() is None
        assert call(file, "BACKUP") == 0
        assert waiting.wait() == 0
    assert not file.exists()


def test_a_wrong_call_changes_nothing(file: Path) -> None:
    file.touch()
    assert call(file, "master") == 2
    assert file.exists()


def test_the_samples_name_what_there_is() -> None:
    assert os.access(SCRIPT, os.X_OK)
    configuration = (FOLDER / "keepalived.conf").read_text("utf-8")
    drop_in = (FOLDER / "keepalived-dlms.conf").read_text("utf-8")
    for text in (configuration, drop_in):
        assert set(re.findall(r"/usr/local/sbin/(\S+?)[\s\"]", text)) == {SCRIPT.name}
    assert configuration.count("{") == configuration.count("}")
    unit = (FOLDER / "dlms-active.service").read_text("utf-8")
    # The same file as in the script, and in the documents.
    assert "/run/dlms-active" in SCRIPT.read_text("utf-8")
    assert unit.count("/run/dlms-active\n") == 2
