"""A port that runs out of file descriptors waits, says so once, and goes on."""

from __future__ import annotations

import asyncio
import errno
import logging
import subprocess
import sys

import pytest

from dlms_connector.simulator.serving.accepting import Shortage

_PROGRAM = """
import asyncio, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from dlms_connector.simulator import MeterOptions, simulate

async def main():
    async with simulate([MeterOptions(serial=n + 1) for n in range(4)]) as endpoints:
        filling = []
        try:
            while True:
                filling.append(os.dup(2))
        except OSError:
            pass
        print(*(endpoint.port for endpoint in endpoints), flush=True)
        loop = asyncio.get_running_loop()
        line = await loop.run_in_executor(None, sys.stdin.readline)
        for each in filling:
            os.close(each)
        await loop.run_in_executor(None, sys.stdin.readline)

asyncio.run(main())
"""


def test_a_shortage_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    shortage = Shortage(quiet_s=60)
    trouble = OSError(errno.EMFILE, "Too many open files")
    for second in range(100):
        shortage.tell(trouble, 1000.0 + second)
    assert len(caplog.messages) == 1
    shortage.tell(trouble, 2000.0)
    assert len(caplog.messages) == 2
    assert caplog.records[0].levelno == logging.WARNING


async def test_calls_wait_while_there_is_no_descriptor() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    ports = [int(each) for each in (await process.stdout.readline()).split()]
    calls = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
    told = await process.stderr.readline()
    assert b"calls have to wait: Too many open files" in told
    process.stdin.write(b"free\n")
    for reader, writer in calls:
        writer.write(b"no frame at all")
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 60)  # it was taken, and ended by the meter
        writer.close()
    process.stdin.write(b"end\n")
    await asyncio.wait_for(process.wait(), 60)
    assert await process.stderr.read() == b"", "told once"
    assert process.returncode == 0
