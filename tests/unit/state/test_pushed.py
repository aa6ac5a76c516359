"""The counters of pushed APDUs, over restarts."""

from __future__ import annotations

import logging
from errno import EMFILE
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dlms_connector.state import private_files
from dlms_connector.state.pushed import FILE, PushedCounters, carry_over

LOG = logging.getLogger("test")
SENDER = PushedCounters.sender(b"MMM\0\0\0\0\1", bytes(16))


def test_the_highest_number_survives(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "pushed.json"
    counters = PushedCounters(path, LOG)
    counters.load()
    assert counters.highest(SENDER) == -1
    counters.note(SENDER, 7)
    counters.note(SENDER, 5)
    counters.store()
    assert not counters.changed
    assert path.stat().st_mode & 0o777 == 0o600
    assert bytes(16).hex() not in path.read_text("utf-8")
    again = PushedCounters(path, LOG)
    again.load()
    assert again.highest(SENDER) == 7


def test_another_key_is_another_sender() -> None:
    assert PushedCounters.sender(b"MMM\0\0\0\0\1", bytes(range(16))) != SENDER


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"highest": 3}', '{"highest": {"x": 1}}', '{"highest": null}']
)
def test_an_unreadable_file_is_kept_aside_and_told(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pushed.json"
    path.write_text(content, "utf-8")
    counters = PushedCounters(path, LOG)
    counters.load()
    counters.note(SENDER, 3)
    counters.store()
    assert (tmp_path / "pushed.json.unreadable-1").read_text("utf-8") == content
    assert "cannot be told" in caplog.text
    again = PushedCounters(path, LOG)
    again.load()
    assert again.highest(SENDER) == 3


def test_what_is_right_in_a_damaged_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "pushed.json"
    path.write_text(f'{{"highest": {{"{SENDER}": 12, "x": -1}}}}', "utf-8")
    counters = PushedCounters(path, LOG)
    counters.load()
    assert counters.highest(SENDER) == 12
    assert counters.changed


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    counters = PushedCounters(tmp_path / "file" / "pushed.json", LOG)
    counters.note(SENDER, 3)
    counters.store()
    counters.store()
    assert caplog.text.count("cannot be written") == 1
    assert counters.highest(SENDER) == 3
    assert counters.changed


def test_in_memory_only() -> None:
    counters = PushedCounters(None, LOG)
    counters.load()
    counters.note(SENDER, 3)
    counters.store()
    assert counters.highest(SENDER) == 3


def test_what_another_process_has_written_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "pushed.json"
    gateway, command = PushedCounters(path, LOG), PushedCounters(path, LOG)
    for one in (gateway, command):
        one.load()
    other = PushedCounters.sender(b"MMM\0\0\0\0\2", bytes(16))
    gateway.note(SENDER, 9)
    gateway.store()
    command.note(other, 4)
    command.note(SENDER, 2)
    command.store()
    gateway.note(SENDER, 10)
    gateway.store()
    again = PushedCounters(path, LOG)
    again.load()
    assert (again.highest(SENDER), again.highest(other)) == (10, 4)


def test_another_folder_takes_the_numbers_over(tmp_path: Path) -> None:
    before, folder = tmp_path / "before", tmp_path / "folder"
    counters = PushedCounters(before / FILE, LOG)
    counters.note(SENDER, 9)
    counters.store()
    newer = PushedCounters(folder / FILE, LOG)
    newer.note(SENDER, 3)
    newer.store()
    carry_over(before, folder)
    again = PushedCounters(folder / FILE, LOG)
    again.load()
    assert again.highest(SENDER) == 9


def test_connectors_of_one_process_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pushed.json"
    one, two = PushedCounters(path, LOG), PushedCounters(path, LOG)
    other = PushedCounters.sender(b"MMM\0\0\0\0\2", bytes(16))
    one.note(SENDER, 9)
    two.note(other, 4)
    meanwhile = Thread(target=two.store)
    write = private_files.write

    def slowly(*what: Any) -> None:
        if meanwhile.ident is None:
            meanwhile.start()
            meanwhile.join(0.3)
        write(*what)

    monkeypatch.setattr(private_files, "write", slowly)
    one.store()
    meanwhile.join(30.0)
    again = PushedCounters(path, LOG)
    again.load()
    assert (again.highest(SENDER), again.highest(other)) == (9, 4)
    assert not one.changed
    assert not two.changed


def test_a_file_that_cannot_be_read_for_a_while_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have no descriptor left just then: old pushes must not be new again."""
    path = tmp_path / "pushed.json"
    before = PushedCounters(path, LOG)
    before.note(SENDER, 9)
    before.store()
    counters = PushedCounters(path, LOG)

    def fails(*_: object) -> Any:
        raise OSError(EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(private_files, "load", fails)
        counters.load()
    assert counters.changed
    counters.store()
    assert counters.highest(SENDER) == 9
    assert not list(tmp_path.glob("*unreadable*"))


def test_what_a_command_wrote_is_not_overwritten_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pushed.json"
    other = PushedCounters.sender(b"MMM\0\0\0\0\2", bytes(16))
    counters, command = PushedCounters(path, LOG), PushedCounters(path, LOG)
    counters.note(SENDER, 9)
    counters.store()
    command.note(other, 4)
    command.store()
    counters.note(SENDER, 10)

    def fails(*_: object) -> Any:
        raise OSError(EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(private_files, "load", fails)
        counters.store()
    counters.store()
    again = PushedCounters(path, LOG)
    again.load()
    assert (again.highest(SENDER), again.highest(other)) == (10, 4)
