"""`dlms-connector demo` as a user runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.support.site import watch

DEMO = (sys.executable, "-m", "dlms_connector", "demo", "--meters", "2")


async def start(folder: Path, *options: str) -> asyncio.subprocess.Process:
    """Run the demo in a group of processes of its own, with a folder for what is temporary."""
    return await asyncio.create_subprocess_exec(
        *(*DEMO, *options),
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


def assert_nothing_is_left(process: asyncio.subprocess.Process, folder: Path) -> None:
    members = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and group_of(entry) == process.pid
    ]
    assert members == []
    assert list(folder.iterdir()) == []


def log_of(folder: Path) -> str:
    """Return what the gateway of a demo printed so far."""
    return "".join(path.read_text() for path in folder.glob("*/output.log"))


def group_of(entry: Path) -> int:
    """Return the process group; 0 of a process that is gone, or a zombie nobody waits for."""
    try:
        state, _, group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if state == "Z" else int(group)


async def test_it_shows_values_of_all_meters_and_cleans_up(tmp_path: Path) -> None:
    process = await start(tmp_path, "--seconds", "8")
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    text = output.decode()
    assert process.returncode == 0, text
    for shown in ("DLMS-Meter-01", "DLMS-Meter-02", "135.19", "kWh", "1 MQTT session"):
        assert shown in text, text
    assert_nothing_is_left(process, tmp_path)


async def test_it_ends_at_ctrl_c(tmp_path: Path) -> None:
    process = await start(tmp_path)
    assert process.stdout is not None
    assert b"simulated meters" in await asyncio.wait_for(process.stdout.readline(), 30)
    await watch(lambda: "Gateway started" in log_of(tmp_path))
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert b"Traceback" not in output, output.decode()
    assert_nothing_is_left(process, tmp_path)
