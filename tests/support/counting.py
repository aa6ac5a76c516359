"""Processes that take invocation counters from one folder and are killed: a program of its own.

`python -m tests.support.counting FOLDER KILLS SEED` prints what they took, in JSON: lists, one for
each process that lived. Forking is quick here, because nothing else runs in this process.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import NoReturn

from dlms_connector.config import Device, Dlms, Secret
from dlms_connector.errors import DlmsError
from dlms_connector.state import counter_of

_AT_ONCE = 3
_LONGEST_LIFE_S = 0.05
_PORTION = 1 << 16


def device() -> Device:
    """Return the device whose numbers are taken."""
    dlms = {
        "security": "AUTHENTICATION_ENCRYPTION",
        "system_title": b"GWAABBCC",
        "block_cipher_key": Secret(bytes(range(16))),
        "authentication_key": Secret(bytes(range(16))),
    }
    return Device.model_validate(
        {"device_name": "M", "connection": {"host": "h"}, "dlms": Dlms.model_validate(dlms)}
    )


def _live(folder: Path, told: int, rng: Random) -> NoReturn:
    """Take numbers for ever, and tell each that was given out."""
    if rng.random() < 0.3:  # the disk is full, at some octet
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        room = rng.randrange(0, 150)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    one = counter_of(device(), folder)
    assert one is not None
    while True:
        with suppress(DlmsError):
            os.write(told, b"%d\n" % one.next())


class _Process:
    """A process and what it has told."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.heard, told = os.pipe()
        seed = rng.random()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.heard)
            _live(folder, told, Random(seed))
        os.close(told)
        self.taken = b""
        self.dies_at = time.monotonic() + rng.random() * _LONGEST_LIFE_S

    def listen(self) -> None:
        """Take what it tells until its time has come, then kill it."""
        while (left := self.dies_at - time.monotonic()) > 0:
            if select.select([self.heard], [], [], left)[0]:
                self.taken += os.read(self.heard, _PORTION)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        while more := os.read(self.heard, _PORTION):
            self.taken += more
        os.close(self.heard)

    def numbers(self) -> list[int]:
        """Return the numbers that it told as a whole."""
        return [int(line) for line in self.taken.split(b"\n")[:-1]]


def lives(folder: Path, kills: int, seed: int) -> Iterator[list[int]]:
    """Yield the numbers of each process; some live at the same time."""
    rng = Random(seed)
    running = [_Process(folder, rng) for _ in range(_AT_ONCE)]
    for number in range(kills):
        first = running.pop(0)
        first.listen()
        yield first.numbers()
        if number < kills - _AT_ONCE:
            running.append(_Process(folder, rng))


if __name__ == "__main__":
    taken = lives(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(list(taken)))
