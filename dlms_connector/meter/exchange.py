"""Runs a talk over a link, with a timeout for each reply and one for the whole talk."""

from __future__ import annotations

import asyncio
from math import inf
from typing import NoReturn, Protocol, TypeVar, runtime_checkable

from dlms_connector.errors import LinkClosedError, LinkError, LinkTimeoutError
from dlms_connector.link import Link
from dlms_connector.protocol.directive import Directive, LineSettings, Pause
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")


@runtime_checkable
class ConfigurableLink(Protocol):
    """A link whose line has settings."""

    async def configure(self, baudrate: int, bytesize: int, parity: str, stopbits: int) -> None:
        """Send what is waiting, then change the settings; raises LinkClosedError."""
        ...


async def converse(
    talk: Talk[T],
    link: Link,
    *,
    timeout_s: float,
    pause_s: float = 0.0,
    overall_s: float | None = None,
) -> T:
    """Send what the talk yields, pass it what arrives, and return its result.

    `timeout_s` is the time for one reply, counted from the sending; after it the talk gets
    b"". There is a pause of `pause_s` before each sending. After `overall_s`, LinkTimeoutError
    is raised in the talk; LinkClosedError is raised there when the peer closes the link. The
    talk is closed in all cases, also when cancelled.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()
    end = inf if overall_s is None else now + overall_s
    deadline = min(now + timeout_s, end)
    sent = received = 0
    try:
        out = next(talk)
        while True:
            try:
                if isinstance(out, Directive):
                    await _obey(out, link, end)
                    deadline = min(loop.time() + timeout_s, end)
                    out = talk.send(b"")
                    continue
                if out:
                    if pause_s:
                        await asyncio.sleep(pause_s)
                    link.send(out)
                    sent += 1
                    deadline = min(loop.time() + timeout_s, end)
                data = await link.receive(deadline)
            except LinkClosedError as error:
                _fail(talk, LinkClosedError(received), error)
            if data:
                received += len(data)
            elif (now := loop.time()) >= end:
                _fail(talk, LinkTimeoutError(sent, received))
            else:
                deadline = min(now + timeout_s, end)
            out = talk.send(data)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        talk.close()


def _fail(talk: Talk[T], error: LinkError, cause: Exception | None = None) -> NoReturn:
    """Raise the error inside the talk, so that the talk can still return a result."""
    error.__cause__ = cause
    talk.throw(error)
    raise error


async def _obey(directive: Directive, link: Link, end: float) -> None:
    """Carry out a directive; its pauses do not exceed the end of the talk."""
    left = max(0.0, end - asyncio.get_running_loop().time())
    if directive:
        link.send(directive)
    if isinstance(directive, Pause):
        await asyncio.sleep(min(directive.seconds, left))
    elif isinstance(directive, LineSettings) and isinstance(link, ConfigurableLink):
        await asyncio.sleep(min(directive.hold_s, left))
        await link.configure(
            directive.baudrate, directive.bytesize, directive.parity, directive.stopbits
        )
        link.drain()
