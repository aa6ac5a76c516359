"""What stands for threads, locks, clocks and chance while the connector is simulated.

`install` replaces them in Python's own modules, before anything of the connector is imported. So
what is simulated is the code that ships: there is no switch in it for the simulation. A process
that has installed them is good for simulations only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import importlib
import os
import random
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop
from typing import Any, TypeVar

from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.simulation.hub import Hub, LivelockError, Process, Waiter
from tests.simulation.hub import Thread as HubThread

T = TypeVar("T")

#: Unix time at which every simulation begins: 2024-03-04 00:00 UTC, a Monday. It lies before the
#: times that files have in truth, so that no file seems to be of the past.
EPOCH_S = 1_709_510_400.0


class World:
    """The hub of the simulation that runs now, and what depends on its seed."""

    hub = Hub(0)
    #: How far the host's clock is off, in seconds.
    wall_off_s = 0.0
    random = random.Random(0)
    #: How long a job of an executor takes; raises what the disk raises.
    disk_s: Callable[[], float] = staticmethod(lambda: 0.0)
    #: Called with each key and nonce that something is ciphered with.
    sealed: Callable[[bytes, bytes], None] = staticmethod(lambda key, nonce: None)


def unix_s() -> float:
    """Return the time of the host's clock."""
    return EPOCH_S + World.hub.now + World.wall_off_s


class Lock:
    """A lock of threads of the hub."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[Waiter] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        while self._held:
            if not blocking:
                return False
            if not World.hub.wait(None if timeout < 0 else timeout, self._waiting.append):
                return False
        self._held = True
        return True

    def release(self) -> None:
        self._held = False
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done:
                waiter.wake()
                break

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock:
    """A lock that its holder may take again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holder: HubThread | None = None
        self._times = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = World.hub.current
        if not (self._times and self._holder is me):
            if not self._lock.acquire(blocking, timeout):
                return False
            self._holder = me
        self._times += 1
        return True

    def release(self) -> None:
        self._times -= 1
        if not self._times:
            self._holder = None
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """A condition of threads of the hub."""

    def __init__(self, lock: Any = None) -> None:
        self._lock = lock or Lock()
        self._waiting: deque[Waiter] = deque()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *args: object) -> None:
        self._lock.__exit__(*args)

    def wait(self, timeout: float | None = None) -> bool:
        self._lock.release()
        try:
            return World.hub.wait(timeout, self._waiting.append)
        finally:
            while self._waiting and self._waiting[0].done:  # its time was over
                self._waiting.popleft()
            self._lock.acquire()

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        end = None if timeout is None else World.hub.now + timeout
        while not (result := predicate()):
            left = None if end is None else end - World.hub.now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def notify(self, n: int = 1) -> None:
        while n and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done:
                waiter.wake()
                n -= 1

    def notify_all(self) -> None:
        self.notify(len(self._waiting))


class Event:
    """An event of threads of the hub."""

    def __init__(self) -> None:
        self._set = False
        self._changed = Condition()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout)


