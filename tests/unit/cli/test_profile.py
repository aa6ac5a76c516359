"""`dlms-connector profile` against simulated meters."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import simplejson
from click.testing import CliRunner, Result

from dlms_connector.cli import main, profile_files
from dlms_connector.simulator import Endpoint, MeterOptions, simulate

LOAD = "1-0:99.1.0"
NOW = 1_790_000_000
_QUARTER_MS = 900_000


def entry(port: int, **more: Any) -> dict[str, Any]:
    connection = {"host": "127.0.0.1", "port": port, "timeoutMs": 5000, "retries": 0}
    return {"deviceName": "M", "connection": connection} | more


def put(folder: Path, *devices: dict[str, Any]) -> Path:
    file = folder / "dlms.json"
    file.write_text(json.dumps({"devices": devices}), "utf-8")
    return file


@asynccontextmanager
async def served(folder: Path, *faults: str, **keys: Any) -> AsyncIterator[tuple[Endpoint, Path]]:
    options = MeterOptions(profile_days=20, now=lambda: float(NOW), faults=faults)
    async with simulate([options]) as (server,):
        yield server, put(folder, entry(server.port, **keys))


async def run(file: Path, *arguments: str) -> Result:
    """Run the command in a thread: the simulated meters live in this one's loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["profile", str(file), *arguments])


