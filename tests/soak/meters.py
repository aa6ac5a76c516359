"""Simulated meters in a process of their own, which are told what goes wrong with them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from typing import Any

from dlms_connector.simulator import Endpoint, Meter, MeterOptions, push, simulate
from tests.soak import fleet

#: Their niceness above ours: they stand for other machines.
_STEPPING_BACK = 5
#: The serial number of the meter that comes for another is so much higher.
_ANOTHER = 1_000_000
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 31_500
_PORT_TAKEN_S = 0.2


class Meters:
    """The process, as a context; `ports` are those of the meters, in order."""

    def __init__(self, options: Sequence[Mapping[str, Any]]) -> None:
        self._pipe, self._theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(self._theirs, options), daemon=True
        )
        self.ports: list[int] = []

    def __enter__(self) -> Meters:
        """Start it; raises EOFError if it fails to."""
        self._process.start()
        self._theirs.close()  # else nobody would notice its end
        self.ports = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):  # it has ended
            self._pipe.send(("end",))
        self._process.join()

    def tell(self, what: str, meter: int, *arguments: Any) -> None:
        """Let a meter do something: the name of a method of `Site`."""
        self._pipe.send((what, meter, *arguments))

    async def counts(self) -> Counter[str]:
        """Return what the meters have done on their own; raises what a meter could not do."""
        self._pipe.send(("tell",))
        found: Counter[str] | Exception = await asyncio.to_thread(self._pipe.recv)
        if isinstance(found, Exception):
            raise found
        return found


class Site:
    """The meters in their process."""

    def __init__(self, endpoints: Sequence[Endpoint], pipe: Pipe) -> None:
        self._endpoints, self._pipe = endpoints, pipe
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()
        #: What a meter could not do that it was told.
        self._failed: BaseException | None = None
        #: Those in whose place another is.
        self._first: dict[int, tuple[Meter, ...]] = {}
        self.ended = asyncio.Event()

    def hear(self) -> None:
        """Do what was told; end with whoever tells."""
        while not self.ended.is_set() and self._pipe.poll():
            try:
                what, *arguments = self._pipe.recv()
            except EOFError:
                what = "end"
            if what == "end":
                self.ended.set()
            elif what == "tell":
                self._pipe.send(self._failed or self._counts)
            else:
                task = asyncio.create_task(getattr(self, what)(*arguments))
                self._tasks.add(task)
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._failed = self._failed or task.exception()

    async def stop(self, meter: int) -> None:
        """Listen no more."""
        await self._endpoints[meter].stop()

    async def start(self, meter: int) -> None:
        """Listen again at the same port."""
        while True:
            try:
                return await self._endpoints[meter].start()
            except OSError:  # somebody else has it just now
                await asyncio.sleep(_PORT_TAKEN_S)

    async def drop(self, meter: int) -> None:
        """Drop its connections."""
        self._endpoints[meter].drop_connections()

    async def set(self, meter: int, faults: Mapping[str, float]) -> None:
        """Switch faults on."""
        for name, value in faults.items():
            self._endpoints[meter].meter.faults.set(name, value)

    async def clear(self, meter: int) -> None:
        """Switch all faults off, but for what always is."""
        self._endpoints[meter].meter.faults.clear()
        await self.set(meter, fleet.ALWAYS)

    async def exchange(self, meter: int) -> None:
        """Put another meter in its place, or the first one back; what is open breaks."""
        endpoint = self._endpoints[meter]
        if (first := self._first.pop(meter, None)) is None:
            # Kept, as it goes on to count its replies where it was.
            self._first[meter] = endpoint.meters
            options: MeterOptions = endpoint.meter.options
            first = (Meter(replace(options, serial=options.serial + _ANOTHER)),)
        endpoint.meters = first
        endpoint.drop_connections()

    async def push(self, meter: int, port: int) -> None:
        """Send what it sends unasked."""
        try:
            await push(self._endpoints[meter].meter, "127.0.0.1", port)
        except OSError:
            self._counts["push_refused"] += 1
        else:
            self._counts["push_sent"] += 1


def _ports_in_row(count: int) -> int:
    """Return the first of so many free ports, where the system gives none of its own.

    Else another program would soon have the port of a meter that is dead for a while.
    """
    while True:
        first = random.randint(_LOWEST_PORT, _HIGHEST_PORT - count)
        with ExitStack() as probing, suppress(OSError):
            for port in range(first, first + count):
                probing.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def _serve(pipe: Pipe, options: Sequence[Mapping[str, Any]]) -> None:
    os.nice(_STEPPING_BACK)

    async def body() -> None:
        made = [MeterOptions(**each) for each in options]
        async with simulate(made, port=_ports_in_row(len(made))) as endpoints:
            site = Site(endpoints, pipe)
            pipe.send([endpoint.port for endpoint in endpoints])
            asyncio.get_running_loop().add_reader(pipe.fileno(), site.hear)
            await site.ended.wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(body())
