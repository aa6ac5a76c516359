"""Nothing is left behind by connectors that are opened and closed again and again.

`CYCLES=1000` in the environment makes it a long run.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from dlms_connector.connector import DLMSConnector
from tests.support.gateway import FakeGateway

_CYCLES = int(os.environ.get("CYCLES", "50"))
_SECONDS = 30.0


def _configuration(port: int) -> dict[str, Any]:
    keys = "000102030405060708090A0B0C0D0E0F"
    return {
        "id": "id-1",
        "name": "Meters",
        "journal": {},
        "platform": {"url": "http://127.0.0.1:9", "apiKey": "not shown"},
        "push": [
            {"type": "tcp", "host": "127.0.0.1", "port": port, "allow": ["127.0.0.0/8"]},
            {"type": "udp", "host": "127.0.0.1", "port": port, "allow": ["127.0.0.0/8"]},
        ],
        "devices": [
            {
                "deviceName": "Polled",
                "connection": {"type": "tcp", "host": "127.0.0.1", "port": 9},
                "timeseries": [{"key": "voltage_l1", "obis": "1-1:32.7.0"}],
                "profiles": [{"obis": "1-0:99.1.0"}],
            },
            {
                "deviceName": "Pushes",
                "connection": {"type": "push"},
                "dlms": {"security": "AUTHENTICATION_ENCRYPTION", "blockCipherKey": keys,
                         "authenticationKey": keys},
                "push": {"systemTitle": "4D4D4D0000000001"},
            },
        ],
    }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _left() -> tuple[int, ...]:
    """Return threads, open files and sockets, loggers with handlers, and tasks that go on."""
    loggers = [one for one in logging.Logger.manager.loggerDict.values()
               if isinstance(one, logging.Logger) and one.handlers]  # fmt: skip
    files = [*Path("/proc/self/fd").iterdir()]
    gc.collect()  # what nobody has any more goes when it is looked for
    tasks = [one for one in gc.get_objects() if type(one) is asyncio.Task and not one.done()]
    return threading.active_count(), len(files), len(loggers), len(tasks)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With history, a journal, an audit and listeners; closed at once, or a while later."""
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    gateway, port = FakeGateway(tmp_path), _free_port()
    gateway.connect()
    before: tuple[int, ...] = ()
    for cycle in range(_CYCLES):
        connector = DLMSConnector(gateway, _configuration(port), "dlms")
        connector.open()
        sleep((0.0, 0.05, 0.2)[cycle % 3])  # in the middle of anything
        connector.close()
        assert connector.is_stopped()
        if cycle == _CYCLES // 4:
            before = _settled()
    end = monotonic() + _SECONDS
    while any(now > then for now, then in zip(_left(), before, strict=True)):
        assert monotonic() < end, (before, _left(), threading.enumerate())
        sleep(0.2)
    assert (tmp_path / "data").exists() or list(tmp_path.rglob("records.sqlite"))


def _settled() -> tuple[int, ...]:
    """Return what is left when nothing changes any more."""
    last, since = _left(), monotonic()
    while monotonic() - since < 0.5:
        sleep(0.1)
        if (now := _left()) != last:
            last, since = now, monotonic()
    return last
