"""The host of a gateway's process in the hands of a test: its clock, and the disk of its state."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

#: What is run first in such a process.
_FIRST = Path(__file__).with_name("host_in_hand")
_CHUNK = bytes(4096)


class Host:
    """Give `environment` to the process, and `folder` as that of its state."""

    def __init__(self, folder: Path, *, kilobytes: int = 0, full: bool = False) -> None:
        """Have a clock that is right and, with `kilobytes`, a disk; `full` leaves no room on it."""
        self.folder = folder / "state"
        self.folder.mkdir()
        self._clock = folder / "clock"
        self._off_s = 0.0
        self.move_clock(0)
        environment = {"PYTHONPATH": str(_FIRST), "HOST_CLOCK": str(self._clock)}
        if kilobytes:
            environment["HOST_DISK"] = f"{self.folder}:{kilobytes}:{'full' if full else ''}"
        self.environment: Mapping[str, str] = environment

    def move_clock(self, by_s: float) -> None:
        """Let the clock jump, and stay so much further off."""
        self._off_s += by_s
        packed = struct.pack("<q", int(self._off_s * 1e9))
        if not self._clock.exists():
            self._clock.write_bytes(packed)
        with self._clock.open("r+b", buffering=0) as file:  # the process has it in its memory
            file.write(packed)

    def fill(self, pid: int) -> None:
        """Leave no room on the disk of the process."""
        with self._ballast(pid).open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(_CHUNK)

    def make_room(self, pid: int) -> None:
        """Take away what fills the disk of the process."""
        self._ballast(pid).unlink()

    def _ballast(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root{self.folder}/ballast")


def gives_disks(folder: Path) -> bool:
    """Whether this machine lets a process have a disk of its own, as containers may not."""
    host = Host(folder, kilobytes=64)
    command = [sys.executable, "-c", ""]
    done = subprocess.run(command, env=host.environment, capture_output=True, check=False)
    return not done.stderr
