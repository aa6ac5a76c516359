"""Invocation counters that survive whatever happens."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dlms_connector.config.model import Device, Dlms
from dlms_connector.config.secret import Secret
from dlms_connector.errors import ProtocolError, RefusedError
from dlms_connector.obis import Obis
from dlms_connector.state.counter_files import LAST
from dlms_connector.state.counters import WARN_AT, InvocationCounter, counter_of

KEY = bytes(range(16))


def test_counts_from_one(tmp_path: Path) -> None:
    counter = InvocationCounter("m", tmp_path / "c.json")
    assert [counter.next() for _ in range(3)] == [1, 2, 3]


def test_numbers_are_on_the_disk_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    counter = InvocationCounter("m", path, margin=10)
    for _ in range(35):
        number = counter.next()
        assert json.loads(path.read_text())["next"] > number


def test_a_crash_costs_the_margin_and_never_repeats(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    used: list[int] = []
    for _ in range(20):
        counter = InvocationCounter("m", path, margin=7)
        used += [counter.next() for _ in range(5)]
    assert used == sorted(set(used))
    assert used[-1] < 20 * 12


def test_more_are_reserved_where_they_are_used_up_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("dlms_connector.state.numbers.time.monotonic", lambda: now[0])
    path = tmp_path / "c.json"
    counter = InvocationCounter("m", path, margin=10)

    def reserved() -> int:
        last = counter.next()
        return int(json.loads(path.read_text())["next"]) - last

    widths: list[tuple[int, int]] = []
    for _ in range(400):
        if (left := reserved()) > (widths[-1][1] if widths else 0):
            widths.append((left, left))
        else:
            widths[-1] = (widths[-1][0], left)
    assert [width for width, _ in widths] == [10, 20, 40, 80, 80, 80, 80, 80]
    while reserved() > 1:
        pass
    now[0] += 3600  # these lasted for an hour
    assert reserved() == 10
    while reserved() > 1:
        pass
    InvocationCounter("other", path, margin=10).next()
    assert reserved() == 10  # somebody else counts too, and each time the rest is skipped


def test_two_processes_never_share_a_number(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    one, other = (InvocationCounter("m", path, margin=3) for _ in range(2))
    numbers = [counter.next() for _ in range(20) for counter in (one, other)]
    assert len(set(numbers)) == len(numbers)


def test_whoever_was_overtaken_goes_on_behind(tmp_path: Path) -> None:
    """A meter takes no number lower than the last, whoever used that."""
    path = tmp_path / "c.json"
    one, other = (InvocationCounter("m", path) for _ in range(2))
    turns = [one, one, other, one, one, other, other]
    numbers = [counter.next() for counter in turns]
    assert numbers == sorted(set(numbers))
    assert numbers[1] == numbers[0] + 1


def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "c.json"
    InvocationCounter("m", path).next()
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", '{"next": -1}', '{"next": "7"}', "\xff"])
def test_a_corrupted_file_is_no_beginning(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content.encode("latin-1"))
    counter = InvocationCounter("m", path)
    assert not counter.known
    with pytest.raises(RefusedError, match="unknown where to go on") as caught:
        counter.next()
    assert "dlms.invocationCounter" in caught.value.hint
    counter.learn(41)
    assert counter.next() > 41 + 50  # some of our numbers may not have reached the meter
    kept = path.with_name("c.json.unreadable-1")
    assert kept.read_bytes() == content.encode("latin-1")


def test_the_meter_tells_where_to_begin(tmp_path: Path) -> None:
    counter = InvocationCounter("m", tmp_path / "c.json", must_read=True)
    assert not counter.known
    counter.learn(1_000_000_000)
    assert 1_000_000_050 < counter.next() < 1_000_001_000
    assert InvocationCounter("m", tmp_path / "c.json", must_read=True).known


def test_never_lowered() -> None:
    counter = InvocationCounter("m")
    counter.learn(500)
    counter.learn(3)
    counter.resync(2)
    first = counter.next()
    assert first > 500
    counter.learn(3)
    counter.learn(first)
    assert counter.next() == first + 1


def test_resynced_once_per_failure() -> None:
    counter = InvocationCounter("m")
    counter.resync(100)
    with pytest.raises(RefusedError, match="raised for it before"):
        counter.resync(200)
    assert counter.next() == 100
    counter.confirm()
    counter.resync(300)
    assert counter.next() == 300


def test_doubted_once_per_failure() -> None:
    counter = InvocationCounter("m", must_read=True)
    counter.learn(1)
    steps: list[tuple[Callable[[], object], bool]] = [
        (counter.doubt, False),
        (lambda: counter.learn(9), True),
        (counter.doubt, True),
        (counter.confirm, True),
        (counter.doubt, True),  # the meter took our latest number
        (counter.next, True),
        (counter.doubt, False),
    ]
    for step, known in steps:
        step()
        assert counter.known is known


def test_nothing_to_doubt_where_nothing_can_be_read() -> None:
    counter = InvocationCounter("m")
    counter.doubt()
    assert counter.known


def test_a_forged_jump_does_not_wear_the_key_out() -> None:
    counter = InvocationCounter("m")
    counter.next()
    with pytest.raises(RefusedError, match="not believed"):
        counter.resync(LAST - 1)
    with pytest.raises(RefusedError, match="not believed"):
        counter.learn(LAST)
    counter.confirm()
    with pytest.raises(ProtocolError):
        counter.resync(LAST + 1)


def test_many_forged_jumps_do_not_wear_the_key_out_either() -> None:
    counter = InvocationCounter("m")
    first = counter.next()
    for _ in range(50):
        with suppress(RefusedError):
            counter.resync(counter.next() + 60_000_000)
        counter.confirm()
    assert counter.next() - first < 100_000_000


def test_warns_once_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    counter = InvocationCounter("Meter 7")
    counter.learn(WARN_AT)
    with caplog.at_level(logging.DEBUG):
        counter.next()
        counter.next()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("Meter 7: invocation counter at 20000001")
    worn = InvocationCounter("m")
    worn.learn(LAST - 2)
    assert worn.next() == LAST - 1
    with pytest.raises(RefusedError, match="last one"):
        worn.next()


def test_a_meter_that_has_seen_the_last_number_wants_new_keys() -> None:
    counter = InvocationCounter("m", must_read=True)
    counter.learn(LAST)
    with pytest.raises(RefusedError, match="is the last one") as caught:
        counter.next()
    assert "change the meter's keys" in caught.value.hint


def test_a_number_that_cannot_be_kept_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    counter = InvocationCounter("m", tmp_path / "file" / "c.json")
    with pytest.raises(RefusedError) as caught:
        counter.next()
    assert "stateDirectory" in caught.value.hint


def test_nor_is_it_when_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    counter = InvocationCounter("m", path, margin=3)
    used = [counter.next() for _ in range(3)]
    path.unlink()
    path.mkdir()  # stands for a full disk: nothing can be put in its place
    for _ in range(5):
        with pytest.raises(RefusedError, match=r"cannot keep it in c\.json"):
            counter.next()
    path.rmdir()
    used += [counter.next() for _ in range(3)]
    assert used == sorted(set(used))
    assert json.loads(path.read_text())["next"] > used[-1]


def test_the_last_number_is_not_shared_either(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    others = [InvocationCounter("m", path, margin=1) for _ in range(2)]
    path.write_text(json.dumps({"next": LAST}))
    for counter in others:
        with pytest.raises(RefusedError, match="last one"):
            counter.next()


def test_leftovers_of_a_crash_do_not_hinder(tmp_path: Path) -> None:
    (tmp_path / "c.new").write_text("half")
    assert InvocationCounter("m", tmp_path / "c.json").next() == 1


def device(name: str = "Meter/7", key: bytes = KEY, **more: object) -> Device:
    fields: dict[str, object] = {
        "security": "AUTHENTICATION_ENCRYPTION",
        "system_title": b"GWAABBCC",
        "block_cipher_key": Secret(key),
        "authentication_key": Secret(KEY[::-1]),
        **more,
    }
    return Device.model_validate(
        {"device_name": name, "connection": {"host": "h"}, "dlms": Dlms.model_validate(fields)}
    )


def test_each_key_has_its_own(tmp_path: Path) -> None:
    for one in (device(), device(key=KEY[::-1]), device("Other"), device()):
        counter = counter_of(one, tmp_path)
        assert counter is not None
        counter.next()
    assert len(list(tmp_path.glob("*.json"))) == 2  # Meter/7 and Other have one key and title
    for file in tmp_path.iterdir():
        assert KEY.hex() not in file.name + file.read_text()


def test_a_renamed_device_goes_on(tmp_path: Path) -> None:
    """Title, key and counter make the nonce; what the device is called has no part in it."""
    used = []
    for name in ("Meter/7", "Renamed", "Renamed", "Again", "Meter/7", "Renamed"):
        counter = counter_of(device(name), tmp_path)
        assert counter is not None
        used += [counter.next() for _ in range(2)]
    assert len(set(used)) == len(used)
    other = counter_of(device("Again", key=KEY[::-1]), tmp_path)
    assert other is not None
    assert other.next() == 1
    titled = counter_of(device("Again", system_title=b"GWAABBCD"), tmp_path)
    assert titled is not None
    assert titled.next() == 1


def test_where_nothing_is_kept_the_meter_has_to_tell() -> None:
    """Else each start would begin at 1 again, with the nonces of the last one."""
    counter = counter_of(device(), None)
    assert counter is not None
    with pytest.raises(RefusedError, match="unknown where to go on") as caught:
        counter.next()
    assert "stateDirectory" in caught.value.hint
    counter = counter_of(device(invocation_counter=Obis.parse("0-0:43.1.0")), None)
    assert counter is not None
    assert not counter.known
    counter.learn(41)
    assert counter.next() > 41 + 50


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.mkdir()  # stands for missing rights, which root has
    counter = InvocationCounter("m", path)
    with pytest.raises(RefusedError, match=r"cannot keep it in c\.json: Is a directory") as caught:
        counter.next()
    assert "rights" in caught.value.hint


def test_what_cannot_be_read_while_counting_may_hold_higher_numbers(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    counter = InvocationCounter("m", path)
    counter.next()
    path.unlink()
    path.symlink_to(path)  # stands for missing rights, which root has
    with pytest.raises(RefusedError, match="cannot keep it"):
        counter.next()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves files to others")
def test_what_root_counts_is_left_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """A command run by root beside the gateway must not lock it out of its own counters."""
    os.chown(tmp_path, 4711, 4712)
    counter = InvocationCounter("m", tmp_path / "data/dlms/c.json")
    counter.next()
    made = [tmp_path / name for name in ("data", "data/dlms")]
    made += (tmp_path / "data/dlms").iterdir()
    assert len(made) == 4
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(4711, 4712)}


@pytest.mark.parametrize("ending", [".lock", ".new"])
def test_links_in_the_folder_lead_nowhere(ending: str, tmp_path: Path) -> None:
    """Whoever owns the folder must not make root open, or give away, another file."""
    other = tmp_path / "other"
    other.write_text("precious")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / f"c{ending}").symlink_to(other)
    with suppress(RefusedError):
        InvocationCounter("m", folder / "c.json").next()
    assert other.read_text() == "precious"
    assert not (folder / "c.json").is_symlink()


def test_only_ciphering_needs_one(tmp_path: Path) -> None:
    assert counter_of(device(security="NONE"), tmp_path) is None
    assert counter_of(device(security="NONE", authentication="HIGH_GMAC"), None) is not None
    assert list(tmp_path.iterdir()) == []
