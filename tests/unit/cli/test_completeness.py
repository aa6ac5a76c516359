"""`dlms-connector completeness` reads what a gateway has recorded."""

from __future__ import annotations

import csv
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.obis import Obis
from dlms_connector.records import DAY_MS, Entry, Records, Slice, Source

_Q = 900_000
_LOAD = Source("M1", Obis.parse("1-0:99.1.0"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    profile = {"obis": "1-0:99.1.0"}
    devices = [
        {"deviceName": name, "connection": {"host": "192.0.2.1"}, "profiles": [profile]}
        for name in ("M1", "M2")
    ]
    content = {"stateDirectory": str(tmp_path / "state"), "devices": devices}
    file = tmp_path / "dlms.json"
    file.write_text(json.dumps(content), "utf-8")
    return file


def _run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["completeness", str(file), *options])


def _record(folder: Path, confirmed: int) -> tuple[Records, int]:
    """Record the day before yesterday; return its start."""
    start = (int(time.time()) // 86_400 - 2) * DAY_MS
    records = Records.open(folder / "state" / "records.sqlite", logging.getLogger(__name__))
    rows = tuple(start + at * _Q for at in range(96))
    kept = records.keep(
        Slice(_LOAD, 900, start, start + DAY_MS, rows),
        [Entry(_LOAD, "type", at, {"key": 1}) for at in rows],
    )
    records.confirmed(entry.number for entry in kept[:confirmed])
    return records, start


def _day(start: int, days: int = 0) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(start / 1000 + days * 86_400))


def test_days_are_shown_beside_a_running_gateway(file: Path, tmp_path: Path) -> None:
    records, start = _record(tmp_path, 95)
    until = ("--to", _day(start, 1))
    shown = _run(file, "--device", "M1", *until)
    assert shown.exit_code == 1
    assert _day(start) in shown.output
    assert "1 unconfirmed" in shown.output
    records.confirmed(entry.number for entry in records.pending())
    assert _run(file, "--device", "M1", *until).exit_code == 0
    records.close()
    done = _run(file, "--device", "M1", "--json", *until)
    assert done.exit_code == 0
    (day,) = json.loads(done.output)
    assert day == {
        "device": "M1", "profile": "1-0:99.1.0", "day": _day(start), "expected": 96,
        "held": 96, "sent": 96, "confirmed": 96, "missing": {},
    }  # fmt: skip


def test_nothing_is_complete_where_a_device_is_refused(file: Path, tmp_path: Path) -> None:
    records, start = _record(tmp_path, 96)
    records.close()
    content = json.loads(file.read_text())
    content["devices"][1]["connection"] = {"hots": "192.0.2.1"}
    file.write_text(json.dumps(content))
    until = ("--to", _day(start, 1))
    every = _run(file, *until)
    assert every.exit_code == 2
    assert "devices[1].connection.host: required" in every.stderr
    assert _day(start) in every.stdout
    assert _run(file, "--device", "M1", *until).exit_code == 0
    refused = _run(file, "--device", "M2", *until)
    assert refused.exit_code == 2
    assert "devices[1].connection.host: required" in refused.stderr


def test_whole_days_up_to_today_are_the_default(file: Path, tmp_path: Path) -> None:
    records, start = _record(tmp_path, 96)
    records.close()
    days = json.loads(_run(file, "--device", "M1", "--json").output)
    assert days[0]["day"] == _day(start)
    assert days[1]["missing"] == {"not read yet": 96}


def test_days_go_into_a_file(file: Path, tmp_path: Path) -> None:
    records, start = _record(tmp_path, 90)
    records.close()
    target = tmp_path / "days.csv"
    shown = _run(file, "--csv", str(target), "--from", _day(start), "--to", _day(start, 1))
    assert shown.exit_code == 1
    with target.open(encoding="utf-8") as lines:
        first, second = csv.DictReader(lines)
    assert (first["device"], first["confirmed"], first["unconfirmed"]) == ("M1", "90", "6")
    assert (second["device"], second["day"]) == ("M2", None)


def test_a_profile_of_which_nothing_was_read_is_a_gap(file: Path, tmp_path: Path) -> None:
    records, _ = _record(tmp_path, 96)
    records.close()
    shown = _run(file, "--device", "M2")
    assert shown.exit_code == 1
    assert "nothing was read yet" in shown.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 1, "there are none; has the gateway read a profile yet?"),
        (("--device", "M9"), 2, "no device is called 'M9'; there are: M1, M2"),
    ],
)
def test_mistakes_are_told(file: Path, options: Any, code: int, words: str) -> None:
    shown = _run(file, *options)
    assert shown.exit_code == code
    assert words in shown.output


def test_a_moment_that_is_none_is_told(file: Path, tmp_path: Path) -> None:
    _record(tmp_path, 96)[0].close()
    shown = _run(file, "--from", "yesterday")
    assert shown.exit_code == 2
    assert "'yesterday' is not a day or a moment" in shown.output


def test_a_range_that_ends_before_it_begins_is_told(file: Path, tmp_path: Path) -> None:
    _record(tmp_path, 96)[0].close()
    shown = _run(file, "--from", "2026-05-02", "--to", "2026-05-01")
    assert shown.exit_code == 2
    assert "it is not before the end" in shown.output


def test_the_first_day_is_shown_as_far_as_it_is(file: Path, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    begin = now // 3_600_000 * 3_600_000
    records = Records.open(tmp_path / "state" / "records.sqlite", logging.getLogger(__name__))
    part = Slice(_LOAD, 900, begin, begin + _Q, (begin,))
    records.keep(part, [Entry(_LOAD, "type", begin, {"key": 1})])
    records.close()
    (day,) = json.loads(_run(file, "--device", "M1", "--json").output)
    assert day["held"] == 1
