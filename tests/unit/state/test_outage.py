"""A disk that is full for a while: each file of the state tells its beginning and its end."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.kept import Kept
from dlms_connector.gateway.remembered import Remembered
from dlms_connector.state.heard import Heard

LOG = logging.getLogger("test.outage")
_METER = b"12345678"


def full(*_: Any) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _remembered(folder: Path) -> Callable[[int], None]:
    file = Remembered(LOG)
    file.open(folder / "names.json")
    return lambda number: file.keep({"M1": str(number)})


def _kept(folder: Path) -> Callable[[int], None]:
    file = Kept(folder, "names.json", LOG)

    def write(number: int) -> None:
        file.put("M1", {"at": number})
        assert file._writing is not None
        file._writing.result(20)

    return write


def _heard(folder: Path) -> Callable[[int], None]:
    file = Heard("M1", folder / "heard.log", LOG)

    def write(number: int) -> None:
        file.note(_METER, number, opening=True)
        file.store()

    return write


@pytest.mark.parametrize("make", [_remembered, _kept, _heard])
def test_it_is_told_when_it_begins_and_when_it_ends(
    make: Callable[[Path], Callable[[int], None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    write = make(tmp_path)

    write(1)
    for number in (2, 6):
        caplog.clear()
        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            write(number)
            write(number + 1)
        (told,) = caplog.messages
        assert "is not kept over a restart: [Errno 28] No space left on device" in told
        caplog.clear()
        write(number + 2)
        write(number + 3)
        (told,) = caplog.messages
        assert told.endswith("is kept again")


def test_what_a_full_disk_did_not_take_is_written_later_without_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a device that was renamed meanwhile would be another one behind the next start."""
    path = tmp_path / "renamed.json"
    names = Remembered(LOG)
    names.open(path)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        names.keep({"M1": "Kitchen"})
    names.keep({"M1": "Kitchen"})
    assert Remembered(LOG).open(path) == {"M1": "Kitchen"}
