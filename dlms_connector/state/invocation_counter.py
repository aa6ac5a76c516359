"""Invocation counters: no number is used twice with the same key, even after a crash.

A file holds the first number that is not reserved yet. Numbers are reserved a hundred at a
time (more where they are used up within a minute), on the disk before the first of them is
used; after a crash the rest of them is skipped. Processes that share the folder reserve different
numbers. Each continues after the numbers that another reserved meanwhile, which is looked at with
the first talk in a second, since a meter accepts none lower than the last. The file's name comes
from our system title and a hash of the key: whoever uses them shares the numbers, and a new key
starts a new counter.

In an event loop, nothing here may wait for the disk:

    await counter.begin()             # before each talk
    … await counter.top_up()          # before each step of it
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from dlms_connector.errors import DlmsError, ProtocolError, RefusedError, StateBusyError
from dlms_connector.hints import Symptom
from dlms_connector.state.counter_files import LAST
from dlms_connector.state.heard import STEP, Heard
from dlms_connector.state.joint_numbers import JointNumbers
from dlms_connector.state.numbers import DOING, FIRST, MARGIN, Numbers, not_kept, refused
from dlms_connector.within import within

#: From this number on a warning is logged: there is still time to change the key.
WARN_AT = 2_000_000_000

#: Numbers that may be under way, or were lost on the way to the meter, when its counter is read.
_UNDER_WAY = 100
#: The same where another gateway counted before: it may have tried for hours to reach the meter.
_FAR_UNDER_WAY = 10_000
#: Replies to a public client and exceptions are not authenticated: an attacker could forge one
#: with a huge number to use up the key, at once or step by step. No real meter is that far
#: ahead, or gets there by jumps while we run.
_LARGEST_JUMP = 100_000_000

#: How long an event loop waits for the disk, for one talk of one meter.
_PATIENCE_S = 2.0
#: What takes longer than this is slow.
_SLOW_S = 0.5
#: Talks that begin so soon after one need not look at the files again. A talk of this length, in
#: which they are not looked at either, is nothing special.
_FRESH_S = 1.0
#: Threads that wait for disks and locks: so many that a few hanging ones stop no other meter.
_THREADS = ThreadPoolExecutor(32, "dlms-state")

_LOG = logging.getLogger(__name__)


class InvocationCounter:
    """One meter's view of the numbers of its key, and of what the meter itself counts.

    While `known` is false, the next number is not certain: call `counter_reading.catch_up`,
    or `learn`.
    """

    def __init__(
        self,
        name: str,
        path: Path | None = None,
        *,
        must_read: bool = False,
        first: int = 1,
        margin: int = MARGIN,
        log: logging.Logger = _LOG,
        numbers: JointNumbers | None = None,
        heard: Heard | None = None,
        marks: Sequence[str] = ("",),
        why_not: DlmsError | None = None,
    ) -> None:
        """`name` is the meter's; with `must_read` the first number is read from the meter.

        `first` is the lowest number to begin with. With `numbers`, `path` is not used. `marks` tell
        the meter from others with the same key and title. With `why_not`, no number is given out.
        """
        if numbers is None:
            own = Numbers(name, path, first=lambda: first, margin=margin, log=log)
            numbers = JointNumbers([own])
        self._numbers = numbers
        #: The last title that was asked for, and the names under which its numbers are kept.
        self._hashed: tuple[bytes, tuple[bytes, ...]] | None = None
        self._heard, self._marks = heard or Heard(name, None, log), tuple(marks)
        self._name, self._log, self._why_not = name, log, why_not
        self._must_read = must_read
        self._known: bool | None = None
        self._begun = False
        self._resynced: int | None = None  # the number that the meter asked for last
        self._doubted = self._accepted = self._warned = False
        self._jumped = 0
        #: A slow disk is not asked again before this time, so that others get their turn.
        self._rest_until = 0.0
        #: Until when the files need not be looked at, and the numbers heard since they were.
        self._fresh_until, self._unstored = 0.0, 0
        #: Where the numbers were before the meter told its counter, until one is used.
        self._before: int | None = None

    @property
    def known(self) -> bool:
        """Whether the next number is certain."""
        if self._known is None and self._numbers.try_open():
            own = self._numbers.own
            kept = all(each.kept for each in own)
            self._begun = self._begun or kept
            countable = all(each.countable for each in own)
            self._known = countable and (kept or not self._must_read)
        return bool(self._known) or self._why_not is not None

    def is_fresh(self, now: float) -> bool:
        """Whether `begin` has nothing to do at this time of the loop's clock."""
        if now < self._fresh_until and self._known and not self._numbers.is_low:
            return True
        return self._why_not is not None or now < self._rest_until

    async def begin(self) -> None:
        """Get ready for a talk, in a thread: read the files, reserve numbers, store what was heard.

        Returns at once if this was done a moment ago, and nothing must be stored. Never raises:
        what is in the way is raised where a number is needed.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        if self.is_fresh(start):
            return
        self._fresh_until, self._unstored = start + _FRESH_S, 0
        if not await self._aside(self._prepare) or self._numbers.hindered:
            self._fresh_until = 0.0
        if (took_s := loop.time() - start) > _SLOW_S:
            self._rest_until = start + 2 * took_s

    async def top_up(self) -> None:
        """Get ready for the next step of a talk; returns at once in most cases."""
        for _ in range(3):
            if not self.is_short:
                return
            if self._numbers.hindered:
                return
            await self._aside(self._prepare)

    @property
    def is_short(self) -> bool:
        """Whether `top_up` has something to do."""
        return bool(self._known) and self._numbers.is_low and self._why_not is None

    def next(self) -> int:
        """Return the next number.

        Raises RefusedError if none is left, if the next number is unknown, or if it cannot
        be stored; StateBusyError if that takes too long.
        """
        if self._why_not is not None:
            raise self._why_not
        if not self.known:
            raise self._unknown()
        try:
            number = self._numbers.take()
        except RefusedError:
            self._disbelieve()
            raise
        self._warn(number)
        self._begun, self._accepted, self._before = True, False, None
        return number

    def learn(self, last_used: int) -> None:
        """Continue after the value of the meter's own counter object; never goes back."""
        self.known  # noqa: B018 - reads the files: where they tell more, that counts
        value = last_used + 1
        margin = self._under_way
        if not self._begun and value + margin < LAST:
            value += margin
        before = self._numbers.peek()
        self._raise(min(value, LAST))
        self._before = None if self._begun else before
        self._numbers.resolve()
        self._known = True

    @property
    def _under_way(self) -> int:
        """How many numbers may have been used beyond the one that the meter tells."""
        if any(each.shared and each.unsure for each in self._numbers.own):
            return FIRST  # with other meters, of which this one knows nothing
        elsewhere = any(each.elsewhere for each in self._numbers.own)
        return _FAR_UNDER_WAY if elsewhere else _UNDER_WAY

    def resync(self, value: int) -> None:
        """Continue at the number that the meter asked for in an exception; never goes back.

        Raises RefusedError the second time, unless something succeeded in between.
        """
        if self._resynced is not None:
            same = value == self._resynced
            raise refused(
                f"the meter asks for {value} although the counter was raised for it before",
                Symptom.COUNTER_ASKED_ALWAYS if same else Symptom.COUNTER_SHARED,
            )
        self._resynced = value
        self._raise(value)

    def confirm(self) -> None:
        """Note that the meter accepted a number."""
        self._resynced, self._doubted = None, False
        self._accepted = True

    def doubt(self) -> None:
        """Note a failure that a too low counter would explain.

        The counter is read again, at most once until something succeeds. If the meter
        accepted our latest number, the counter was not the cause.
        """
        if self._must_read and not self._doubted and not self._accepted:
            self._doubted = True
            self._known = False

    def heard(self, title: bytes) -> int:
        """Return the highest number that a meter used with our key; -1 before the first."""
        wait = not self._numbers.own[0].managed
        return max([self._heard.highest(each, wait=wait) for each in self._meters(title)])

    def hear(self, title: bytes, number: int, *, opening: bool) -> None:
        """Note the number of an authenticated reply; `opening`: the first of an association."""
        for each in self._meters(title):
            self._heard.note(each, number, opening=opening)
        self._unstored += 1
        if opening or self._unstored >= STEP:
            self._fresh_until = 0.0  # it must be on the disk before the next request

    def _meters(self, title: bytes) -> tuple[bytes, ...]:
        if self._hashed is None or self._hashed[0] != title:
            hashes = (sha256(title + mark.encode()).digest()[:8] for mark in self._marks)
            self._hashed = title, tuple(hashes)
        return self._hashed[1]

    def _prepare(self) -> None:
        self._heard.store()
        self._numbers.open()
        if self.known:
            self._numbers.prepare()

    async def _aside(self, job: Callable[[], None]) -> bool:
        """Do what waits for the disk in a thread; return whether it was done in time."""
        loop = asyncio.get_running_loop()
        self._numbers.look_around()
        try:
            await within(_PATIENCE_S, loop.run_in_executor(_THREADS, job))
        except asyncio.TimeoutError:
            self._numbers.blocked(StateBusyError(DOING, f"no answer within {_PATIENCE_S:g} s"))
            return False
        return True

    def _raise(self, value: int) -> None:
        if not 0 <= value <= LAST:
            raise ProtocolError(DOING, f"{value} is no invocation counter")
        lowest = self._numbers.peek()
        jump = max(0, value - lowest)
        if self._begun:
            if self._jumped + jump > _LARGEST_JUMP:
                raise refused(
                    f"a jump from {lowest} to {value} is not believed: what the public client "
                    "reads and what an exception says is not authenticated, so it may be forged",
                    Symptom.COUNTER_LEAPS,
                )
            self._jumped += jump
        self._numbers.raise_to(value)

    def _disbelieve(self) -> None:
        """Forget a number that the meter told, if none could be used: it may have been forged."""
        if self._before is not None:
            self._numbers.unraise(self._before)
            self._before, self._known = None, False

    def _unknown(self) -> DlmsError:
        """Return the error that tells why the next number is unknown."""
        for each in self._numbers.own:
            if each.path is not None and each.fault is not None:
                return not_kept(each.path, each.fault)
            if not each.opened:
                return StateBusyError(DOING, "its file was not read in time")
        if any(each.elsewhere for each in self._numbers.own):
            return refused(
                "another gateway may have counted since",
                Symptom.COUNTER_UNKNOWN,
                remedy=_HOW_TO_GO_ON,
            )
        path = next((each.path for each in self._numbers.own if not each.kept), None)
        remedy = _how_to_go_on(path)
        problem = "it is unknown where to go on"
        return refused(problem, Symptom.COUNTER_UNKNOWN, remedy=remedy)

    def _warn(self, number: int) -> None:
        if number >= WARN_AT and not self._warned:
            self._warned = True
            self._log.warning(
                "%s: invocation counter at %d of %d: change the keys before it ends",
                self._name, number, LAST,
            )  # fmt: skip


_HOW_TO_GO_ON = "set dlms.invocationCounter so that it is read from the meter"


def _how_to_go_on(path: Path | None) -> str:
    hint = _HOW_TO_GO_ON
    if path is None:
        return f"{hint}, or set stateDirectory to a folder where it can be kept"
    return (
        f"{hint}; if the meter shows none, change its keys, or write a number that was certainly "
        f'never used, with this key by any gateway, to {path.name} in stateDirectory: {{"next": …}}'
    )
