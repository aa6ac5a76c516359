"""The invocation counters of pushed APDUs: the highest one by sender and key, over restarts.

An APDU with a number that is not higher was recorded earlier and is played back. The file is
written soon after a number has come (`store`), as a whole: a crash forgets what came since the
last time, and only a replay of just that would be taken once more.
"""

from __future__ import annotations

import logging
import re
from hashlib import sha256
from pathlib import Path
from threading import Lock

from dlms_connector.state import private_files
from dlms_connector.state.private_files import put_aside

_LOG = logging.getLogger(__name__)

#: The name of the file in the folder of the state.
FILE = "pushed-counters.json"
#: Senders that are remembered. A sender is noted after it has proved that it has the key.
_MOST_SENDERS = 200_000
_MOST_OCTETS = 64 * _MOST_SENDERS
_NUMBER = range(1 << 32)
#: What a file is that could not be read: it is read again before it is written.
_UNREAD = (-1, -1)
#: Connectors of one gateway share the folder and its files.
_WRITING = Lock()
_SENDER = re.compile(r"[0-9a-f]{24}")


class PushedCounters:
    """The highest numbers; without a path in memory only. Used by threads."""

    def __init__(self, path: Path | None, log: logging.Logger) -> None:
        self._path, self._log = path, log
        self._highest: dict[str, int] = {}
        self._memory = Lock()
        self._changed = self._complained = self._unread = False
        #: What the file was when it was read or written here: others may write it too.
        self._seen: tuple[int, int] | None = None

    @property
    def changed(self) -> bool:
        """Whether there is something to store."""
        return self._changed

    @staticmethod
    def sender(title: bytes, key: bytes) -> str:
        """Return what stands for a sender and its key; the key cannot be computed from it."""
        return sha256(b"pushed" + bytes(title) + bytes(key)).hexdigest()[:24]

    def highest(self, sender: str) -> int:
        """Return the highest number of a sender; -1 before the first."""
        return self._highest.get(sender, -1)

    def note(self, sender: str, number: int) -> None:
        """Note a number that was verified; a lower one changes nothing."""
        with self._memory:
            if number <= self._highest.get(sender, -1):
                return
            self._highest.pop(sender, None)  # the last one that spoke is forgotten last
            if len(self._highest) >= _MOST_SENDERS:
                del self._highest[next(iter(self._highest))]
            self._highest[sender] = number
            self._changed = True

    def load(self) -> None:
        """Read the file; never raises. Call it before the first number is compared."""
        if self._path is None:
            return
        self._seen = _state_of(self._path)
        try:
            found = private_files.load(self._path, _MOST_OCTETS)
            highest = {
                sender: number
                for sender, number in found["highest"].items()
                if _SENDER.fullmatch(sender) and type(number) is int and number in _NUMBER
            }
            whole = len(highest) == len(found["highest"])
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(f"cannot be read: {error}")
            if not self._unread:  # perhaps for a moment only
                self._unread, self._changed, self._seen = True, True, _UNREAD
                return
            highest, whole = {}, False
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            highest, whole = {}, False
            self._complain(f"cannot be read: {error}")
        if not whole:
            put_aside(self._path)
            self._complain("has entries that make no sense, and is kept aside")
        self._unread = False
        with self._memory:
            for sender, number in highest.items():
                self._highest[sender] = max(number, self._highest.get(sender, -1))
            self._changed = self._changed or not whole

    def store(self) -> None:
        """Write the file if there is something new; never raises."""
        with _WRITING:
            if self._path is None or not self._changed:
                return
            if _state_of(self._path) != self._seen:
                self.load()  # a command beside the gateway has written it
                if self._unread:
                    return  # what it has written must not be lost: the next time
            with self._memory:
                highest, self._changed = dict(self._highest), False
            try:
                private_files.make_folder(self._path.parent)
                private_files.write(self._path, {"highest": highest})
                self._seen = _state_of(self._path)
            except OSError as error:
                self._changed = True
                self._complain(f"cannot be written: {error}")

    def store_in(self, path: Path) -> None:
        """Write these numbers into another file, beside those that are there."""
        if self._highest:
            other = PushedCounters(path, self._log)
            other.load()
            for sender, number in self._highest.items():
                other.note(sender, number)
            other.store()

    def _complain(self, problem: str) -> None:
        if not self._complained and self._path is not None:
            self._complained = True
            self._log.warning(
                "%s %s; a pushed message that was recorded before a restart cannot be told from a "
                "new one until its meter has pushed once", self._path.name, problem,
            )  # fmt: skip


def carry_over(before: Path, folder: Path) -> None:
    """Raise the numbers in a folder to those in the one that was in use before."""
    earlier = PushedCounters(before / FILE, _LOG)
    earlier.load()
    earlier.store_in(folder / FILE)


def _state_of(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever the file is written; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
