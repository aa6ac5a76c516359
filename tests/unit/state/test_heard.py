"""What was heard of a meter's counter lasts, so that nothing recorded earlier is believed."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Workarounds
from dlms_connector.errors import SecurityError, StateBusyError
from dlms_connector.protocol.association import Association
from dlms_connector.state import InvocationCounter, private_files
from dlms_connector.state.heard import STEP, Heard
from tests.support.secured_meter import SERVER_TITLE, Line, SecuredMeter, finish, secured
from tests.unit.state.test_no_number_twice import counter

ALL = "AUTHENTICATION_ENCRYPTION"
GET = bytes.fromhex("C001C100080000010000FF0200")
LOG = logging.getLogger("test.heard")


class Player:
    """Plays back what a meter said in a recorded association, whatever is asked."""

    def __init__(self, said: list[bytes]) -> None:
        self._said = iter(said)

    def answer(self, apdu: bytes) -> bytes:
        return next(self._said)


async def counter_after_a_start(folder: Path) -> InvocationCounter:
    made = counter(folder)
    await made.begin()
    return made


async def read(line: Line, folder: Path, workarounds: Workarounds, **dlms: str) -> bytes:
    """Open an association after a start of the gateway, and read a value."""
    kept = await counter_after_a_start(folder)
    mine = Association(secured(security=ALL, **dlms), workarounds, kept)
    finish(mine.open(line))
    await kept.begin()  # as before each talk: what was heard is on the disk before the request
    return mine.unprotect(finish(line.exchange(mine.protect(GET))))


@pytest.mark.parametrize("authentication", ["NONE", "LOW"])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_recorded_association_played_back_after_a_restart(
    tmp_path: Path, authentication: str, restarts: bool
) -> None:
    dlms = {"authentication": authentication}
    meter = SecuredMeter(secured(security=ALL, **dlms))
    workarounds = Workarounds(server_counter_restarts=restarts)
    recorded = Line(meter.answer)
    assert await read(recorded, tmp_path, workarounds, **dlms) == meter.value
    again = Line(Player(recorded.said).answer)
    if restarts:
        assert await read(again, tmp_path, workarounds, **dlms) == meter.value
    else:
        with pytest.raises(SecurityError, match="repeated"):
            await read(again, tmp_path, workarounds, **dlms)
        assert await read(Line(meter.answer), tmp_path, workarounds, **dlms) == meter.value


async def test_a_meter_that_proves_itself_may_begin_again(tmp_path: Path) -> None:
    for _ in range(2):
        meter = SecuredMeter(secured(security=ALL, authentication="HIGH_GMAC"))
        line = Line(meter.answer)
        found = await read(line, tmp_path, Workarounds(), authentication="HIGH_GMAC")
        assert found == meter.value


def heard(path: Path) -> Heard:
    return Heard("Cellar", path, LOG)


def test_a_crash_loses_a_bounded_number(tmp_path: Path) -> None:
    path = tmp_path / "heard-x.log"
    one = heard(path)
    for number in range(1000, 2000):
        one.note(SERVER_TITLE, number, opening=number == 1000)
        one.store()
    assert path.stat().st_size < 30 * (1000 // STEP + 2)
    assert 1999 - STEP <= heard(path).highest(SERVER_TITLE) <= 1999
    one.note(SERVER_TITLE, 2000, opening=True)
    one.store()
    assert heard(path).highest(SERVER_TITLE) == 2000
    assert heard(path).highest(b"SERVER02") == -1


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "heard-x.log"
    path.write_text("".join(f"{SERVER_TITLE.hex()} {number}\n" for number in range(9000)))
    one = heard(path)
    assert one.highest(SERVER_TITLE) == 8999
    assert path.read_text() == f"{SERVER_TITLE.hex()} 8999\n"
    one.note(SERVER_TITLE, 9001, opening=True)
    one.store()
    assert heard(path).highest(SERVER_TITLE) == 9001


def test_the_file_does_not_grow_while_it_is_used(tmp_path: Path) -> None:
    """A meter with an association for each poll writes a line for each."""
    path = tmp_path / "heard-x.log"
    one = heard(path)
    meters = [number.to_bytes(8, "big") for number in range(900)]
    for number in range(20):
        for meter in meters:
            one.note(meter, number, opening=True)
        one.store()
        assert len(path.read_text().splitlines()) <= 2000
    again = heard(path)
    assert {again.highest(meter) for meter in meters} == {19}


def test_an_association_that_opens_while_the_disk_writes_is_written_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "heard-x.log"
    one, sync = heard(path), os.fsync
    one.note(SERVER_TITLE, 100, opening=True)

    def slowly(descriptor: int) -> None:
        if one.highest(SERVER_TITLE) == 100:
            one.note(SERVER_TITLE, 105, opening=True)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slowly)
    one.store()
    one.store()
    assert heard(path).highest(SERVER_TITLE) == 105


def test_a_file_that_cannot_be_read_for_a_while_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have no descriptor left just then: old replies must not be new again."""
    path = tmp_path / "heard-x.log"
    path.write_text(f"{SERVER_TITLE.hex()} 77\n")
    one = heard(path)

    def fails(*_: object) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(private_files, "read", fails)
        with pytest.raises(StateBusyError, match="open files"):
            one.highest(SERVER_TITLE)
    assert one.highest(SERVER_TITLE) == 77


def test_nothing_is_said_of_a_meter_before_the_file_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "heard-x.log"
    path.write_text(f"{SERVER_TITLE.hex()} 77\n")
    one, read = heard(path), private_files.read
    asked = []

    def slowly(*args: Any) -> bytes:
        with pytest.raises(StateBusyError, match="too long") as caught:
            one.highest(SERVER_TITLE, wait=False)
        asked.append(caught)
        return read(*args)

    monkeypatch.setattr(private_files, "read", slowly)
    one.store()
    assert asked
    assert one.highest(SERVER_TITLE, wait=False) == 77


@pytest.mark.parametrize("content", [b"\xff\n", b"[" * 99, b"53 53\n", bytes(99)])
def test_lines_that_make_no_sense_cost_themselves_only(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "heard-x.log"
    path.write_bytes(f"{SERVER_TITLE.hex()} 77\n".encode() + content)
    for _ in range(2):
        assert heard(path).highest(SERVER_TITLE) == 77
    assert path.with_name("heard-x.log.unreadable-1").exists()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Cellar: heard-x.log cannot be read")


def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "heard-x.log"
    os.mkfifo(path)
    one = heard(path)
    assert one.highest(SERVER_TITLE) == -1
    one.note(SERVER_TITLE, 5, opening=True)
    one.store()
    assert heard(path).highest(SERVER_TITLE) == 5
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("room", range(0, 22, 3))
def test_a_line_that_a_full_disk_cuts_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """The system writes what there is room for, and says so: there is no error."""
    path, meter, write = tmp_path / "heard-x.log", b"12345678", os.write
    heard = Heard("m", path, LOG)
    heard.note(meter, 1000, opening=True)
    heard.store()
    left = [room]

    def cut(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as full:
        full.setattr(os, "write", cut)
        heard.note(meter, 123456, opening=True)
        heard.store()
    for wanted in (123456, 123457):
        heard.note(meter, wanted, opening=True)
        heard.store()
        assert Heard("m", path, LOG).highest(meter) == wanted
