"""`dlms-connector demo` as a user runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.site import watch

DEMO = (sys.executable, "-m", "dlms_connector", "demo", "--meters", "2")
#: How many time series these meters have.
VALUES = 10
#: Ample: a demo that hangs must fail, a slow machine must not.
WITHIN_S = 60.0


async def start(folder: Path, *options: str) -> asyncio.subprocess.Process:
    """Run the demo with a folder of its own for what is temporary."""
    return await asyncio.create_subprocess_exec(
        *(*DEMO, *options),
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def assert_nothing_is_left(folder: Path) -> None:
    assert processes(folder) == []
    assert list(folder.iterdir()) == []


def processes(folder: Path) -> list[str]:
    """Return what runs with this folder for its temporary files, whoever started it."""
    mark = f"TMPDIR={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is nobody's any more
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def log_of(folder: Path) -> str:
    """Return what the gateway of a demo printed so far."""
    return "".join(path.read_text() for path in folder.glob("*/output.log"))


async def test_it_shows_values_of_all_meters_and_cleans_up(tmp_path: Path) -> None:
    process = await start(tmp_path, "--seconds", "60")
    assert process.stdout is not None
    text = ""
    for _ in range(1 + VALUES):
        text += (await asyncio.wait_for(process.stdout.readline(), WITHIN_S)).decode()
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    text += output.decode()
    assert process.returncode == 0, text
    assert "the values of all 2 meters arrived" in text
    for shown in ("DLMS-Meter-01", "DLMS-Meter-02", "135.19", "kWh", "1 MQTT session"):
        assert shown in text, text
    assert_nothing_is_left(tmp_path)


async def test_it_ends_at_ctrl_c(tmp_path: Path) -> None:
    process = await start(tmp_path)
    assert process.stdout is not None
    assert b"simulated meters" in await asyncio.wait_for(process.stdout.readline(), WITHIN_S)
    await watch(lambda: "Gateway started" in log_of(tmp_path))
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert b"Traceback" not in output, output.decode()
    assert_nothing_is_left(tmp_path)


async def test_the_gateway_ends_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    process = await start(tmp_path)
    await watch(lambda: "Gateway started" in log_of(tmp_path))
    assert len(processes(tmp_path)) == 2
    process.kill()
    await process.communicate()
    await watch(lambda: not processes(tmp_path))
