"""What commands remember over a restart."""

import json
import logging
from pathlib import Path

import pytest

from dlms_connector.commands.kept import Kept

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


@pytest.mark.parametrize("text", ["{", "[]", '{"M1": 3}'])
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
