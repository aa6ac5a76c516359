"""Talks with one meter over the link that is lent to it: its timeout, its pauses, its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar, runtime_checkable

from dlms_connector.config import Device
from dlms_connector.errors import DlmsError, SecurityError
from dlms_connector.link import Link
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.meter.exchange import Tap, converse
from dlms_connector.meter.patience import Patience
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import InvocationCounter

T = TypeVar("T")


@runtime_checkable
class Call(Protocol):
    """A link over a call of the meter: after its end the meter may call again."""

    async def hang_up(self) -> None:
        """End the call."""
        ...


class Conversations:
    """Runs talks; `open_link` opens the link and raises ConnectError."""

    def __init__(
        self,
        device: Device,
        link: Link,
        statistics: Statistics,
        open_link: Callable[[], Awaitable[None]],
        counter: InvocationCounter | None = None,
    ) -> None:
        self._workarounds = device.workarounds
        self._link, self._open_link, self._statistics = link, open_link, statistics
        self._counter = counter
        #: Set this anew at the beginning of a turn.
        self.patience = Patience(device)
        self.timeout_s = device.connection.timeout_ms / 1000
        #: Sees what is sent and received, while a trace is wanted.
        self.tap: Tap | None = None
        #: Whether a talk is running, or was when its task was cancelled.
        self.unfinished = False
        #: When the last talk began, and when one ended with a result, by the loop's clock.
        self.began = self.heard = 0.0

    async def open(self) -> None:
        """Open the link, or discard what arrived unsolicited. Raises ConnectError."""
        if self._link.is_open:
            if (drained := self._link.drain()) and self.tap is not None:
                self.tap.received(drained)
            return
        await self._open_link()
        await asyncio.sleep(self._workarounds.pause_after_connect_ms / 1000)

    async def hold(self, talk: Talk[T], end: float) -> T:
        """Run a talk until `end` at most, and return its result. Raises DlmsError."""
        link, statistics = self._link, self._statistics
        loop = asyncio.get_running_loop()
        bytes_in, bytes_out = link.bytes_in, link.bytes_out
        self.began = now = loop.time()
        if (counter := self._counter) is not None and not counter.is_fresh(now):
            await counter.begin()
            now = loop.time()
        self.unfinished = True
        try:
            result = await converse(
                talk,
                link,
                timeout_s=self.timeout_s,
                pause_s=self._workarounds.pause_between_frames_ms / 1000,
                overall_s=max(0.0, end - now),
                patience=self.patience,
                top_up=None if counter is None else self._top_up,
                tap=self.tap,
                repeated=statistics.repeated,
            )
        except DlmsError as error:
            self.unfinished = False
            # One that is played back has been counted when it came: the true one was waited for.
            statistics.forged += isinstance(error, SecurityError) and not error.counted
            raise
        finally:
            statistics.bytes_in += link.bytes_in - bytes_in
            statistics.bytes_out += link.bytes_out - bytes_out
        self.unfinished = False
        self.heard = loop.time()
        return result

    def _top_up(self) -> Awaitable[None] | None:
        counter = self._counter
        return counter.top_up() if counter is not None and counter.is_short else None

    async def part(self, goodbye: Talk[T], end: float) -> T | None:
        """End a session that may be open at the meter; errors are ignored."""
        self.patience.for_farewell()
        soon = asyncio.get_running_loop().time() + self.timeout_s
        with suppress(DlmsError):
            return await self.hold(goodbye, min(end, soon))
        return None

    async def hang_up(self) -> None:
        """End the call of a meter that dials in; other links need nothing."""
        if isinstance(self._link, Call):
            await self._link.hang_up()
