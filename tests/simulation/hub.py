"""The scheduler: threads that are none, under a time that jumps to whatever is due next.

What the connector takes for a thread is a greenlet here. It runs until it waits (for a lock, a
condition, a pause, an event loop's next event); then the hub runs what is due next, in an order
that depends on the seed alone. A *process* is what dies at once: its threads, sockets and locks.
Nothing else runs meanwhile, so one event is one instant, and a run with the same seed is the same
run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import greenlet

#: Events at one instant after which nothing but a loop without end is left to believe.
_MOST_AT_ONCE = 200_000
#: Longest delay of a thread that was woken: other threads may come first, or not.
_SCHEDULING_S = 0.002


class LivelockError(AssertionError):
    """Something goes on for ever without any time passing."""


class Process:
    """A process of the simulation: it lives until it is killed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.threads: dict[int, Thread] = {}
        #: Called when the process dies, before its threads are ended.
        self.at_death: list[Callable[[], None]] = []


class Timer:
    """A call that is due at a time."""

    __slots__ = ("args", "call")

    def __init__(self, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.call: Callable[..., Any] | None = call
        self.args = args

    def cancel(self) -> None:
        self.call = None


class Waiter:
    """A thread that waits; `wake` is called once, with whether it was woken or its time is over."""

    __slots__ = ("_hub", "_thread", "done")

    def __init__(self, hub: Hub, thread: Thread) -> None:
        self._hub, self._thread, self.done = hub, thread, False

    def wake(self, value: bool = True) -> None:
        if not self.done:
            self.done = True
            self._hub.resume(self._thread, value)

    def over(self) -> None:
        """Go on at once: the time is over."""
        if not self.done:
            self.done = True
            self._hub.switch_to(self._thread, False)


class Thread:
    """A greenlet of a process."""

    __slots__ = ("ended", "greenlet", "joining", "name", "number", "process")

    def __init__(self, number: int, process: Process, name: str) -> None:
        self.number, self.process, self.name = number, process, name
        self.greenlet: Any = None
        self.ended = False
        self.joining: list[Waiter] = []


class Hub:
    """Runs events in order of their time; `now` is in seconds since the beginning."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = random.Random(f"hub {seed}")
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = 0
        self._at_once = 0
        self._threads = 0
        self._main: Any = greenlet.getcurrent()
        #: The running thread; None in the hub itself.
        self.current: Thread | None = None
        #: How many steps of threads until the next crash; 0: none is planned.
        self.steps_left = 0
        self.crash: Callable[[], None] = lambda: None
        #: What went wrong outside of the connector: it ends the run.
        self.failure: BaseException | None = None

    # What is due

    def call_at(self, at: float, call: Callable[..., Any], *args: Any) -> Timer:
        """Call something at a time."""
        timer = Timer(call, args)
        self._order += 1
        heappush(self._heap, (max(self.now, at), self._order, timer))
        return timer

    def call_later(self, seconds: float, call: Callable[..., Any], *args: Any) -> Timer:
        """Call something after so many seconds."""
        return self.call_at(self.now + seconds, call, *args)

    def run(self, until: float) -> None:
        """Run what is due until a time."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            at, _, timer = heappop(heap)
            if (call := timer.call) is None:
                continue
            if at > self.now:
                self.now, self._at_once = at, 0
            self._at_once += 1
            if self._at_once > _MOST_AT_ONCE:
                raise LivelockError(f"{_MOST_AT_ONCE} events at {self.now:.3f} s: {call!r}")
            call(*timer.args)
            if self.failure is not None:
                raise self.failure
        self.now = max(self.now, until)

    # Threads

    def spawn(
        self, process: Process, name: str, body: Callable[[], object], delay_s: float | None = None
    ) -> Thread:
        """Start a thread soon."""
        self._threads += 1
        thread = Thread(self._threads, process, name)

        def run() -> None:
            try:
                body()
            except greenlet.GreenletExit:
                pass
            except Exception as error:
                if process.alive:  # a thread of the connector must not end so
                    self.failure = error
            finally:
                thread.ended = True
                process.threads.pop(thread.number, None)
                for waiter in thread.joining:
                    waiter.wake()

        thread.greenlet = greenlet.greenlet(run, self._main)
        process.threads[thread.number] = thread
        self.call_later(self._jitter() if delay_s is None else delay_s, self.switch_to, thread)
        return thread

    def wait(self, timeout: float | None, waiting: Callable[[Waiter], None]) -> bool:
        """Let the running thread wait until it is woken; false after `timeout` seconds."""
        thread = self._living()
        waiter = Waiter(self, thread)
        waiting(waiter)
        if self.steps_left:
            self.step()
        timer = None if timeout is None else self.call_later(timeout, waiter.over)
        value: bool = self._main.switch()
        if timer is not None:
            timer.call = None
        if not thread.process.alive:
            raise greenlet.GreenletExit
        return value

    def sleep(self, seconds: float) -> None:
        """Let the running thread pause."""
        self.wait(seconds, lambda waiter: None)

    def step(self) -> None:
        """Note a step of the running thread: here its process may die."""
        if self.steps_left and self.current is not None:
            self.steps_left -= 1
            if not self.steps_left:
                self.die()

    def die(self) -> None:
        """End the process of the running thread here and now."""
        thread = self._living()
        self._order += 1  # before whatever else is due at this instant
        order = -self._order
        heappush(self._heap, (self.now, order, Timer(self._crash_now, (thread.process,))))
        self._main.switch()
        raise greenlet.GreenletExit

    def kill(self, process: Process) -> None:
        """End a process at once; call this in the hub."""
        process.alive = False
        for call in process.at_death:
            call()
        for _ in range(20):
            if not process.threads:
                return
            for thread in list(process.threads.values()):
                if not thread.greenlet:  # it was never begun: nothing of it will run
                    thread.ended = True
                    process.threads.pop(thread.number, None)
                else:
                    self.current = thread
                    thread.greenlet.throw(greenlet.GreenletExit)
                    self.current = None
        raise AssertionError(f"threads do not end: {[t.name for t in process.threads.values()]}")

    def resume(self, thread: Thread, value: bool) -> None:
        """Let a waiting thread go on soon."""
        self.call_later(self._jitter(), self.switch_to, thread, value)

    def switch_to(self, thread: Thread, value: bool | None = None) -> None:
        """Run a thread until it waits."""
        if thread.ended or not thread.process.alive:
            return
        self.current = thread
        if thread.greenlet:
            thread.greenlet.switch(value)
        else:
            thread.greenlet.switch()
        self.current = None

    def _crash_now(self, process: Process) -> None:
        if process.alive:
            self.crash()

    def _living(self) -> Thread:
        thread = self.current
        if thread is None:
            raise RuntimeError("nobody but a thread of the connector may wait")
        if not thread.process.alive:
            raise greenlet.GreenletExit
        return thread

    def _jitter(self) -> float:
        return self.random.random() * _SCHEDULING_S
