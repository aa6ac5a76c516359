"""The daily backup: when it is due, and what the log says of its failures."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dlms_connector.backup import BusyError, is_due
from dlms_connector.config import Backup
from dlms_connector.gateway import daily_backup
from dlms_connector.gateway.daily_backup import DailyBackup, folder_of
from tests.support.installed import Gateway

ZONE = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=ZONE)
LOG = logging.getLogger("daily")


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (None, True),
        (NOON - timedelta(hours=9), False),  # after 02:30 of today
        (NOON - timedelta(hours=10), True),
        (NOON - timedelta(days=30), True),
        (NOON + timedelta(hours=1), False),
        (NOON + timedelta(days=400), True),  # made with a wrong clock
    ],
)
def test_when_it_is_due(last: datetime | None, due: bool) -> None:
    assert is_due(last, NOON, "02:30") is due


def test_before_its_time_yesterdays_counts() -> None:
    early = NOON.replace(hour=1)
    assert not is_due(early - timedelta(hours=20), early, "02:30")
    assert is_due(early - timedelta(hours=23), early, "02:30")


def test_a_failure_is_told_once_and_that_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gateway, settings = Gateway(tmp_path), Backup(directory=str(tmp_path / "disk" / "backups"))
    (tmp_path / "disk").write_text("not a folder")
    daily = DailyBackup(settings, gateway.config, LOG)
    for _ in range(3):
        assert daily.look(settings, gateway.state, "DLMS")
    (tmp_path / "disk").unlink()
    assert not daily.look(settings, gateway.state, "DLMS")
    assert not daily.look(settings, gateway.state, "DLMS")  # not due
    said = [record.getMessage() for record in caplog.records if record.name == "daily"]
    assert [line.split(":")[0].split(" into ")[0] for line in said] == [
        "the daily backup", "the daily backup is made again, after it had failed",
    ]  # fmt: skip


def test_a_command_that_makes_one_right_now_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(*args: object, **keys: object) -> None:
        raise BusyError("another process writes a backup")

    monkeypatch.setattr(daily_backup, "make", busy)
    gateway = Gateway(tmp_path)
    assert not DailyBackup(Backup(), gateway.config, LOG).look(Backup(), gateway.state, "DLMS")
    assert not [record for record in caplog.records if record.name == "daily"]


def test_a_connector_that_ends_does_not_wait_for_it(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    daily = DailyBackup(Backup(), gateway.config, LOG)
    daily.close()
    assert not daily.look(Backup(), gateway.state, "DLMS")
    assert not list(folder_of(Backup(), gateway.state).glob("*.tar.gz"))


@pytest.mark.parametrize(
    ("directory", "expected"),
    [(None, "data/dlms-backups"), ("kept", "data/kept"), ("/mnt/kept", "/mnt/kept")],
)
def test_where_archives_go(directory: str | None, expected: str) -> None:
    assert folder_of(Backup(directory=directory), Path("data/dlms")) == Path(expected)