class Thread:
    """A thread of the hub, of the process that starts it."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self._body = partial(target, *args, **(kwargs or {})) if target else lambda: None
        self.name, self.daemon = name or "thread", daemon
        self._thread: HubThread | None = None

    def start(self) -> None:
        starter = World.hub.current
        assert starter is not None, "only a process of the simulation starts threads"
        self._thread = World.hub.spawn(starter.process, self.name, self._body)

    def is_alive(self) -> bool:
        return self._thread is not None and not self._thread.ended

    def join(self, timeout: float | None = None) -> None:
        if self._thread is not None and not self._thread.ended:
            World.hub.wait(timeout, self._thread.joining.append)


class ThreadPoolExecutor(concurrent.futures.Executor):
    """Does jobs in threads of the hub, of the process that submits them."""

    def __init__(
        self, max_workers: int | None = None, thread_name_prefix: str = "", *_: Any, **__: Any
    ) -> None:
        self._most, self._name = max_workers or 1, thread_name_prefix
        self._running: dict[int, int] = {}
        self._jobs: dict[int, deque[tuple[concurrent.futures.Future[Any], Any]]] = {}

    def submit(
        self, call: Callable[..., T], /, *args: Any, **keys: Any
    ) -> concurrent.futures.Future[T]:
        thread = World.hub.current
        assert thread is not None
        process, future = thread.process, concurrent.futures.Future[T]()
        jobs = self._jobs.setdefault(process.number, deque())
        jobs.append((future, partial(call, *args, **keys)))
        if self._running.get(process.number, 0) < self._most:
            self._running[process.number] = self._running.get(process.number, 0) + 1
            World.hub.spawn(process, self._name, partial(self._work, process))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for jobs in self._jobs.values():
                for future, _ in jobs:
                    future.cancel()

    def _work(self, process: Process) -> None:
        jobs = self._jobs[process.number]
        try:
            while jobs:
                future, call = jobs.popleft()
                if (pause := World.disk_s()) > 0:
                    World.hub.sleep(pause)
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = call()
                except Exception as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            self._running[process.number] -= 1


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in a thread of the hub."""

    # Of asyncio's own loop, whose workings are replaced here.
    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool

    #: All loops that are not closed, with the number of their process.
    living: dict[int, VirtualLoop] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._sleeping: Waiter | None = None
        self._woken = False
        self._busy = 0
        #: Whether its process has died: what is left of its tasks schedules nothing more.
        self.dead = False
        #: The port on which it listens for pushes.
        self.ear: Ear | None = None
        VirtualLoop.living[id(self)] = self

    def time(self) -> float:
        return World.hub.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            if self.is_closed():
                raise RuntimeError("Event loop is closed")
            self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = self.call_soon(callback, *args, context=context)
        self._write_to_self()
        return handle

    def get_debug(self) -> bool:
        return False

    def _run_once(self) -> None:
        """Wait, and run what is due: as in asyncio, without a look at sockets."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heappop(scheduled)._scheduled = False
        if ready or self._stopping:
            self._rest(0.0)
        else:
            self._rest(scheduled[0]._when - World.hub.now if scheduled else None)
        end = World.hub.now + _RESOLUTION_S
        # Not `<`: from 2**24 s (194 days) on `end` is `now`. A real clock would go on by itself.
        while scheduled and scheduled[0]._when <= end:
            handle = heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _rest(self, timeout: float | None) -> None:
        """Wait until something is due, or comes from elsewhere."""
        hub = World.hub
        if self._woken or (timeout is not None and timeout <= 0):
            self._woken = False
            self._busy += 1
            if self._busy > 100_000:
                hub.failure = LivelockError("the loop is busy for ever while no time passes")
                hub.sleep(1.0)
            hub.step()
            return
        self._busy = 0
        hub.wait(timeout, self._sleep)
        self._sleeping = None
        self._woken = False

    def _sleep(self, waiter: Waiter) -> None:
        self._sleeping = waiter

    def _write_to_self(self) -> None:
        if self._sleeping is None:
            self._woken = True
        elif not self._sleeping.done:
            self._sleeping.wake()

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], local_addr: Any = None, **_: Any
    ) -> tuple[Any, Any]:
        """Listen for datagrams, which come by `Ear.hear`."""
        ear = self.ear = Ear(self, protocol_factory())
        return ear, ear.protocol

    def close(self) -> None:
        VirtualLoop.living.pop(id(self), None)
        super().close()


class Ear:
    """A UDP port on which the connector listens; what it answers gets lost."""

    def __init__(self, loop: VirtualLoop, protocol: Any) -> None:
        self._loop, self.protocol = loop, protocol
        self._open = True

    def hear(self, data: bytes, host: str) -> None:
        """Let a datagram arrive, if the port is still open."""
        if self._open and not self._loop.dead:
            self._loop.call_soon_threadsafe(self.protocol.datagram_received, data, (host, 4059))

    def sendto(self, data: bytes, address: Any) -> None:
        """Do nothing."""

    def close(self) -> None:
        self._open = False


#: How early a timer of a loop may be due.
_RESOLUTION_S = 1e-9

#: Libraries that keep Python's own threads and clocks.
_OTHERS = (
    "gurux_dlms",
    "pydantic",
    "simplejson",
    "thingsboard_gateway.connectors.connector",
    "thingsboard_gateway.gateway.device_filter",
    "thingsboard_gateway.gateway.entities.converted_data",
    "thingsboard_gateway.gateway.statistics.statistics_service",
    "thingsboard_gateway.tb_utility.tb_logger",
)

#: Key and system title are those of the connector; the meters' are others.
_OUR_TITLE = b"SIM\0\0\0\0\1"


class WatchedAESGCM:
    """Tells which pairs of key and nonce the connector ciphers with."""

    def __init__(self, key: bytes) -> None:
        self._inner, self._key = AESGCM(key), key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        if nonce.startswith(_OUR_TITLE):
            World.sealed(self._key, nonce)
        return self._inner.encrypt(nonce, data, associated_data)


def _token(nbytes: int | None = None) -> bytes:
    return World.random.randbytes(32 if nbytes is None else nbytes)


def install() -> None:
    """Replace clocks, threads and chance; the connector must not be imported yet."""
    for module in _OTHERS:
        importlib.import_module(module)
    threading.Lock, threading.RLock = Lock, RLock  # type: ignore[assignment]
    threading.Condition, threading.Event = Condition, Event  # type: ignore[misc,assignment]
    threading.Thread = Thread  # type: ignore[misc,assignment]
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[misc,assignment]
    concurrent.futures.thread.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[misc,assignment]
    asyncio.new_event_loop = VirtualLoop
    aead.AESGCM = WatchedAESGCM  # type: ignore[assignment]
    time.time = unix_s
    time.time_ns = lambda: int(unix_s() * 1e9)
    time.monotonic = lambda: World.hub.now
    time.monotonic_ns = lambda: int(World.hub.now * 1e9)
    time.thread_time = lambda: 0.0
    time.sleep = lambda seconds: World.hub.sleep(float(seconds))
    secrets.token_bytes = _token
    secrets.token_hex = lambda nbytes=None: _token(nbytes).hex()
    secrets.randbelow = lambda exclusive_upper_bound: World.random.randrange(exclusive_upper_bound)
    os.urandom = lambda size, /: World.random.randbytes(size)
    uuid.uuid4 = lambda: uuid.UUID(bytes=World.random.randbytes(16), version=4)
