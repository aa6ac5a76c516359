"""`dlms-connector simulate` as a user runs it, and the configuration that it prints for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlms_connector.cli.read import read_once
from dlms_connector.cli.simulate import command
from dlms_connector.config.loading import load
from dlms_connector.config.model import Device
from dlms_connector.meter.outcome import Outcome
from tests.support.peers import free_port

#: Ample: what hangs must fail, a slow machine must not.
WITHIN_S = 60.0


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command until it says that it serves; a failed test ends it by force."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", "simulate", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"serving; Ctrl-C stops" not in said:
            line = await asyncio.wait_for(process.stdout.readline(), WITHIN_S)
            said += line
            assert line, said.decode()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    "arguments",
    [
        "--hold",
        "--shared --meters 128",
        "--authentication HIGH_GMAC --referencing SN",
        "--authentication HIGH_ECDSA --suite 2 --security AUTHENTICATION_ENCRYPTION",
        "--udp --password hex:00",
        "--profile microstar --password ${secret}",
    ],
)
async def test_what_it_prints_reads_what_it_serves(arguments: str, tmp_path: Path) -> None:
    options = [*arguments.split(), "--port", str(free_port())]
    printed = CliRunner().invoke(command, [*options, "--print-config"])
    loaded = load(json.loads(printed.output), base=tmp_path)
    assert loaded.every_problem == ()
    outcomes: dict[str, Outcome] = {}

    def done(device: Device, outcome: Outcome) -> None:
        outcomes[device.device_name] = outcome

    async with serving(*options):
        await read_once(loaded.configuration.devices, done, state_dir=tmp_path)
    assert len(outcomes) == len(loaded.configuration.devices)
    for name, outcome in outcomes.items():
        assert outcome.error is None, (name, outcome.error)
        assert outcome.poll.failures == ()
        assert len(outcome.poll.readings) >= 5


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_when_told_to(how: signal.Signals) -> None:
    async with serving("--port", "0", "--meters", "500") as process:
        process.send_signal(how)
        output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
        assert output.decode() == "stopped\n"
        assert process.returncode == 0


async def test_it_ends_without_a_word_when_nobody_reads_on() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", "simulate", "--port", "0"),
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, errors = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert (process.returncode, errors) == (1, b"")
