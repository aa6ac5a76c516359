"""A changed file is noticed once it stays as it is."""

import os
from pathlib import Path

from dlms_connector.gateway.file_watch import FileWatch


def test_a_change_counts_once_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "meters.csv"
    file.write_text("one")
    watch = FileWatch(file)
    assert not watch.changed()
    file.write_text("half of t")  # still being written
    assert not watch.changed()
    file.write_text("half of two")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()


def test_a_time_stamp_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "meters.csv"
    file.write_text("one")
    watch = FileWatch(file)
    os.utime(file, (1, 1))
    assert [watch.changed() for _ in range(3)] == [False, True, False]


def test_a_missing_file_is_none_until_it_is_back(tmp_path: Path) -> None:
    file = tmp_path / "meters.csv"
    watch = FileWatch(file)
    assert not watch.changed()
    file.write_text("one")
    assert [watch.changed() for _ in range(3)] == [False, True, False]
    file.unlink()
    assert [watch.changed() for _ in range(3)] == [False] * 3
    assert [FileWatch(None).changed() for _ in range(2)] == [False] * 2
