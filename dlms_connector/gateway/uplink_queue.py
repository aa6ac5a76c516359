"""A thread that runs slow jobs in order.

The gateway's `add_device` waits for the broker, and a user's own converter may take any time.
They must not block the loop in which meters are polled, nor each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from logging import Logger
from threading import Condition, Thread
from time import monotonic

Job = Callable[[], object]


def _nothing() -> None:
    """Do nothing."""


class UplinkQueue:
    """Runs jobs in order of arrival, and `idle`, if any, about every `idle_s()` seconds.

    Holds at most `limit` jobs, which may be set anew; then the oldest is dropped, as new readings
    matter more. `dropped` is called with the number of dropped jobs. When all is done, the thread
    takes nothing for `rest_s` seconds: to wake it costs as much as several jobs, so that those of
    many meters share that.
    """

    def __init__(
        self,
        log: Logger,
        *,
        idle: Job | None = None,
        limit: int = 10_000,
        idle_s: Callable[[], float] = lambda: 0.25,
        dropped: Callable[[int], None] = lambda count: None,
        rest_s: float = 0.0,
    ) -> None:
        self._rest_s = rest_s
        #: Whether a job was done since the last rest, and whether the thread rests.
        self._tired = self._resting = False
        self._idle, self._log, self._idle_s, self._dropped = idle, log, idle_s, dropped
        self._jobs: deque[tuple[Job, Job]] = deque()
        self.limit = limit
        self._wake = Condition()
        self._closing = False
        self._full = False
        self._complained: set[type[Exception]] = set()
        self._thread: Thread | None = None

    def start(self, name: str) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Job, lost: Job = _nothing) -> None:
        """Add a job; never blocks, never raises. `lost` is called if it is not done."""
        dropped = []
        with self._wake:
            if closing := self._closing:
                dropped.append(lost)
            else:
                while len(self._jobs) >= self.limit:
                    dropped.append(self._jobs.popleft()[1])
                self._jobs.append((job, lost))
                if not self._resting:
                    self._wake.notify()
        for tell in dropped:
            tell()
        if dropped and not closing:
            self._overflowed(len(dropped))

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._jobs)

    def close(self, within_s: float) -> bool:
        """Run the remaining jobs for at most `within_s` seconds; true if all were run.

        The others count as dropped.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        thread = self._thread
        if thread is not None:
            thread.join(within_s)
        with self._wake:
            left = [lost for _, lost in self._jobs]
            self._jobs.clear()
        for tell in left:
            tell()
        if left:
            self._dropped(len(left))
        return not left and not (thread is not None and thread.is_alive())

    def _overflowed(self, lost: int) -> None:
        if not self._full:
            self._full = True
            self._log.warning(
                "the gateway takes data more slowly than the meters give it: "
                "the oldest of %d waiting polls are dropped",
                self.limit,
            )
        self._dropped(lost)

    def _run(self) -> None:
        next_idle = monotonic()
        while True:
            job = self._next(max(0.0, next_idle - monotonic()) if self._idle else None)
            if job is not None:
                self._do(job)
            elif self._closing:
                return
            if self._idle and not self._closing and monotonic() >= next_idle:
                self._do(self._idle)
                next_idle = monotonic() + self._idle_s()

    def _next(self, wait_s: float | None) -> Job | None:
        with self._wake:
            if self._tired and not self._jobs and not self._closing:
                self._tired, self._resting = False, True
                self._wake.wait(self._rest_s)  # only `close` ends it before
                self._resting = False
            if not self._jobs and not self._closing:
                self._wake.wait(wait_s)
            if self._jobs:
                self._tired = self._rest_s > 0
                return self._jobs.popleft()[0]
            self._full = False
            return None

    def _do(self, job: Job) -> None:
        try:
            job()
        except Exception as error:
            # A user's own converter or the gateway failed. Go on: the next job is another
            # meter's. Log each type of error once, as its text may differ each time.
            if type(error) not in self._complained:
                self._complained.add(type(error))
                kind = type(error).__name__
                self._log.exception("sending to the gateway failed: %s: %s", kind, error)
