"""What commands remember over a restart."""

import json
import logging
import os
import threading
from pathlib import Path

import pytest

from dlms_connector.commands.kept import Kept
from dlms_connector.state import private_files

LOG = logging.getLogger("kept")


def kept(folder: Path | None) -> Kept:
    return Kept(folder, "kept.json", LOG)


def test_over_a_restart(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert first.get("M1") == {}
    first.put("M1", {"at": 1})
    first.put("M2", {"at": 2})
    first.put("M2", None)
    for one in (first, kept(tmp_path)):
        assert (one.get("M1"), one.get("M2")) == ({"at": 1}, {})
    assert json.loads((tmp_path / "kept.json").read_text()) == {"M1": {"at": 1}}
    assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600


def test_connectors_that_share_a_folder_keep_what_the_other_wrote(tmp_path: Path) -> None:
    north, south = kept(tmp_path), kept(tmp_path)
    north.put("N", {"at": 1})
    south.put("S", {"at": 2})
    north.put("N", {"at": 3})
    again = kept(tmp_path)
    assert (again.get("N"), again.get("S")) == ({"at": 3}, {"at": 2})
    south.put("S", None)
    again = kept(tmp_path)
    assert (again.get("N"), again.get("S")) == ({"at": 3}, {})


DEEP = "[" * 200_000


@pytest.mark.parametrize("text", ["{", "[]", '{"M1": 3}', DEEP, '{"M1": ' + DEEP, "9" * 6000, "\0"])
def test_a_file_that_makes_no_sense_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.json").write_text(text)
    one = kept(tmp_path)
    assert one.get("M1") == {}
    one.put("M1", {"at": 1})
    assert kept(tmp_path).get("M1") == {"at": 1}


def test_what_cannot_be_written_is_known_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = kept(tmp_path / "gone")
    one.put("M1", {"at": 1})
    one.put("M2", {"at": 2})
    assert (one.get("M1"), one.get("M2")) == ({"at": 1}, {"at": 2})
    assert len(caplog.records) == 1
    nowhere = kept(None)
    nowhere.put("M1", {"at": 1})
    assert nowhere.get("M1") == {"at": 1}


@pytest.mark.parametrize("text", ["{", DEEP, "9" * 6000])
def test_a_file_that_makes_no_sense_is_kept_aside_and_said_once(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept.json").write_text(text)
    kept(tmp_path).put("M1", {"at": 1})
    assert (tmp_path / "kept.json.unreadable-1").read_text() == text
    assert kept(tmp_path).get("M1") == {"at": 1}
    assert len(caplog.records) == 1


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kept.json")
    one = kept(tmp_path)
    one.put("M1", {"at": 1})
    assert kept(tmp_path).get("M1") == {"at": 1}


def test_a_slow_disk_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked, real = threading.Event(), private_files.write

    def slow(path: Path, content: object) -> None:
        blocked.wait(20)
        real(path, content)  # type: ignore[arg-type]

    monkeypatch.setattr(private_files, "write", slow)
    one = kept(tmp_path)
    for number in range(500):
        one.put("M1", {"at": number})  # comes back though nothing is written
    assert one.get("M1") == {"at": 499}
    assert not (tmp_path / "kept.json").exists()
    blocked.set()
    assert kept(tmp_path).get("M1") == {"at": 499}
