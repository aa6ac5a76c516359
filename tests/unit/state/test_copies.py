"""Counters that are put back from a backup: no number is used twice, however old it is."""

from __future__ import annotations

import gc
import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dlms_connector.errors import RefusedError
from dlms_connector.state import PUSHED_FILE, copies, gateways_place
from tests.unit.state.test_no_number_twice import OBIS, counter, used

ELSEWHERE = pytest.mark.parametrize("elsewhere", [False, True], ids=["same host", "new host"])


class Host:
    """A gateway's folders; numbers are taken in them as by a process that starts and ends."""

    def __init__(self, root: Path) -> None:
        self.config = root / "config"
        self.config.mkdir(parents=True)
        (self.config / "tb_gateway.json").write_text("{}")
        place = gateways_place(None, {}, self.config, "DLMS")
        assert isinstance(place, Path)
        self.state = place

    def use(self, meter: Meter, count: int, *, readable: bool = False) -> list[int]:
        """Take numbers, and ask the meter where they are not known."""
        more = {"invocation_counter": OBIS} if readable else {}
        one = counter(self.state, **more)
        if not one.known and readable:
            one.learn(meter.highest)
        taken = used(one, count)
        meter.take(taken)
        del one
        gc.collect()
        return taken

    def restore(self, backup: dict[str, copies.Copied], installation: str | None) -> int:
        same = copies.installation_of(self.state) == installation
        folder = copies.prepare_folder(None, self.config, installation)
        return copies.restore_counters(folder, backup, same=same)


class Meter:
    """A meter that refuses what it has heard, as all do; it fails the test where that happens."""

    def __init__(self) -> None:
        self.highest = 0

    def take(self, numbers: list[int]) -> None:
        for number in numbers:
            assert number > self.highest, f"{number} after {self.highest}"
            self.highest = number


def backup_of(host: Host) -> tuple[dict[str, copies.Copied], str | None]:
    counters, unread = copies.counters_in(host.state)
    assert not unread
    return copies.of_json(copies.to_json(counters)), copies.installation_of(host.state)


#: The time between two restores, at least: 400 numbers and a start are nothing in it.
USE_S = 600.0
Backup = tuple[dict[str, copies.Copied], str | None]


def older(backup: Backup, by_s: float) -> Backup:
    counters, installation = backup
    return {
        owner: replace(one, written_s=one.written_s - by_s) for owner, one in counters.items()
    }, installation


@ELSEWHERE
@pytest.mark.parametrize("readable", [False, True], ids=["not shown", "shown by the meter"])
def test_an_old_backup_brings_no_number_back(
    tmp_path: Path, elsewhere: bool, readable: bool
) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    print(f"seed {seed}")
    host, meter = Host(tmp_path / "a"), Meter()
    backups: list[Backup] = []
    for step in range(10):
        assert host.use(meter, rng.randrange(1, 400), readable=readable)
        backups = [older(each, USE_S) for each in (*backups, backup_of(host))]
        if rng.random() < 0.5:
            if elsewhere:
                host = Host(tmp_path / f"host-{step}")
            # Those after it are of what is given up now: the newest is restored, or one before it.
            backups = backups[: rng.randrange(len(backups)) + 1]
            host.restore(*backups[-1])
    assert host.use(meter, 5, readable=readable)


def test_the_first_backup_again_after_several_that_went_on_from_it(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 5)
    first = latest = backup_of(host)
    for name in "bcd":
        first, latest = older(first, USE_S), older(latest, USE_S)
        host = Host(tmp_path / name)
        host.restore(*latest)
        assert len(host.use(meter, 400)) == 400
        latest = backup_of(host)
    host = Host(tmp_path / "e")
    host.restore(*older(first, USE_S))
    assert host.use(meter, 5)


def test_another_backup_on_the_host_where_one_was_restored(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 300)
    old = older(backup_of(host), 20 * 86_400)
    host.use(meter, 300)
    newer = backup_of(host)
    other = Host(tmp_path / "b")
    other.restore(*old)
    assert other.use(meter, 5)
    other.restore(*newer)  # it was the wrong one
    assert other.use(meter, 5)


