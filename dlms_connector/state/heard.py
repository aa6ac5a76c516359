"""The invocation counters of the meters, as far as they were heard with one key.

A reply with a lower number was recorded earlier and is played back; over a restart too. A line
of the file is a hash that stands for a meter, and its number. It is written before the first
request of an association, so that an association that was recorded as a whole is refused, and
after that every `STEP` numbers: a crash loses at most so many.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from dlms_connector.errors import StateBusyError
from dlms_connector.state import private_files
from dlms_connector.state.outage import Outage
from dlms_connector.state.private_files import create_or_open, put_aside

#: The names of these files in the folder of the state.
FILES = "heard-*.log"
#: Numbers of one meter that a crash may lose.
STEP = 50
_MOST = 16 * 1024 * 1024
#: More lines than these, and twice as many as meters: the file is written anew.
_LINES = 2000
_LINE = re.compile(rb"([0-9a-f]{16}) ([0-9]{1,10})")
#: A file is there all the same if the process or the system has no descriptor or memory left.
_FOR_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Heard:
    """What was heard of meters with one key; used by threads. Without a path in memory only."""

    def __init__(self, name: str, path: Path | None, log: logging.Logger) -> None:
        """`name` is a meter's, for the log."""
        self._name, self._path, self._log = name, path, log
        self._io, self._memory = Lock(), Lock()
        self._highest: dict[bytes, int] = {}
        self._stored: dict[bytes, int] = {}
        self._loaded = path is None
        #: Why the file is not read yet.
        self._hindrance = "it takes too long"
        #: Lines of the file, as far as they are known here.
        self._lines = 0
        self._outage = Outage(f"{name}: what is heard of the meter's counter", log)

    def highest(self, meter: bytes, *, wait: bool = True) -> int:
        """Return the highest number of a meter, -1 before the first.

        Raises StateBusyError if the file is not read yet, and shall not be waited for.
        """
        if not self._loaded:
            if wait:
                self.store()
            if not self._loaded:
                raise StateBusyError("reading what was heard of the meter", self._hindrance)
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
                if self._loaded:
                    self._append(self._path)
                    self._shorten(self._path)
            except (OSError, ValueError) as error:
                self._outage.failed(error)
            else:
                if self._loaded:
                    self._outage.worked()

    def _load(self, path: Path) -> None:
        """Read the file, unless that cannot be done just now."""
        content = b""
        try:
            content = private_files.read(path, _MOST)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _FOR_NOW:
                self._hindrance = str(error)
                return
            self._set_aside(path, str(error))
        found, odd = _parse(content)
        with self._memory:
            for meter, number in found.items():
                self._highest[meter] = max(number, self._highest.get(meter, -1))
            self._stored = {} if odd else found
        self._lines = 0 if odd else content.count(b"\n")
        if odd:
            self._set_aside(path, "it has lines that make no sense")
        self._loaded = True

    def _append(self, path: Path) -> None:
        with self._memory:
            new = {
                meter: number
                for meter, number in self._highest.items()
                if meter not in self._stored or number >= self._stored[meter] + STEP
            }
            self._stored.update(new)  # before it is written: what is noted meanwhile is news
        if not new:
            return
        try:
            _append(path, new)
        except OSError:
            with self._memory:
                for meter in new:
                    self._stored.pop(meter, None)
            raise
        self._lines += len(new)

    def _shorten(self, path: Path) -> None:
        """Write the file anew if it is long, without the numbers that count no more.

        What another process writes in this moment is lost, until the meter answers again.
        """
        if self._lines <= max(_LINES, 2 * len(self._highest)):
            return
        found, _ = _parse(private_files.read(path, _MOST))
        private_files.write_octets(path, _lines(found))
        self._lines = len(found)

    def _set_aside(self, path: Path, why: str) -> None:
        aside = put_aside(path)
        self._log.warning(
            "%s: %s cannot be read: %s; it %s. A reply that was recorded earlier cannot be told "
            "from a new one until the meter has answered once", self._name, path.name, why,
            f"is kept as {aside.name}" if aside else "stays",
        )  # fmt: skip


def join(path: Path, content: bytes) -> None:
    """Add the numbers of another file of the same key, where they are higher. Raises OSError."""
    try:
        known, _ = _parse(private_files.read(path, _MOST))
    except (OSError, ValueError):
        known = {}  # it is told where it is used
    found, _ = _parse(content)
    if higher := {meter: n for meter, n in found.items() if n > known.get(meter, -1)}:
        _append(path, higher)


def carry_over(before: Path, folder: Path) -> None:
    """Raise the numbers in a folder to those in the one that was in use before.

    Raises OSError, and ValueError for a file that is too large.
    """
    for path in before.glob(FILES):
        join(folder / path.name, private_files.read(path, _MOST))


def _parse(content: bytes) -> tuple[dict[bytes, int], bool]:
    """Return the highest numbers, and whether there are lines that make no sense."""
    highest: dict[bytes, int] = {}
    lines = content.splitlines()
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    for match in found:
        meter, number = bytes.fromhex(match[1].decode()), int(match[2])
        highest[meter] = max(number, highest.get(meter, -1))
    return highest, len(found) < len(lines)


def _lines(numbers: Mapping[bytes, int]) -> bytes:
    return "".join(f"{meter.hex()} {number}\n" for meter, number in numbers.items()).encode()


def _append(path: Path, numbers: Mapping[bytes, int]) -> None:
    private_files.make_folder(path.parent)
    lines = _lines(numbers)
    descriptor = create_or_open(path, os.O_APPEND)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            lines = b"\n" + lines  # behind what a crash or a full disk has cut off
        while lines:  # a disk that is nearly full takes a part, and that is no error
            lines = lines[os.write(descriptor, lines) :]
        os.fsync(descriptor)
        if not end:
            private_files.sync_names(path.parent)
    finally:
        os.close(descriptor)
