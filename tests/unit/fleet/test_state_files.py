"""Files of one meter that are spoilt, locked or slow cost that meter alone; no loop waits."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.errors import StateBusyError
from dlms_connector.fleet import Fleet
from dlms_connector.reading import Poll
from dlms_connector.simulator import Endpoint, MeterOptions, simulate
from dlms_connector.state import counter_of
from tests.unit.state.test_no_number_twice import SPOILT, counter, used

LOG = logging.getLogger("test.state_files")
SECURED: dict[str, Any] = {
    "framing": "WRAPPER", "client_address": 1, "security": "AUTHENTICATION_ENCRYPTION",
}  # fmt: skip
TITLES = {"Cellar": "4142430000000001", "Roof": "4142430000000002"}


def device(name: str, port: int, **dlms: Any) -> Device:
    options = MeterOptions(**SECURED)
    keys = {
        "interfaceType": "WRAPPER", "clientAddress": 1, "systemTitle": TITLES[name],
        "security": options.security, "blockCipherKey": options.block_cipher_key.hex(),
        "authenticationKey": options.authentication_key.hex(),
    }  # fmt: skip
    return Device.model_validate(
        {
            "deviceName": name,
            "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 1000, "retries": 0},
            "dlms": keys | dlms,
            "pollPeriod": 1000,
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
        }
    )


class Sink:
    """Notes whose values came, and whose errors."""

    def __init__(self) -> None:
        self.came: dict[str, asyncio.Event] = {name: asyncio.Event() for name in TITLES}
        self.failed: dict[str, asyncio.Event] = {name: asyncio.Event() for name in TITLES}

    def polled(self, device: Device, poll: Poll) -> None:
        if poll.readings:
            self.came[device.device_name].set()

    def state(self, device: Device, state: Any, error: Any) -> None:
        if error is not None:
            self.failed[device.device_name].set()

    def history(self, *slice_: object) -> None:
        pass


@asynccontextmanager
async def fleet_of(folder: Path, **dlms: Any) -> AsyncIterator[tuple[Sink, list[Endpoint]]]:
    sink = Sink()
    async with simulate([MeterOptions(**SECURED) for _ in TITLES]) as servers:
        devices = [
            device(name, server.port, **dlms) for name, server in zip(TITLES, servers, strict=True)
        ]
        running = asyncio.ensure_future(Fleet(devices, sink, LOG, state_dir=folder).run())
        try:
            yield sink, servers
        finally:
            running.cancel()
            await asyncio.wait({running})


def file_of(folder: Path, name: str, ending: str = "json") -> Path:
    """Return the counter's file of a meter, which has counted before."""
    made = counter_of(device(name, 1), folder)
    assert made is not None
    before = set(folder.glob("counter-*"))
    used(made)
    (path,) = {each for each in folder.glob(f"counter-*.{ending}") if each not in before}
    return path


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


async def comes(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 20)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_a_spoilt_file_stops_nobody(
    tmp_path: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(file_of(tmp_path, "Cellar"))
    async with fleet_of(tmp_path) as (sink, _):
        await comes(sink.came["Roof"])
        await comes(sink.came["Cellar"])
    told = [message for message in caplog.messages if "cannot be read" in message]
    assert len(told) == 1
    assert told[0].startswith("Cellar: ")


@pytest.mark.parametrize("ending", ["json", "lock"])
async def test_a_pipe_in_the_place_of_a_file_stops_its_meter_only(
    tmp_path: Path, ending: str
) -> None:
    path = file_of(tmp_path, "Cellar", ending)
    path.unlink()
    os.mkfifo(path)
    async with fleet_of(tmp_path) as (sink, _):
        await comes(sink.failed["Cellar"])
        await comes(sink.came["Roof"])
        assert not sink.came["Cellar"].is_set()


async def test_a_file_that_another_process_holds_stops_its_meter_only(tmp_path: Path) -> None:
    with file_of(tmp_path, "Cellar", "lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        async with fleet_of(tmp_path) as (sink, _):
            await comes(sink.came["Roof"])
            await comes(sink.failed["Cellar"])
            assert not sink.came["Cellar"].is_set()
            fcntl.flock(held, fcntl.LOCK_UN)
            await comes(sink.came["Cellar"])


async def test_the_loop_runs_while_a_lock_is_waited_for(tmp_path: Path) -> None:
    one = counter(tmp_path)
    used(one)
    (lock,) = files(tmp_path, "counter-*.lock")
    del one
    again = counter(tmp_path)
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = asyncio.ensure_future(again.begin())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        await waiting  # bounded, though the lock is still held
        with pytest.raises(StateBusyError, match="another process") as caught:
            again.next()
        assert "stateDirectory" in caught.value.hint
    again = counter(tmp_path)
    await again.begin()
    assert again.next()


async def test_a_long_talk_reserves_ahead_of_its_steps(tmp_path: Path) -> None:
    one = counter(tmp_path)
    await one.begin()
    numbers = []
    for _ in range(500):
        await one.top_up()
        numbers += [one.next(), one.next()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 1000


async def test_whoever_reads_or_stores_state_is_no_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the meter's counter is read, and where it asks for a higher one."""
    loops_thread, in_loop = threading.current_thread(), []

    def watched(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **keys: Any) -> Any:
            state = name != "open" or str(tmp_path) in str(args[0])
            if state and threading.current_thread() is loops_thread:
                in_loop.append((name, args))
            return real(*args, **keys)

        monkeypatch.setattr(module, name, call)

    for module, name in ((os, "open"), (os, "fsync"), (fcntl, "flock")):
        watched(module, name)
    async with fleet_of(tmp_path, invocationCounter="0-0:43.1.0") as (sink, servers):
        for event in sink.came.values():
            await comes(event)
        for server in servers:
            server.meter.received_counter += 5000  # another client has used the key
        for event in sink.came.values():
            event.clear()
            await comes(event)
    assert in_loop == []
    assert len(files(tmp_path, "counter-*.json")) == 2
    assert files(tmp_path, "heard-*.log")
