"""A proxy on real sockets that spoils one stage of a conversation, as it is told.

Octets pass between the connector and a meter, cut into frames. Where the frame comes with which the
stage begins, the fault acts: on it, or on what the meter answers. A proxy in front of a listener
acts on what the meter pushes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from math import inf
from random import Random
from typing import Protocol, cast

from tests.faults.stages import Cutter, Passing

_HERE = "127.0.0.1"
_CONNECTION = Passing(b"", "open")
#: Timers of the same instant fire in any order.
_AFTERWARDS_S = 0.001


class Effect(Protocol):
    """What a fault does to a frame that it meets."""

    def __call__(self, pipe: Pipe, frame: Passing, /) -> None:
        """Pass the frame on, or something else, or nothing."""
        ...


class Proxy:
    """Listens in place of a meter; or, with `pushed`, in place of the connector's listener.

    `triggers` is what stands in the stream where the stage begins, `on_request` says that the
    fault acts on that frame itself.
    """

    def __init__(
        self,
        framing: str,
        triggers: tuple[str, ...],
        effect: Effect,
        beyond: int,
        rng: Random,
        *,
        on_request: bool = False,
        pushed: bool = False,
        unasked: Callable[[], bytes] = bytes,
        foreign: Callable[[Passing], bytes] = lambda frame: frame.octets,
        concerns: Callable[[bytes], bool] = lambda octets: True,
    ) -> None:
        """`unasked` returns a frame that the meter sends besides its answers, `foreign` one of
        another meter that looks like its answer. `concerns` tells of a frame whether it goes to the
        meter that shall suffer.
        """
        self.framing, self.rng = framing, rng
        self.unasked, self.foreign = unasked, foreign
        self.port = 0
        #: How often the fault acted, and how often it shall act yet.
        self.hits, self.left = 0, 0.0
        self.mute = False
        #: What is held back until the meter says something more.
        self.behind: list[bytes] = []
        self.changed = asyncio.Event()
        self._triggers, self._effect, self._concerns = triggers, effect, concerns
        self.on_request, self.pushed = on_request, pushed
        #: The port of the meter or listener.
        self.beyond = beyond
        self._server: asyncio.Server | None = None
        self._bound: socket.socket | None = None
        self._pipes: set[Pipe] = set()

    async def start(self) -> None:
        """Listen; `port` is known afterwards and stays."""
        loop = asyncio.get_running_loop()
        bound, self._bound = self._bound or self._bind(), None
        self._server = await loop.create_server(lambda: _Near(self), sock=bound)

    def _bind(self) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((_HERE, self.port))
        self.port = bound.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Listen no longer, and drop the connections."""
        self.refuse()
        if self._bound is not None:
            self._bound.close()
        for pipe in list(self._pipes):
            pipe.reset()
        await asyncio.sleep(0)

    def arm(self, times: float = inf) -> None:
        """Let the fault act so often from now on."""
        self.left = times

    async def end(self) -> None:
        """End the fault."""
        self.left, self.mute = 0, False
        if self._server is None:
            await self.start()

    def refuse(self) -> None:
        """Refuse connections; the port stays ours."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._bound = self._bind()

    def is_stage(self, frame: Passing) -> bool:
        """Whether the stage begins with what passes."""
        return frame.what in self._triggers and self._concerns(frame.octets)

    def meets(self, frame: Passing) -> bool:
        """Note that something passes; return whether the fault acts now."""
        return self.is_stage(frame) and self.strikes()

    def strikes(self) -> bool:
        """Return whether the fault acts on what belongs to the stage, now or on its answer."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    def joined(self, near: asyncio.Transport) -> Pipe:
        """Return a new connection through the proxy."""
        pipe = Pipe(self, near)
        self._pipes.add(pipe)
        pipe.reaching = asyncio.ensure_future(pipe.reach(self.beyond))
        return pipe

    def left_by(self, pipe: Pipe) -> None:
        """Note the end of a connection."""
        self._pipes.discard(pipe)
        if not self.pushed:
            self.behind.clear()

    def act(self, pipe: Pipe, frame: Passing) -> None:
        """Let the fault act on a frame."""
        self.hits += 1
        self.changed.set()
        self._effect(pipe, frame)


