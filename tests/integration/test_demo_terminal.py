"""`dlms-connector demo` at a terminal, and in trouble."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

#: Ample: a demo that hangs must fail, a slow machine must not.
WITHIN_S = 40.0


class Output:
    """What a process prints, through a terminal's other end."""

    def __init__(self, descriptor: int) -> None:
        self.text = ""
        self.ended = False
        self._news = asyncio.Event()
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # how a terminal ends
            data = b""
        if not data:
            self.close()
        self.text += data.decode(errors="replace")
        self._news.set()

    def close(self) -> None:
        """Close the descriptor."""
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)

    async def until(self, pattern: str) -> str:
        """Wait for a pattern and return its first group."""
        end = asyncio.get_running_loop().time() + WITHIN_S
        while not (found := re.search(pattern, self.text)):
            left = end - asyncio.get_running_loop().time()
            assert not self.ended, self.text[-3000:]
            assert left > 0, self.text[-3000:]
            self._news.clear()
            await asyncio.wait([asyncio.ensure_future(self._news.wait())], timeout=left)
        return found[1]


@asynccontextmanager
async def demo(
    folder: Path, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Output]]:
    """Run a demo whose temporary files are in a folder, which must be empty afterwards."""
    ours, its = pty.openpty()
    output = Output(ours)
    variables = {"TMPDIR": str(folder), "TERM": "xterm", "COLUMNS": "110", "LINES": "30"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", "demo", *arguments),
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    try:
        yield process, output
        await asyncio.wait_for(process.wait(), WITHIN_S)
        assert entries(folder) == [], "nothing is left behind"
    finally:
        await end(process)
        output.close()


async def end(process: asyncio.subprocess.Process) -> None:
    """End a demo that a failed test left running, politely: its gateway is its to end."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), WITHIN_S)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_told_to_terminate_it_leaves_nothing_behind(tmp_path: Path) -> None:
    async with demo(tmp_path, "--meters", "1") as (process, output):
        pid = int(await output.until(r"gateway process (\d+)"))
        process.terminate()
        await output.until("(all 1 meters arrived|not everything arrived of DLMS-Meter-01)")
        assert await process.wait() in (0, 1)
    assert not alive(pid)


async def test_a_table_is_kept_up_to_date_until_ctrl_c(tmp_path: Path) -> None:
    async with demo(tmp_path, "--meters", "1") as (process, output):
        pid = int(await output.until(r"gateway process (\d+)"))
        await output.until(r"1 MQTT session · (1 of 1 meter) online")
        await output.until(r"│ DLMS-Meter-01 +│ active_energy +│ +(\d+\.\d+) +│ kWh")
        process.send_signal(signal.SIGINT)
        await output.until("(the values of all 1 meters arrived)")
        assert await process.wait() == 0
    assert not alive(pid)


async def test_a_gateway_that_dies_is_a_failure_and_its_log_is_shown(tmp_path: Path) -> None:
    async with demo(tmp_path, "--meters", "1") as (process, output):
        os.kill(int(await output.until(r"gateway process (\d+)")), signal.SIGKILL)
        await output.until("(the gateway process ended by itself)")
        await output.until("(the end of the gateway's log:)")
        assert await process.wait() == 1


async def test_too_little_time_is_a_failure(tmp_path: Path) -> None:
    async with demo(tmp_path, "--meters", "200", "--seconds", "1") as (process, output):
        await output.until("(not everything arrived of DLMS-Meter-)")
        assert await process.wait() == 1
