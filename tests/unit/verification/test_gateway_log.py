"""The gateway's log: what it names, and what it says of the last hour."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from dlms_connector.verification.gateway_log import files_of, news, read_log

NOW = datetime(2026, 3, 1, 12, 0, 0)
CLOSED = "|WARNING| tb_connection | MQTT client was disconnected by server with reason code 142 (x)"


def test_closed_sessions_of_the_last_hour() -> None:
    lines = [
        f"2026-03-01 10:59:00.123 {CLOSED}",
        f"2026-03-01 11:30:00.123 {CLOSED}",
        "2026-03-01 11:31:00 - WARNING - MQTT Disconnected unexpectedly: code 7",
        f"2026-03-01 11:32:00.123 {CLOSED.replace('by server', 'by client')}",
    ]
    assert news(lines, [], NOW) == (2, {})


def test_a_meter_that_fell_silent_and_one_that_is_back() -> None:
    lines = [
        "2026-03-01 11:00:00.1 |INFO| DLMS | 3 meters are polled, 0 refused (version 1.0.0)",
        "2026-03-01 11:10:00.1 |WARNING| DLMS | A: reading: no complete reply within 7 s",
        "2026-03-01 11:10:00.1 |WARNING| DLMS | B: cannot connect to tcp://h:1",
        "2026-03-01 11:11:00.1 |WARNING| DLMS | C: voltage_l1: data-access-result 4",
        "2026-03-01 11:12:00.1 |INFO| DLMS | B: answering again after 2 min and 9 failed polls",
    ]
    _, silent = news(lines, ["A", "B", "C"], NOW)
    assert silent == {"A": "reading: no complete reply within 7 s"}


def test_a_start_ends_what_was_before() -> None:
    lines = ["|WARNING| A: silent", "|INFO| 1 meters are polled, 0 refused (version 1.0.0)"]
    assert news(lines, ["A"], NOW) == (0, {})


def test_names_that_are_parts_of_others() -> None:
    assert news(["|WARNING| x | A 1: silent"], ["1", "A 1"], NOW)[1] == {"A 1": "silent"}


def test_files(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/connector.log").write_text("x\n")
    (tmp_path / "out.log").write_text("y\n")
    handlers = {
        "a": {"filename": "./logs/connector.log"},
        "b": {"filename": "./logs/gone.log"},
        "c": {"stream": "ext://sys.stdout"},
    }
    (tmp_path / "logs.json").write_text(json.dumps({"handlers": handlers}))
    found = files_of(tmp_path, tmp_path, [str(tmp_path / "out.log"), "socket:[1]", "/dev/null"])
    assert sorted(path.name for path in found) == ["connector.log", "out.log"]


def test_no_log(tmp_path: Path) -> None:
    assert files_of(tmp_path, None, []) == []
    assert read_log([], ["A"], NOW) is None


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    with path.open("w") as file:
        file.write("|WARNING| A: silent\n")
        file.write("x" * 99 + "\n" * 1 + ("y" * 99 + "\n") * 45_000)
        file.write("|WARNING| B: silent\n")
    found = read_log([path], ["A", "B"], NOW)
    assert found is not None
    assert found.silent == {"B": "silent"}
