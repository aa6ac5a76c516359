"""The unused numbers of one key and system title, whoever takes them.

One object serves all meters of a process that share key and title, and is used by threads:
`prepare` reads and writes the disk, `take` needs the disk only if nobody prepared.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from secrets import randbelow
from threading import Lock

from dlms_connector.errors import DlmsError, RefusedError, StateBusyError, UnkeptError
from dlms_connector.hints import Symptom
from dlms_connector.state import counter_files
from dlms_connector.state.counter_files import LAST, Found, Kind
from dlms_connector.state.file_lock import WAIT_S
from dlms_connector.state.private_files import put_aside

#: Numbers that are reserved at a time, and how many more where they are used up fast: writing them
#: costs as much as many requests.
MARGIN = 100
_WIDEST = 8
_FAST_S = 60.0
#: So many numbers must be left before a step of a talk.
FEW = 8
#: Numbers that are skipped where files are a copy and the meter's counter cannot be read: more
#: than were used since, at most `PER_S` in a second.
FIRST = 1_000_000
PER_S = 20
#: And a random number below this: the same copy may be restored again, for example by a container
#: that fills its folder at each start, and must not lead to the same numbers again.
_SCATTER = 4_000_000
#: Where somebody has restored a backup by hand, these instead, and `FIRST` once. All backups of a
#: counter, and those of what went on from one, are then on one line over time: whichever is
#: restored last goes on beyond what was used before, so that the meter takes it. For that, to
#: restore several in turn, each a copy of what went on from the one before, may not skip more than
#: the first of them alone would skip now. So less is skipped than `RESTORED_PER_S` makes, by more
#: than twice what a start reserves; and at least `_AGAIN`, for a copy of some minutes ago.
RESTORED_PER_S = 2 * PER_S
_LESS, _AGAIN = 2_000, 10_000
#: A copy that is so old that the key would be used up: nothing is guessed then.
_LARGEST_SKIP = 100_000_000

DOING = "keeping the invocation counter"
_LOG = logging.getLogger(__name__)


class Numbers:
    """Gives out each number once; without a path they are in memory only."""

    def __init__(
        self,
        name: str,
        path: Path | None = None,
        *,
        margin: int = MARGIN,
        first: Callable[[], int] = lambda: 1,
        lost: Callable[[], bool] = lambda: False,
        tenure: Callable[[], str | None] = lambda: None,
        log: logging.Logger = _LOG,
    ) -> None:
        """`name` is a meter's, for the log. The others are asked when files are read.

        `first` returns the lowest number to begin with, `lost` whether files were lost, so that
        a missing one may have existed, `tenure` since when no other gateway counts.
        """
        self.path = path
        self._name, self._margin, self._log = name, margin, log
        self._first, self._lost, self._tenure_now = first, lost, tenure
        self._tenure: str | None = None
        self._io, self._memory = Lock(), Lock()
        self._next, self._reserved = 1, 0
        #: How many margins were reserved last, and when, by the monotonic clock.
        self._width, self._reserved_at = 1, -inf
        self._stamp: tuple[int, int] | None = None
        #: Why the last `prepare` could reserve nothing.
        self._trouble: DlmsError | None = None
        #: Whether `prepare` is used, so that nothing else may wait for the disk.
        self.managed = False
        #: Why the files cannot be read.
        self.fault: OSError | None = None
        self._lease = 0
        #: Whether numbers were skipped since a file was a copy.
        self._skipped = False
        self._opened = False
        self._resolved = False
        #: Whether, when the files were first read, they told where to go on.
        self.kept = False
        #: Whether another gateway may have used numbers since the files were written.
        self.elsewhere = False
        #: Whether numbers may be used without reading the meter's counter.
        self.countable = path is None
        #: Whether that was not so when the files were first read.
        self.unsure = False
        #: Whether several meters use them.
        self.shared = False

    def open(self) -> bool:
        """Read the files once; false if they cannot be read, so that nothing is known."""
        if self.opened or self.path is None:
            return True
        with self._io:
            if self._opened:
                return True
            try:
                found = counter_files.look(self.path)
                older, lost, tenure = self._first(), self._lost(), self._tenure_now()
            except OSError as error:
                self.fault = error
                return False
            self.fault = None
            self._take_over(found, older, lost)
            self._tenure = tenure
            if tenure is not None and found.tenure != tenure:
                self.elsewhere, self.kept, self.countable = True, False, False
            self.unsure = not self.countable
            self._opened = True
            return True

    def serve(self, name: str) -> None:
        """Note a meter that uses them."""
        self.shared = self.shared or name != self._name

    @property
    def opened(self) -> bool:
        """Whether the files were read."""
        return self._opened or self.path is None

    def peek(self) -> int:
        """Return the lowest number that may come next."""
        return self._next

    def raise_to(self, value: int) -> None:
        """Skip all numbers below a value."""
        with self._memory:
            self._next = max(self._next, value)

    def resolve(self) -> None:
        """Note that the meter told its counter: what the files say of the past is no matter."""
        self._resolved = self.countable = True

    def unraise(self, value: int, raised: int) -> None:
        """Take back a `raise_to` after which no number was taken or reserved.

        Others may have reserved what lies between.
        """
        with self._memory:
            if self._next == raised and self._reserved <= raised:
                self._next = value

    def take(self, least: int = 0) -> int:
        """Return an unused number that is not below `least`. Raises RefusedError."""
        while True:
            with self._memory:
                self._next = max(self._next, least)
                if self._next >= LAST:
                    raise worn(self._next)
                if self._next < self._reserved and (self._lease > 0 or not self._overtaken):
                    self._lease -= 1
                    self._next += 1
                    return self._next - 1
                if self._trouble is not None:
                    raise self._trouble
                if self.managed:
                    raise StateBusyError(DOING, "numbers must be stored first", at_once=True)
            self._reserve()

    def prepare(self, least: int = 0) -> None:
        """Reserve numbers from `least` on for the steps to come, in a thread; never raises."""
        try:
            if not self.open():
                assert self.path is not None
                assert self.fault is not None
                raise not_kept(self.path, self.fault)
            self.raise_to(least)
            if self.is_low() or self._overtaken:
                self._reserve()
            trouble: DlmsError | None = None
        except DlmsError as error:
            trouble = error
        with self._memory:
            self._trouble = trouble
            self._lease = max(0, self._reserved - self._next)

    def blocked(self, error: DlmsError) -> None:
        """Note that a `prepare` has not come back."""
        self._trouble = error

    @property
    def hindered(self) -> bool:
        """Whether the last `prepare` could reserve nothing."""
        return self._trouble is not None

    def is_low(self, least: int = 0) -> bool:
        """Whether there are few numbers left from `least` on to take without the disk."""
        return self._reserved - max(self._next, least) < FEW

    @property
    def _overtaken(self) -> bool:
        """Whether another process reserved after us: the rest of our numbers is then too low."""
        return self.path is not None and counter_files.stamp(self.path) != self._stamp

    def _take_over(self, found: Found, older: int, lost: bool) -> None:
        number = max(found.number or 1, older)
        self.kept = found.kind is Kind.KEPT
        told = self.kept or older > 1 or found.number is not None
        self.countable = told or (found.kind is Kind.NEW and not lost)
        self._skipped = found.skipped or found.kind is Kind.TOUCHED
        if found.kind is Kind.TOUCHED:
            number += _skip(found)
            self.countable = number - (found.number or 0) <= _LARGEST_SKIP
        if found.kind is Kind.NEW and older > 1:
            self.kept = True  # files of an earlier version, with another name
        with self._memory:
            self._next = max(self._next, number)
        self._say(found)

    def _say(self, found: Found) -> None:
        if found.kind is Kind.TOUCHED and self.path is not None:
            self._log.warning(
                "%s: %s is a copy, or was changed by another program: numbers from %d on may have "
                "been used, so it goes on at %d or where the meter's counter is",
                self._name, self.path.name, found.number or 1, self._next,
            )  # fmt: skip

    def _reserve(self) -> None:
        """Reserve the next numbers on the disk; other processes may have taken some meanwhile."""
        if self.path is None:
            with self._memory:
                self._reserved = LAST
            return
        if not self._io.acquire(timeout=WAIT_S):
            raise _busy(self.path, "its disk does not answer")
        try:
            self._reserve_in(self.path)
        except TimeoutError as error:
            raise _busy(self.path, error.strerror or "no answer") from error
        except OSError as error:
            raise not_kept(self.path, error) from error
        finally:
            self._io.release()

    def _reserve_in(self, path: Path) -> None:
        with counter_files.locked(path) as lock:
            found = counter_files.look(path)
            base = found.number or 0
            if found.kind is Kind.TOUCHED and not self._resolved:
                base += _skip(found)
            self._skipped = self._skipped or found.skipped or found.kind is Kind.TOUCHED
            if found.kind is Kind.UNREADABLE:
                self._put_aside(path)
            with self._memory:
                start = max(self._reserved, self._next, base)
            if start >= LAST:
                raise worn(start)
            alone = base <= self._reserved
            self._width = self._next_width(alone=alone)
            reserved = min(start + self._margin * self._width, LAST)
            counter_files.keep(
                path, lock, reserved, self._name, self._tenure, skipped=self._skipped
            )
            with self._memory:
                if not alone:  # others were there: the rest of ours is too low
                    self._next = max(self._next, base)
                self._reserved = reserved  # only now: they are ours once they are on the disk
                self._reserved_at = time.monotonic()
                self._stamp = counter_files.stamp(path)
                self._resolved = False

    def _next_width(self, *, alone: bool) -> int:
        """Return how many margins to reserve: more where the last ones were used up at once.

        Where others take numbers too, what we have reserved is skipped each time: then one.
        """
        fast = time.monotonic() - self._reserved_at < _FAST_S
        return min(2 * self._width, _WIDEST) if alone and fast else 1

    def _put_aside(self, path: Path) -> None:
        aside = put_aside(path)
        self._log.warning(
            "%s: %s cannot be read as a counter; it %s, and begins anew with the number that the "
            "meter or the second file tells", self._name, path.name,
            f"is kept as {aside.name}" if aside else "is replaced",
        )  # fmt: skip


def unused(found: Found) -> int:
    """Return a number that was certainly not used: for a copy more than the one that it holds."""
    return (found.number or 0) + (_skip(found) if found.kind is Kind.TOUCHED else 0)


def _skip(found: Found) -> int:
    """Return more numbers than can have been used since a copy was made."""
    since_s = max(0.0, time.time() - found.written_s)
    if found.restored:
        since = max(_AGAIN, int(RESTORED_PER_S * since_s) - _LESS)
        return since if found.skipped else FIRST + since
    return FIRST + int(PER_S * since_s) + randbelow(_SCATTER)


def refused(problem: str, symptom: Symptom, **facts: object) -> RefusedError:
    """Return the error for a number that is not given out."""
    return RefusedError(DOING, problem).showing(symptom, **facts)


def worn(number: int) -> RefusedError:
    """Return the error for a key whose numbers are used up."""
    return refused(f"{number} is the last one", Symptom.KEY_WORN)


def not_kept(path: Path, error: OSError) -> UnkeptError:
    """Return the error for a number that cannot be stored."""
    return UnkeptError(DOING, f"cannot keep it in {path.name}: {error.strerror or error}")


def _busy(path: Path, why: str) -> StateBusyError:
    return StateBusyError(DOING, f"{path.name}: {why}")
