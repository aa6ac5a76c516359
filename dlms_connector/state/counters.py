"""Invocation counters: no number is used twice with the same key, even after a crash.

A file holds the first number that is not reserved yet. Numbers are reserved a hundred at a
time, on the disk before the first of them is used; after a crash the rest of them is skipped.
Processes that share the folder reserve different numbers. Each continues after the numbers that
another reserved meanwhile, since a meter accepts none lower than the last. The file's name
comes from device, system title and a hash of the key: a new key starts a new counter. A device
starts at least where files with the same key and title are, since it may have been renamed.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from dlms_connector.config import Device
from dlms_connector.errors import ProtocolError, RefusedError
from dlms_connector.protocol.security import needs_keys
from dlms_connector.state import counter_files
from dlms_connector.state.counter_files import LAST
from dlms_connector.state.private_files import write

#: From this number on a warning is logged: there is still time to change the key.
WARN_AT = 2_000_000_000

_MARGIN = 100
#: Replies to a public client and exceptions are not authenticated: an attacker could forge one
#: with a huge number to use up the key, at once or step by step. No real meter is that far
#: ahead, or gets there by jumps while we run.
_LARGEST_JUMP = 100_000_000

_DOING = "keeping the invocation counter"
_LOG = logging.getLogger(__name__)


class InvocationCounter:
    """The invocation counter of one key, stored in a file, or in memory without one.

    While `known` is false, the next number is not certain: call `counter_reading.catch_up`,
    or `learn`.
    `heard` is the highest number that the meter used; it is not stored on disk.
    """

    def __init__(
        self,
        name: str,
        path: Path | None = None,
        *,
        must_read: bool = False,
        first: int = 1,
        margin: int = _MARGIN,
        log: logging.Logger = _LOG,
    ) -> None:
        """`name` is the meter's; with `must_read` the first number is read from the meter.

        `first` is the lowest number to begin with.
        """
        self._name, self._path, self._margin, self._log = name, path, margin, log
        self._must_read = must_read
        self._reserved = counter_files.reads(path)
        self._next = max(self._reserved or 0, first)
        self._begun = self._reserved is not None
        self.known = self._begun or (not must_read and not counter_files.exists(path))
        self._resynced = self._doubted = self._accepted = self._warned = False
        self._jumped = 0
        self._stamp: tuple[int, int] | None = None
        self.heard = -1

    def next(self) -> int:
        """Return the next number.

        Raises RefusedError if none is left, if the next number is unknown, or if it cannot
        be stored.
        """
        if not self.known:
            raise self._unknown()
        if self._reserved is None or self._next >= self._reserved or self._overtaken:
            self._reserve()
        if self._next >= LAST:
            raise _refused(f"{self._next} is the last one", "change the meter's keys")
        self._warn()
        self._begun, self._accepted = True, False
        self._next += 1
        return self._next - 1

    def learn(self, last_used: int) -> None:
        """Continue after the value of the meter's own counter object; never goes back."""
        self._raise(min(last_used + 1, LAST))
        self.known = True

    def resync(self, value: int) -> None:
        """Continue at the number that the meter asked for in an exception; never goes back.

        Raises RefusedError the second time, unless something succeeded in between.
        """
        if self._resynced:
            raise _refused(
                f"the meter asks for {value} although the counter was raised for it before",
                "another client may be using the same system title and key",
            )
        self._resynced = True
        self._raise(value)

    def confirm(self) -> None:
        """Note that the meter accepted a number."""
        self._resynced = self._doubted = False
        self._accepted = True

    def doubt(self) -> None:
        """Note a failure that a too low counter would explain.

        The counter is read again, at most once until something succeeds. If the meter
        accepted our latest number, the counter was not the cause.
        """
        if self._must_read and not self._doubted and not self._accepted:
            self._doubted = True
            self.known = False

    @property
    def _overtaken(self) -> bool:
        """Whether another process reserved after us: the rest of our numbers is then too low."""
        return self._path is not None and counter_files.stamp(self._path) != self._stamp

    def _raise(self, value: int) -> None:
        if not 0 <= value <= LAST:
            raise ProtocolError(_DOING, f"{value} is no invocation counter")
        jump = max(0, value - self._next)
        if self._begun:
            if self._jumped + jump > _LARGEST_JUMP:
                raise _refused(
                    f"a jump from {self._next} to {value} is not believed",
                    f"if the meter really is that far, {self._begin_anew()}",
                )
            self._jumped += jump
        self._next += jump

    def _unknown(self) -> RefusedError:
        """Return the error that tells why the next number is unknown."""
        if self._path is not None:
            try:
                counter_files.read(self._path)
            except OSError as error:
                return _not_kept(self._path, error)
        return _refused(
            "it is unknown where to go on",
            "set dlms.invocationCounter so that it is read from the meter, or "
            f"{self._begin_anew()}",
        )

    def _begin_anew(self) -> str:
        """Return a hint on how to start counting again."""
        if self._path is None:
            return "set stateDirectory to a folder where it can be kept"
        return f"delete {self._path.name} in stateDirectory"

    def _warn(self) -> None:
        if self._next >= WARN_AT and not self._warned:
            self._warned = True
            self._log.warning(
                "%s: invocation counter at %d of %d: change the keys before it ends",
                self._name, self._next, LAST,
            )  # fmt: skip

    def _reserve(self) -> None:
        """Reserve the next numbers on the disk; other processes may have taken some meanwhile."""
        if self._path is None:
            self._reserved = LAST
            return
        try:
            with counter_files.locked(self._path):
                self._next = max(self._next, counter_files.read(self._path) or 0)
                reserved = min(self._next + self._margin, LAST)
                write(self._path, {"device": self._name, "next": reserved})
                self._reserved = reserved  # only now: numbers are ours once they are on the disk
                self._stamp = counter_files.stamp(self._path)
        except OSError as error:
            raise _not_kept(self._path, error) from error


def counter_of(
    device: Device, directory: Path | None, log: logging.Logger = _LOG
) -> InvocationCounter | None:
    """Return a device's counter, stored in a folder; None if it needs none.

    It needs none without keys, or if each association counts from 1. Without a folder, the
    counter must be read from the meter: numbers that are not stored would be used again.
    """
    dlms = device.dlms
    if not needs_keys(dlms):
        return None
    if device.workarounds.counter_from_one:
        log.warning(
            "%s: workarounds.counterFromOne repeats numbers that ciphering needs to be unique: "
            "whoever records two associations can read them",
            device.device_name,
        )
        return None
    path, first = None, 1
    if directory is not None:
        key = hashlib.sha256(b"key fingerprint" + (dlms.block_cipher_key or b"")).digest()
        owner = hashlib.sha256((dlms.system_title or b"") + key)
        digest = hashlib.sha256(owner.digest() + device.device_name.encode()).hexdigest()[:16]
        readable = re.sub(r"[^A-Za-z0-9_-]", "_", device.device_name)[:40]
        path = directory / f"counter-{readable}-{digest}-{owner.hexdigest()[:16]}.json"
        first = counter_files.highest(directory, owner.hexdigest()[:16])
    must_read = path is None or dlms.invocation_counter is not None
    return InvocationCounter(device.device_name, path, must_read=must_read, first=first, log=log)


def _refused(problem: str, hint: str) -> RefusedError:
    error = RefusedError(_DOING, problem)
    error.hint = hint
    return error


def _not_kept(path: Path, error: OSError) -> RefusedError:
    return _refused(
        f"cannot keep it in {path.name}: {error.strerror}",
        "check room and rights of stateDirectory; a command is best run as the user that runs "
        "the gateway",
    )
