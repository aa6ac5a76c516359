"""The invocation counters of the meters, as far as they were heard with one key.

A reply with a lower number was recorded earlier and is played back; over a restart too. A line
of the file is a hash that stands for a meter, and its number. It is written before the first
request of an association, so that an association that was recorded as a whole is refused, and
after that every `STEP` numbers: a crash loses at most so many.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from dlms_connector.errors import StateBusyError
from dlms_connector.state import private_files
from dlms_connector.state.private_files import create_or_open, put_aside

#: Numbers of one meter that a crash may lose.
STEP = 50
_MOST = 16 * 1024 * 1024
#: More lines than these, and twice as many as meters: the file is written anew.
_LINES = 2000
_LINE = re.compile(rb"([0-9a-f]{16}) ([0-9]{1,10})")


class Heard:
    """What was heard of meters with one key; used by threads. Without a path in memory only."""

    def __init__(self, name: str, path: Path | None, log: logging.Logger) -> None:
        """`name` is a meter's, for the log."""
        self._name, self._path, self._log = name, path, log
        self._io, self._memory = Lock(), Lock()
        self._highest: dict[bytes, int] = {}
        self._stored: dict[bytes, int] = {}
        self._loaded = path is None
        self._complained = False

    def highest(self, meter: bytes, *, wait: bool = True) -> int:
        """Return the highest number of a meter, -1 before the first.

        Raises StateBusyError if the file is not read yet, and shall not be waited for.
        """
        if not self._loaded:
            if not wait:
                raise StateBusyError("reading what was heard of the meter", "it takes too long")
            self.store()
        return self._highest.get(meter, -1)

    def note(self, meter: bytes, number: int, *, opening: bool = False) -> None:
        """Note a number; `store` writes it to the disk, without delay if `opening`."""
        with self._memory:
            self._highest[meter] = max(number, self._highest.get(meter, -1))
            if opening:
                self._stored.pop(meter, None)

    def store(self) -> None:
        """Read the file once, and write what is new; never raises."""
        if self._path is None:
            return
        with self._io:
            try:
                if not self._loaded:
                    self._load(self._path)
                self._append(self._path)
            except OSError as error:
                self._complain(error)

    def _load(self, path: Path) -> None:
        self._loaded = True
        try:
            lines = private_files.read(path, _MOST).splitlines()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._set_aside(path, str(error))
            return
        found = [match for line in lines if (match := _LINE.fullmatch(line))]
        with self._memory:
            for match in found:
                meter, number = bytes.fromhex(match[1].decode()), int(match[2])
                self._highest[meter] = max(number, self._highest.get(meter, -1))
            self._stored = dict(self._highest)
        if len(found) < len(lines):
            self._set_aside(path, "it has lines that make no sense")
            self._stored = {}
        elif len(lines) > max(_LINES, 2 * len(self._highest)):
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            self._write(new, self._stored)
            new.replace(path)

    def _append(self, path: Path) -> None:
        with self._memory:
            new = {
                meter: number
                for meter, number in self._highest.items()
                if meter not in self._stored or number >= self._stored[meter] + STEP
            }
        if not new:
            return
        self._write(path, new)
        with self._memory:
            self._stored.update(new)

    @staticmethod
    def _write(path: Path, numbers: Mapping[bytes, int]) -> None:
        private_files.make_folder(path.parent)
        lines = "".join(f"{meter.hex()} {number}\n" for meter, number in numbers.items()).encode()
        descriptor = create_or_open(path, os.O_APPEND)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                lines = b"\n" + lines  # behind what a crash or a full disk has cut off
            while lines:  # a disk that is nearly full takes a part, and that is no error
                lines = lines[os.write(descriptor, lines) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _set_aside(self, path: Path, why: str) -> None:
        aside = put_aside(path)
        self._log.warning(
            "%s: %s cannot be read: %s; it %s. A reply that was recorded earlier cannot be told "
            "from a new one until the meter has answered once", self._name, path.name, why,
            f"is kept as {aside.name}" if aside else "stays",
        )  # fmt: skip

    def _complain(self, error: OSError) -> None:
        if not self._complained and self._path is not None:
            self._complained = True
            self._log.warning(
                "%s: what is heard of the meter's counter is not kept over a restart: %s",
                self._name, error,
            )  # fmt: skip
