"""Files that were deleted, restored, copied or spoilt: no number is used twice with a key."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dlms_connector.config import Device, Dlms, Secret
from dlms_connector.errors import DlmsError
from dlms_connector.obis import Obis
from dlms_connector.state import InvocationCounter, counter_of, invocation_counter
from dlms_connector.state.numbers import Numbers
from tests.support.places import ROOT

KEY = bytes(range(16))
OBIS = Obis.parse("0-0:43.1.0")


def device(name: str = "M", key: bytes = KEY, workarounds: object = None, **more: object) -> Device:
    fields: dict[str, object] = {
        "security": "AUTHENTICATION_ENCRYPTION",
        "system_title": b"GWAABBCC",
        "block_cipher_key": Secret(key),
        "authentication_key": Secret(KEY[::-1]),
        **more,
    }
    return Device.model_validate(
        {
            "device_name": name,
            "connection": {"host": "h"},
            "dlms": Dlms.model_validate(fields),
            "workarounds": workarounds or {},
        }
    )


def counter(folder: Path, *args: object, **more: object) -> InvocationCounter:
    made = counter_of(device(*args, **more), folder)  # type: ignore[arg-type]
    assert made is not None
    return made


def used(one: InvocationCounter, count: int = 5) -> list[int]:
    """Return numbers; none where the counter refuses to give any."""
    with suppress(DlmsError):
        return [one.next() for _ in range(count)]
    return []


def in_another_process(folder: Path, count: int = 5) -> list[int]:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.state.test_no_number_twice import counter, used\n"
        f"print(used(counter(Path(sys.argv[1])), {count}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    numbers: list[int] = json.loads(done.stdout)
    return numbers


def unused_so_far(numbers: list[int]) -> bool:
    return len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("pattern", ["counter-*.json", "counter-*"])
def test_files_deleted_while_a_process_holds_numbers(tmp_path: Path, pattern: str) -> None:
    holding = counter(tmp_path)
    numbers = used(holding)
    for path in tmp_path.glob(pattern):
        path.unlink()
    if pattern.endswith(".json"):
        numbers += in_another_process(tmp_path)
    numbers += used(holding, 200)
    numbers += used(counter(tmp_path))
    assert unused_so_far(numbers)


def move_back(backup: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


def copy_over(backup: Path, folder: Path) -> None:
    shutil.copytree(backup, folder, dirs_exist_ok=True)


def write_over(backup: Path, folder: Path) -> None:
    for path in backup.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())


def the_first_file_only(backup: Path, folder: Path) -> None:
    for path in backup.glob("*.json"):
        shutil.copy2(path, folder / path.name)


@pytest.mark.parametrize(
    "restore", [move_back, copy_over, write_over, the_first_file_only], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("obis", [None, OBIS])
def test_a_restored_backup(
    tmp_path: Path, restore: Callable[[Path, Path], None], obis: Obis | None
) -> None:
    folder, backup = tmp_path / "state", tmp_path / "backup"
    numbers: list[int] = []
    first = counter(folder, invocation_counter=obis)
    if obis is not None:
        first.learn(40)
    numbers += used(first)
    shutil.copytree(folder, backup)
    numbers += used(first, 500)
    del first
    restore(backup, folder)
    again = counter(folder, invocation_counter=obis)
    if not again.known:
        again.learn(max(numbers) - 20)  # the last ones have not reached the meter
    numbers += used(again)
    assert unused_so_far(numbers)
    assert used(again)


def test_what_was_restored_is_said_with_the_meters_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used(counter(tmp_path / "state", "Cellar"))
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    copied = counter(tmp_path / "copy", "Cellar")
    used(copied, 300)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Cellar: counter-")
    assert "is a copy" in caplog.messages[0]


def test_a_file_of_an_earlier_version_or_written_by_hand_is_believed(tmp_path: Path) -> None:
    first = counter(tmp_path)
    assert used(first, 1) == [1]
    (path,) = tmp_path.glob("counter-*.json")
    del first
    for each in tmp_path.iterdir():
        each.unlink()
    older = path.with_name(path.name.replace("counter-", "counter-Cellar-0123456789abcdef-"))
    older.write_text('{"device": "Cellar", "next": 701}')
    assert used(counter(tmp_path), 1) == [701]
    path.write_text('{"next": 5000}')
    assert used(counter(tmp_path), 1) == [5000]


SPOILT: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "cut": lambda path: path.write_text('{"next": 1'),
    "nested": lambda path: path.write_text("[" * 200_000),
    "nested well": lambda path: path.write_text("[" * 30_000 + "]" * 30_000),
    "nested key": lambda path: path.write_text('{"next":' * 9_000 + "1" + "}" * 9_000),
    "many digits": lambda path: path.write_text('{"next": ' + "9" * 6_000 + "}"),
    "infinite": lambda path: path.write_text('{"next": Infinity}'),
    "huge": lambda path: os.truncate(path, 1 << 40),
    "another key's": lambda path: path.write_text('{"counter": "counter-x", "next": 7}'),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_kept_aside_and_said_once(
    tmp_path: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    numbers = used(counter(tmp_path, "Cellar"))
    (path,) = tmp_path.glob("counter-*.json")
    spoil(path)
    for _ in range(2):
        numbers += used(counter(tmp_path, "Cellar"))
    assert len(numbers) == 15
    assert unused_so_far(numbers)
    assert [path.name for path in tmp_path.glob("*.unreadable-*")] == [f"{path.name}.unreadable-1"]
    (line,) = caplog.messages
    assert line.startswith("Cellar: counter-")


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_lets_the_meter_tell(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    numbers = used(counter(tmp_path))
    (path,) = tmp_path.glob("counter-*.json")
    spoil(path)
    again = counter(tmp_path, invocation_counter=OBIS)
    assert not again.known
    again.learn(numbers[-1] - 2)
    assert unused_so_far(numbers + used(again))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [a_pipe, a_folder, a_link], ids=lambda one: one.__name__)
@pytest.mark.parametrize("ending", ["json", "lock"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, put: Callable[[Path], None], ending: str
) -> None:
    used(counter(tmp_path))
    (path,) = tmp_path.glob(f"counter-*.{ending}")
    put(path)
    with pytest.raises(DlmsError, match="counter-"):
        counter(tmp_path).next()


def test_two_entries_share_the_numbers_in_memory_too() -> None:
    obis = {"invocation_counter": OBIS}
    entries = [counter_of(device(name, **obis), None) for name in ("Meter", "Meter again")]  # type: ignore[arg-type]
    numbers = []
    for entry in entries:
        assert entry is not None
        assert not entry.known
        entry.learn(5000)
        numbers += used(entry)
    assert len(numbers) == 10
    assert unused_so_far(numbers)


def test_two_entries_for_one_meter_share_the_numbers(tmp_path: Path) -> None:
    entries = [counter(tmp_path, name) for name in ("Meter", "Meter, second association", "Other")]
    numbers = [number for _ in range(150) for entry in entries for number in used(entry, 1)]
    assert unused_so_far(numbers)
    assert numbers == sorted(numbers)
    assert unused_so_far(numbers + in_another_process(tmp_path) + used(entries[0]))


def test_what_others_reserved_meanwhile_is_not_taken_where_a_raise_is_taken_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "counter-0123456789abcdef.json"
    one, other = Numbers("M", path), Numbers("M", path)
    one.prepare()
    other.prepare()
    numbers = [other.take() for _ in range(5)]
    one.raise_to(1000)
    one.prepare()
    one.unraise(1, 1000)
    assert unused_so_far(numbers + [one.take() for _ in range(200)])


async def test_two_folders_in_one_process_share_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connectors of a gateway may have a stateDirectory each."""
    monkeypatch.setattr(invocation_counter, "_PATIENCE_S", 60)
    monkeypatch.setattr(invocation_counter, "_SLOW_S", 60)
    one = counter(tmp_path / "a")
    await one.begin()
    numbers = used(one, 3)
    other = counter(tmp_path / "b")
    for _ in range(50):
        for entry in (one, other):
            await entry.begin()
            numbers += used(entry, 3)
    assert len(numbers) == 303
    assert unused_so_far(numbers)