class Pipe:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near: asyncio.Transport) -> None:
        self.proxy = proxy
        #: Nothing passes any more.
        self.mute = False
        #: What is held back until the meter is asked again.
        self.before: list[bytes] = []
        self._near, self._far = near, cast("asyncio.Transport | None", None)
        self._early: list[bytes] = []
        self._ours = Cutter(proxy.framing)
        self._meters = Cutter(proxy.framing)
        self._awaits = self._within = False
        self.reaching: asyncio.Future[None] | None = None
        self._free_at = 0.0

    async def reach(self, port: int) -> None:
        """Connect to what is beyond."""
        loop = asyncio.get_running_loop()
        if not self.proxy.pushed and self.proxy.meets(_CONNECTION):
            self.proxy.act(self, _CONNECTION)
        try:
            await loop.create_connection(lambda: _Far(self), _HERE, port)
        except OSError:
            self.reset()

    # What passes

    def from_near(self, data: bytes) -> None:
        """Take octets from who connected to the proxy."""
        if self.proxy.pushed:
            self._from_meter(data)
        else:
            self._from_us(data)

    def from_far(self, data: bytes) -> None:
        """Take octets from beyond."""
        if self.proxy.pushed:
            self._from_us(data)
        else:
            self._from_meter(data)

    def to_us(self, data: bytes, after_s: float = 0.0) -> None:
        """Send to the connector, behind what was sent before."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = max(self._free_at, now + after_s)
        self._free_at = at
        if at <= now:
            self._write(data, near=not self.proxy.pushed)
        else:
            loop.call_at(at, lambda: self._write(data, near=not self.proxy.pushed))

    def to_meter(self, data: bytes) -> None:
        """Send to the meter."""
        self._write(data, near=self.proxy.pushed)

    def reset(self) -> None:
        """End both connections by RST."""
        for transport in (self._near, self._far):
            if transport is not None and (sock := transport.get_extra_info("socket")):
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
        self.lost()

    def half_close(self) -> None:
        """Send no more to the connector, but hear it."""
        ours = self._far if self.proxy.pushed else self._near
        if ours is not None and not ours.is_closing():
            with suppress(OSError):
                ours.write_eof()
        self.mute = True

    # What happens to the sockets

    def reached(self, far: asyncio.Transport) -> None:
        """Note the connection to beyond."""
        self._far = far
        early, self._early = self._early, []
        for data in early:
            self._write(data, near=False)

    def ended(self) -> None:
        """Close both connections, once all has been sent."""
        loop = asyncio.get_running_loop()
        if self._free_at > loop.time():
            loop.call_at(self._free_at + _AFTERWARDS_S, self.lost)
        elif self._early:
            loop.call_soon(self.ended)
        else:
            self.lost()

    def lost(self) -> None:
        """Close both connections."""
        self.proxy.left_by(self)
        self._early = []
        for transport in (self._near, self._far):
            if transport is not None and not transport.is_closing():
                transport.close()

    def _from_us(self, data: bytes) -> None:
        proxy = self.proxy
        for frame in self._ours.feed(data):
            held, self.before = self.before, []
            if self._silent:
                continue
            # What is no APDU, such as RR, asks for the same answer or for more of it.
            self._within = proxy.is_stage(frame) or (self._within and not frame.what)
            if proxy.pushed or not (self._within and proxy.strikes()):
                self.to_meter(frame.octets)
            elif proxy.on_request:
                proxy.act(self, frame)
            else:
                self._awaits = True
                self.to_meter(frame.octets)
            for octets in held:
                self.to_us(octets)

    def _from_meter(self, data: bytes) -> None:
        proxy = self.proxy
        for frame in self._meters.feed(data):
            if self._silent:
                continue
            held, proxy.behind = proxy.behind, []
            if self._awaits or (proxy.pushed and proxy.meets(frame)):
                self._awaits = False
                proxy.act(self, frame)
            else:
                self.to_us(frame.octets)
            for octets in held:
                self.to_us(octets)

    @property
    def _silent(self) -> bool:
        return self.mute or self.proxy.mute

    def _write(self, data: bytes, *, near: bool) -> None:
        transport = self._near if near else self._far
        if transport is None:
            self._early.append(data)
        elif not transport.is_closing():
            transport.write(data)


class _Near(asyncio.Protocol):
    """The connection from who connected to the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._pipe: Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe = self._proxy.joined(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if self._pipe is not None:
            self._pipe.from_near(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pipe is not None:
            self._pipe.ended()


class _Far(asyncio.Protocol):
    """The connection to beyond."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe.reached(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._pipe.from_far(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.ended()
