"""Invocation counters: never given out twice in the life of a key, whatever crashes.

A file holds the first number that is not reserved yet. Numbers are reserved a hundred at
a time, on the disk before the first of them is used; after a crash the rest of them is
skipped. Whoever shares the folder reserves different numbers, and goes on behind those that
another reserved meanwhile, since a meter takes none lower than the last. The file's name comes
from device, system title and a hash of the key: a new key begins anew, and a device goes on at
least where files of others with its key and title are, since it may have been called so.
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

#: From here on there is time left to change the key, but it has to be done.
WARN_AT = 2_000_000_000

_MARGIN = 100
#: Neither a public client's reply nor an exception is authenticated: whoever forges one
#: with a huge number would wear the key out, at once or little by little. No meter in use is
#: that far ahead, nor gets there by jumps while we run.
_LARGEST_JUMP = 100_000_000

_DOING = "keeping the invocation counter"
_LOG = logging.getLogger(__name__)


class InvocationCounter:
    """The invocation counter of one key, kept in a file, or in memory where there is none.

    `known` is false until it is certain where to go on: then `counter_reading.catch_up`,
    or `learn`.
    `heard` is the highest number that the meter used; it is not kept on disk.
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
        """`name` is the meter's; `must_read` if the meter can tell where to begin.

        `first` is where to begin at least.
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
        """Give out the next number.

        Raises RefusedError where none is left, where it is unknown which are, or where
        it cannot be kept.
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
        """Take over what the meter's own counter object says; never goes back."""
        self._raise(min(last_used + 1, LAST))
        self.known = True

    def resync(self, value: int) -> None:
        """Go on from the number that the meter asked for in an exception; never goes back.

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
        """Note that the meter took a number."""
        self._resynced = self._doubted = False
        self._accepted = True

    def doubt(self) -> None:
        """Note a failure that a counter behind the meter's would explain.

        The counter is to be read again, at most once until something succeeds. Where the
        meter took our latest number, the counter was not the cause.
        """
        if self._must_read and not self._doubted and not self._accepted:
            self._doubted = True
            self.known = False

    @property
    def _overtaken(self) -> bool:
        """Whether others reserved after us: what is left of ours is too low for the meter."""
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
        """Say why it is unknown where to go on."""
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
        """Say what lets counting begin anew."""
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
        """Put the numbers ahead on the disk; others may have taken some meanwhile."""
        if self._path is None:
            self._reserved = LAST
            return
        try:
            with counter_files.locked(self._path):
                self._next = max(self._next, counter_files.read(self._path) or 0)
                reserved = min(self._next + self._margin, LAST)
                write(self._path, {"device": self._name, "next": reserved})
                self._reserved = reserved  # not before: what is not on the disk is not ours
                self._stamp = counter_files.stamp(self._path)
        except OSError as error:
            raise _not_kept(self._path, error) from error


def counter_of(
    device: Device, directory: Path | None, log: logging.Logger = _LOG
) -> InvocationCounter | None:
    """Return a device's counter, kept in a folder; None if it needs none.

    That is without keys, and where each association counts anew. Where there is no folder,
    the meter has to tell where to go on: numbers that nobody remembers would come again.
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
