"""Runs a talk over a link, with a timeout for each reply and one for the whole talk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from math import inf
from typing import NoReturn, Protocol, TypeVar, runtime_checkable

from dlms_connector.errors import LinkClosedError, LinkError, LinkTimeoutError, UnreadyError
from dlms_connector.link import Link
from dlms_connector.meter.patience import Patience
from dlms_connector.protocol.directive import Breath, Directive, Drain, LineSettings, Pause
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")


@runtime_checkable
class ConfigurableLink(Protocol):
    """A link whose line has settings."""

    async def configure(self, baudrate: int, bytesize: int, parity: str, stopbits: int) -> None:
        """Send what is waiting, then change the settings; raises LinkClosedError."""
        ...


class Tap(Protocol):
    """Sees the octets of a conversation; it raises nothing and does not wait."""

    def sent(self, data: bytes) -> None:
        """Note what is sent to the meter."""
        ...

    def received(self, data: bytes) -> None:
        """Note what has arrived from it."""
        ...

    def close(self) -> None:
        """End it; allowed repeatedly."""
        ...


async def converse(
    talk: Talk[T],
    link: Link,
    *,
    timeout_s: float,
    pause_s: float = 0.0,
    overall_s: float | None = None,
    patience: Patience | None = None,
    top_up: Callable[[], Awaitable[None] | None] | None = None,
    tap: Tap | None = None,
    repeated: Callable[[], None] | None = None,
) -> T:
    """Send what the talk yields, pass it what arrives, and return its result.

    `timeout_s` is the time for one reply, counted from the sending; after it the talk gets
    b"". There is a pause of `pause_s` before each sending. After `overall_s`, LinkTimeoutError
    is raised in the talk; LinkClosedError is raised there when the peer closes the link. With
    `patience`, which then gives the time for one reply, it is also raised when that is over.
    `top_up` is called before each step of the talk, and awaited if it returns something: it
    reserves invocation counters, for which a step must not wait. `tap` sees what passes, and
    `repeated` is called when the talk sends again after silence. The talk is closed in all cases,
    also when cancelled.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()
    end = inf if overall_s is None else now + overall_s
    sent = received = answered = 0  # answered: how much had come when the last was sent
    asked, waits, unready_since = now, False, now

    def due(since: float) -> float:
        return min(since + (patience.reply_s if patience else timeout_s), end)

    deadline = due(now)
    try:
        if top_up is not None and (reserving := top_up()) is not None:
            await reserving
        out = next(talk)
        while True:
            try:
                if isinstance(out, Directive):
                    data = await _obey(out, link, end, tap)
                    received += len(data)
                    if isinstance(out, Pause) and out.waited_s and patience:
                        if out.seconds == out.waited_s:  # the first of a request
                            unready_since = loop.time() - out.seconds
                        unready_s = max(out.waited_s, loop.time() - unready_since)
                        patience.put_off(unready_s)
                        if patience.is_over:
                            _fail(talk, UnreadyError(unready_s))
                    deadline = due(loop.time())
                    out = talk.send(data)
                    continue
                if out:
                    if pause_s:
                        await asyncio.sleep(pause_s)
                    if tap is not None:
                        tap.sent(out)
                    link.send(out)
                    sent, answered = sent + 1, received
                    asked, waits = loop.time(), True
                    reply_s = patience.reply_s if patience else timeout_s
                    deadline = min(asked + reply_s, end)
                data = await link.receive(deadline)
            except LinkClosedError as error:
                _fail(talk, LinkClosedError(received - answered), error)
            if data:
                received += len(data)
                if tap is not None:
                    tap.received(data)
                if patience and waits:
                    patience.heard(loop.time() - asked)
                waits = False
            elif _silent(patience, loop.time() - asked) or (now := loop.time()) >= end:
                _fail(talk, LinkTimeoutError(sent, received))
            else:
                asked, deadline = now, due(now)
            if top_up is not None and (reserving := top_up()) is not None:
                await reserving
            out = talk.send(data)
            if out and not data and repeated is not None:
                repeated()
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        talk.close()


async def in_slices(work: Generator[None, None, T]) -> T:
    """Do work that takes long; other tasks of the loop run between its steps."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)


def _silent(patience: Patience | None, for_s: float) -> bool:
    """Note a silence; return whether the meter may not be silent any longer."""
    if patience is None:
        return False
    patience.silent(for_s)
    return patience.is_over


def _fail(talk: Talk[T], error: LinkError, cause: Exception | None = None) -> NoReturn:
    """Raise the error inside the talk, so that the talk can still return a result."""
    error.__cause__ = cause
    talk.throw(error)
    raise error


async def _obey(directive: Directive, link: Link, end: float, tap: Tap | None) -> bytes:
    """Carry out a directive, and return what it asks for.

    Its pauses do not exceed the end of the talk.
    """
    if isinstance(directive, Drain):
        drained = link.drain()
        if tap is not None and drained:
            tap.received(drained)
        return drained
    left = max(0.0, end - asyncio.get_running_loop().time())
    if directive:
        if tap is not None:
            tap.sent(directive)
        link.send(directive)
    if isinstance(directive, Breath):
        await asyncio.sleep(0)
    elif isinstance(directive, Pause):
        await asyncio.sleep(min(directive.seconds, left))
    elif isinstance(directive, LineSettings) and isinstance(link, ConfigurableLink):
        await asyncio.sleep(min(directive.hold_s, left))
        await link.configure(
            directive.baudrate, directive.bytesize, directive.parity, directive.stopbits
        )
        link.drain()
    return b""