async def test_two_folders_whose_meters_were_all_there_before_one_was_talked_with(
    tmp_path: Path,
) -> None:
    """As at the start of a gateway with two connectors: nobody has begun when both are made."""
    entries = [counter(tmp_path / folder) for folder in "ab"]
    numbers = []
    for _ in range(3):
        for entry in entries:
            await entry.begin()
            numbers += used(entry, 3)
    assert len(numbers) == 18
    assert unused_so_far(numbers)


def test_a_lasting_dedicated_key_outlives_the_key_beside_it(tmp_path: Path) -> None:
    lasting = {"workarounds": {"pre_established": True}, "dedicated_key": Secret(b"\x77" * 16)}
    numbers = used(counter(tmp_path, **lasting))
    rotated = used(counter(tmp_path, key=KEY[::-1], **lasting))
    back = used(counter(tmp_path, **lasting))
    other = lasting | {"dedicated_key": Secret(b"\x78" * 16)}
    assert unused_so_far(numbers + rotated + back)
    assert unused_so_far(numbers + back + used(counter(tmp_path, **other)))
    assert used(counter(tmp_path, key=b"\x01" * 16), 1) == [1]


def test_no_file_shows_a_key(tmp_path: Path) -> None:
    lasting = Secret(b"\x77" * 16)
    for one in (counter(tmp_path), counter(tmp_path, dedicated_key=lasting)):
        used(one)
        one.hear(b"SERVER01", 7, opening=True)
        del one
    for path in tmp_path.iterdir():
        shown = path.name.encode() + path.read_bytes()
        for key in (KEY, bytes(lasting)):
            assert key not in shown
            assert key.hex().encode() not in shown.lower()


def test_a_forged_last_number_is_not_kept(tmp_path: Path) -> None:
    """What the public client reads is not authenticated."""
    one = counter(tmp_path, invocation_counter=OBIS)
    one.learn(0xFFFF_FFFE)
    with pytest.raises(DlmsError, match="is the last one") as caught:
        one.next()
    assert "forged" in caught.value.hint
    assert not one.known
    one.learn(40)
    assert used(one, 1) == [141]


def test_nothing_is_logged_of_an_ordinary_life(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            used(counter(tmp_path), 150)
            in_another_process(tmp_path)
    assert caplog.messages == []


@pytest.mark.parametrize(
    "restore", [move_back, copy_over, write_over], ids=lambda one: one.__name__
)
def test_one_backup_that_is_restored_again_and_again(
    tmp_path: Path, restore: Callable[[Path, Path], None]
) -> None:
    """As a container does that fills its folder anew at each start."""
    folder, backup = tmp_path / "state", tmp_path / "backup"
    numbers = used(counter(folder))
    shutil.copytree(folder, backup)
    for _ in range(5):
        restore(backup, folder)
        numbers += used(counter(folder), 150)
    assert len(numbers) == 755
    assert unused_so_far(numbers)