def rows_of(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    told = simplejson.loads(result.stdout, use_decimal=True)
    assert told["complete"]
    rows: list[dict[str, Any]] = told["rows"]
    return rows


async def test_the_newest_rows_are_a_table(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, file):
        shown = await run(file, "--obis", LOAD, "--last", "4")
        rows = rows_of(await run(file, "--obis", LOAD, "--last", "4", "--json"))
    assert shown.exit_code == 0, shown.output
    assert "load_active_energy [Wh]" in shown.stdout
    assert len(rows) == 4
    for row in rows:
        assert row["time"] in shown.stdout
        assert datetime.fromisoformat(row["time"]).timestamp() * 1000 == row["ts"]
        assert str(row["values"]["load_active_energy"]) in shown.stdout


@pytest.mark.parametrize("faults", [(), ("no-range",), ("lost-rows=7",)])
async def test_many_rows_come_in_slices_and_none_is_missing(
    faults: tuple[str, ...], tmp_path: Path
) -> None:
    async with served(tmp_path, *faults) as (server, file):
        newest = rows_of(await run(file, "--obis", LOAD, "--last", "300", "--json"))
        first, last = newest[0]["time"], newest[-1]["time"]
        ranged = rows_of(await run(file, "--obis", LOAD, "--from", first, "--to", last, "--json"))
        open_end = rows_of(await run(file, "--obis", LOAD, "--from", first, "--json"))
        assert server.meter.seen["get"] > 3
    assert len(newest) == 300
    assert ranged == newest[:-1]
    assert open_end == newest
    if not faults:
        assert {b["ts"] - a["ts"] for a, b in pairwise(newest)} == {_QUARTER_MS}


async def test_times_are_in_the_zone_of_the_meter(tmp_path: Path) -> None:
    keys = {"dlms": {"timeZone": "America/Bogota"}}
    async with served(tmp_path, **keys) as (_, file):
        (row,) = rows_of(
            await run(
                file, "--obis", LOAD, "--from", "2026-09-20T05:00", "--to", "2026-09-20T05:15",
                "--json",
            )
        )  # fmt: skip
    assert row["time"] == "2026-09-20T05:00:00-05:00"


async def test_values_are_as_sent_and_exact_in_every_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = [{"obis": "1-0:1.8.0", "key": "energy", "unit": "kWh"}]
    names = [tmp_path / name for name in ("rows.csv", "rows.parquet", "rows.png", "rows.svg")]
    async with served(tmp_path, profiles=[{"obis": LOAD, "columns": columns}]) as (_, file):
        result = await run(
            file, "--last", "50", "--csv", str(names[0]), "--parquet", str(names[1]),
            "--plot", str(names[2]), "--json",
        )  # fmt: skip
        drawn = await run(file, "--last", "5", "--plot", str(names[3]))
    rows = rows_of(result)
    exact = [Decimal(row["values"]["energy"]) for row in rows]
    assert len(exact) == 50
    with names[0].open(encoding="utf-8") as lines:
        written = list(csv.DictReader(lines))
    assert [Decimal(line["energy [kWh]"]) for line in written] == exact
    assert [int(line["ts"]) for line in written] == [row["ts"] for row in rows]
    table = parquet.read_table(names[1])
    assert [Decimal(value) for value in table["energy"].to_pylist()] == exact
    assert table.schema.field("energy").metadata[b"unit"] == b"kWh"
    assert table["ts"].to_pylist()[0] == datetime.fromtimestamp(rows[0]["ts"] / 1000, timezone.utc)
    assert names[2].read_bytes().startswith(b"\x89PNG")
    assert drawn.exit_code == 0, drawn.output
    assert "<svg" in names[3].read_text("utf-8")


async def test_a_chart_for_each_column_with_numbers(tmp_path: Path) -> None:
    pytest.importorskip("plotext")
    async with served(tmp_path) as (_, file):
        result = await run(file, "--obis", LOAD, "--last", "40", "--chart")
    assert result.exit_code == 0, result.output
    assert "load_active_energy [Wh]" in result.stdout
    assert "\x1b" not in result.stdout
    assert "load_status" not in result.stdout


async def test_an_end_by_the_user_keeps_what_was_read(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    async with served(tmp_path, "delay=0.2") as (server, file):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dlms_connector", "profile", str(file), "--obis", LOAD,
            "--last", "100000", "--csv", str(target),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            await asyncio.wait_for(_until_asked(server, process), 60)
            process.send_signal(signal.SIGINT)
            _, told = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 130, told
    assert b"interrupted: " in told
    assert b"Traceback" not in told
    with target.open(encoding="utf-8") as lines:
        instants = [int(line["ts"]) for line in csv.DictReader(lines)]
    assert len(instants) >= 24
    assert {b - a for a, b in pairwise(instants)} == {_QUARTER_MS}


async def _until_asked(server: Endpoint, process: asyncio.subprocess.Process) -> None:
    while server.meter.seen["by-range"] < 3:
        assert process.returncode is None
        await asyncio.sleep(0.02)


async def test_the_frames_are_traced_without_secrets(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, file):
        result = await run(
            file, "--obis", "1-0:99.1.0", "--last", "2", "--trace", str(tmp_path / "frames.txt")
        )
    assert result.exit_code == 0, result.output
    text = (tmp_path / "frames.txt").read_text()
    assert "AARQ" in text
    assert "1-0:99.1.0" in text
    assert "the trace ends" in text
    assert (tmp_path / "frames.pcapng").stat().st_size > 1000
    assert "frames.pcapng" in result.stderr


async def test_a_range_beyond_what_the_meter_holds_is_empty(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, file):
        result = await run(file, "--obis", LOAD, "--from", "2020-01-01", "--to", "2020-02-01")
        turned = await run(file, "--obis", LOAD, "--from", "2026-02-01", "--to", "2026-01-01")
        unknown = await run(file, "--obis", "1-0:99.77.0", "--last", "3")
    assert result.exit_code == 0, result.output
    assert "has no such rows" in result.stderr
    assert turned.exit_code == 2
    assert "the range ends before it begins" in turned.stderr
    assert unknown.exit_code == 1
    assert "error: " in unknown.stderr
    assert "Traceback" not in unknown.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--obis", LOAD, "--from", "yesterday"), "'yesterday' is not a day or a moment"),
        (("--obis", LOAD, "--from", "2026-01-01", "--last", "3"), "exclude each other"),
        (("--obis", LOAD, "--to", "2026-01-01"), "--to needs --from"),
        (("--obis", "99"), "'99' is not an OBIS code"),
        ((), "say which; configured of M: none"),
        (("--device", "X", "--obis", LOAD), "no device is called 'X'; there are: M"),
        (("--obis", LOAD, "--csv", "none/there/x.csv"), "there is no folder"),
        (("--obis", LOAD, "--plot", "x.gif"), "must end with .png, .svg, .pdf"),
    ],
)
async def test_mistakes_are_told(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    result = await run(put(tmp_path, entry(1)), *options)
    assert result.exit_code == 2
    assert words in result.stderr


async def test_what_is_not_installed_is_told_before_the_meter_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_files, "find_spec", lambda name: None)
    result = await run(put(tmp_path, entry(1)), "--obis", LOAD, "--parquet", "x.parquet")
    assert result.exit_code == 2
    assert "thingsboard-dlms-connector[parquet]" in result.stderr.replace("\n", " ")


async def test_a_meter_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = await run(put(tmp_path, entry(1)), "--obis", LOAD)
    assert result.exit_code == 1
    assert "M, 1-0:99.1.0: 0 rows were read" in result.stderr
    assert "error: cannot connect" in result.stderr
    assert "Traceback" not in result.output