def test_what_is_there_and_newer_stays_as_it_is(tmp_path: Path) -> None:
    host, meter = Host(tmp_path), Meter()
    host.use(meter, 5)
    backup = backup_of(host)
    host.use(meter, 500)
    assert host.restore(*backup) == 0
    assert host.use(meter, 5)[0] < 1000


def test_where_the_meter_shows_its_counter_it_is_asked(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 5, readable=True)
    backup = backup_of(host)
    other = Host(tmp_path / "b")
    assert other.restore(*backup) == 1
    assert not counter(other.state, invocation_counter=OBIS).known


def test_the_older_it_is_the_more_is_skipped_until_nothing_is_guessed(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 5)
    counters, installation = backup_of(host)
    for name, days, least in (("b", 10, 17_000_000), ("c", 100, None)):
        ((owner, one),) = counters.items()
        old = copies.Copied(one.number, one.written_s - days * 86_400)
        other = Host(tmp_path / name)
        other.restore({owner: old}, installation)
        if least is not None:
            assert counter(other.state).next() > least
        else:
            with pytest.raises(RefusedError, match="unknown where to go on"):
                counter(other.state).next()


def test_a_counter_that_is_missing_on_a_new_host_does_not_begin_at_1(tmp_path: Path) -> None:
    other = Host(tmp_path)
    other.restore({}, "of-another-host")
    assert used(counter(other.state)) == []


def test_a_new_host_that_has_begun_before_it_was_restored(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 300)
    backup = backup_of(host)
    other = Host(tmp_path / "b")
    used(counter(other.state), 2000)  # wrong, and before us
    gc.collect()
    assert other.restore(*backup) == 1
    meter.highest = max(meter.highest, 2000)
    assert other.use(meter, 5)


def test_files_of_an_earlier_version_count_too(tmp_path: Path) -> None:
    host, meter = Host(tmp_path / "a"), Meter()
    host.use(meter, 5)
    (path,) = host.state.glob("counter-*.json")
    owner = path.stem.removeprefix("counter-")
    old = host.state / f"counter-House_1-{owner}.json"
    old.write_text(json.dumps({"next": 70_000}))
    written = time.time() - 3600
    os.utime(old, (written, written))
    counters, _ = copies.counters_in(host.state)
    assert counters[owner].number == 70_000
    assert counters[owner].written_s == pytest.approx(written, abs=2)


def test_a_file_that_tells_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "counter-0123456789abcdef.json").write_text("{")
    assert copies.counters_in(tmp_path) == ({}, ["counter-0123456789abcdef.json"])


def test_what_was_heard_of_meters_does_not_go_down(tmp_path: Path) -> None:
    name = f"heard-{'0' * 16}.log"
    (tmp_path / name).write_text(f"{'a' * 16} 9\n")
    copies.restore_file(tmp_path, name, f"{'a' * 16} 5\n{'b' * 16} 7\n".encode(), same=True)
    assert (tmp_path / name).read_text().split() == ["a" * 16, "9", "b" * 16, "7"]
    path = tmp_path / PUSHED_FILE
    sender, other = "a" * 24, "b" * 24
    path.write_text(json.dumps({"highest": {sender: 9}}))
    copies.restore_file(
        tmp_path, path.name, json.dumps({"highest": {sender: 5, other: 3}}).encode(), same=True
    )
    assert json.loads(path.read_text()) == {"highest": {sender: 9, other: 3}}


@pytest.mark.parametrize(
    ("name", "ours"),
    [("names-x-1.json", True), ("pushed-counters.json", True), ("../names-x.json", False),
     ("tenure.json", False), ("installation.json", False), ("counter-1.json", False),
     ("names-\0.json", False)],
)  # fmt: skip
def test_which_files_may_be_restored(name: str, ours: bool) -> None:
    assert copies.is_ours(name) is ours


@pytest.mark.parametrize("written", ["1e999", "9" * 400, '"yesterday"', "null"])
def test_a_counter_of_no_time_is_refused(written: str) -> None:
    content = f'{{"0123456789abcdef": {{"number": 1, "written_s": {written}}}}}'
    with pytest.raises(ValueError, match=r"counter|float"):
        copies.of_json(content.encode())
