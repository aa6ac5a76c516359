"""One association with one meter: opened when needed, released cleanly, replaced when broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Protocol, TypeVar

from dlms_connector.config import Device
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
    SecurityError,
    ServiceError,
    UnfitError,
)
from dlms_connector.link import Link
from dlms_connector.meter.counter_reading import catch_up
from dlms_connector.meter.diagnostics import Statistics, counted
from dlms_connector.meter.exchange import converse
from dlms_connector.meter.idleness import IdleLimit, Trial
from dlms_connector.meter.patience import Patience
from dlms_connector.protocol import Client
from dlms_connector.protocol.services import Directory
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import InvocationCounter

T = TypeVar("T")


class MakeClient(Protocol):
    """Makes the client of a new association; raises ConfigError."""

    def __call__(
        self,
        device: Device,
        counter: InvocationCounter | None = None,
        directory: Directory | None = None,
    ) -> Client:
        """Return a client that has not connected yet."""
        ...


class Session:
    """The association with a meter over a link that the caller owns and lends.

    `open_link` opens the link and raises ConnectError; `shared` says that other meters use it
    too. Times are those of the loop's clock.
    """

    def __init__(
        self,
        device: Device,
        link: Link,
        statistics: Statistics,
        *,
        open_link: Callable[[], Awaitable[None]],
        make_client: MakeClient,
        idle_limit: IdleLimit,
        counter: InvocationCounter | None = None,
        shared: bool = False,
    ) -> None:
        self._idle_limit, self._trial = idle_limit, Trial(idle_limit)
        self._shared = shared
        self._device = device
        self._link = link
        self._statistics = statistics
        self._open_link = open_link
        self._make_client = make_client
        #: Short names are read once, and invoke-ids continue over all associations.
        self._directory = Directory()
        self._counter = counter
        self._client: Client | None = None
        #: The client that is connecting or releasing, or was when its task was cancelled.
        self._unsettled: Client | None = None
        #: Whether a talk is running, or was when its task was cancelled.
        self._talking = False
        # A process before us may have left an association open.
        self._unclean = True
        self._lost = False
        #: Set this anew at the beginning of a turn.
        self.patience = Patience(device)
        self._heard = 0.0
        #: Until when nothing may be sent to the meter after an unclean end.
        self.quiet_until = 0.0
        #: Set this to begin the next turn with a new association.
        self.renew = False

    @property
    def is_open(self) -> bool:
        """Whether there is an association, as far as the client knows."""
        return self._client is not None and self._link.is_open

    @property
    def inactivity_s(self) -> float:
        """The idle time after which the meter has probably dropped the association."""
        return self._idle_limit.seconds

    @property
    def proven(self) -> bool:
        """Whether the meter has answered in this turn."""
        return self._trial.proven

    @property
    def is_doubtful(self) -> bool:
        """Whether the association was idle so long that the meter may have dropped it."""
        return self._client is not None and self._trial.is_doubtful

    @property
    def quiet_s(self) -> float:
        """How many seconds the meter needs without traffic after an unclean end."""
        return self._device.workarounds.quiet_after_failure_ms / 1000

    async def associate(self, end: float) -> Client:
        """Return the client of an open association, opening one if there is none.

        Raises DlmsError when that fails or is not done by `end`.
        """
        loop = asyncio.get_running_loop()
        self._idle_limit.review(loop.time())
        if self._client is not None:
            lives = self._trial.resume(loop.time() - self._heard)
            if not self._link.is_open:
                await self.dropped()
            elif self.renew:
                await self.release()
                await self._link.close()
            elif not lives:
                await self.hang_up()
        self.renew = False
        if self._client is not None:
            self._link.drain()  # unsolicited: a modem message, or an answer that came twice
            return self._client
        await asyncio.sleep(max(0.0, self.quiet_until - loop.time()))
        try:
            client = await self._begin(end)
        except DlmsError as error:
            self._trial.acquit()
            if not self._doubts_counter(error):
                raise
            # At most once until something succeeds; the counter is read anew.
            client = await self._begin(end)
        self._client = client
        self._trial.begin()
        if self._lost:
            self._statistics.reconnects += 1
            self._lost = False
        return client

    async def ask(self, talk: Talk[T], end: float) -> T:
        """Run a talk within the association; close the link if the association breaks."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            result = await self._converse(talk, end)
        except LinkError as error:
            await self._let_others_talk(self._client, end)
            # If there was less time than for one reply, silence says nothing about the meter.
            hasty = isinstance(error, LinkTimeoutError) and loop.time() - start < self._timeout_s
            await (self.hang_up() if hasty else self.dropped())
            raise
        except UnfitError:
            self._trial.answered(loop.time())
            raise
        except ServiceError:
            self._trial.acquit()
            raise
        self._trial.answered(loop.time())
        return result

    async def dropped(self) -> None:
        """Note that the association broke, and close the link."""
        self._trial.broke()
        await self.hang_up()

    def forget(self) -> None:
        """Forget the short names: another meter may be installed at the same address."""
        self._directory = Directory()

    async def release(self) -> None:
        """Release the association, also a half-open one; never raises DlmsError."""
        client = self._client or self._unsettled
        # If this is cancelled too, the next call does it again.
        self._client, self._unsettled = None, client if self._link.is_open else None
        if client is None or self._unsettled is None:
            return
        await asyncio.sleep(self._device.workarounds.pause_before_disconnect_ms / 1000)
        end = asyncio.get_running_loop().time() + 2 * self._timeout_s
        goodbye = client.break_off() if self._talking else client.release()
        try:
            await self._converse(goodbye, end)
            self._unclean, self._unsettled = False, None
        except LinkError:
            await self._let_others_talk(client, inf)
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the link without a release; the meter may need time without traffic then."""
        self._lost = self._lost or self._client is not None
        self._client = self._unsettled = None
        self._talking = False
        await self._link.close()
        self.quiet_until = asyncio.get_running_loop().time() + self.quiet_s

    async def _begin(self, end: float) -> Client:
        client = self._make_client(self._device, self._counter, self._directory)
        if self._counter is not None and not self._counter.known:
            await self._catch_up(self._counter, end)
        used = self._link.is_open
        cleared = await self._reach(client, end)
        self._unclean = True
        try:
            await self._open_with(client.connect(), client, end)
        except LinkClosedError:
            if not (cleared or used):
                raise
            # The meter may have closed the link because of the DISC before, or, with delay,
            # because of the release of another meter's session.
            client = self._make_client(self._device, self._counter, self._directory)
            await self._open()
            await self._open_with(client.connect(), client, end)
        return client

    async def _catch_up(self, counter: InvocationCounter, end: float) -> None:
        """Read the invocation counter as the public client."""
        await self._open()
        talk = catch_up(counter, self._device, self._make_client)
        await self._open_with(talk, None, end)
        # Many meters close the link after the release of a client.
        await self._link.close()

    async def _open_with(self, talk: Talk[None], client: Client | None, end: float) -> None:
        """Run a talk that opens an association; a half-open one is ended again."""
        self._unsettled = client
        try:
            await self._converse(talk, end)
            self._unsettled = None
        except LinkError:
            await self.hang_up()
            raise
        except DlmsError:
            # The meter answered, and refused.
            if client is not None:
                await self._end(client.break_off(), end)
            await self.hang_up()
            raise

    async def _let_others_talk(self, client: Client | None, end: float) -> None:
        """Send a DISC to a meter whose session broke, if other meters share the link.

        Otherwise it may still have a session when we talk to the next meter.
        """
        if self._shared and client is not None and self._link.is_open:
            await self._end(client.clear(), end)

    async def _end(self, goodbye: Talk[None], end: float) -> None:
        """End a session that may be open at the meter; errors are ignored."""
        self.patience.for_farewell()
        soon = asyncio.get_running_loop().time() + self._timeout_s
        with suppress(DlmsError):
            await self._converse(goodbye, min(end, soon))

    async def _reach(self, client: Client, end: float) -> bool:
        """Open the link and end a session that may be open from before.

        Returns whether the meter was told to end a session.
        """
        await self._open()
        if not self._unclean:
            return False
        try:
            await self._converse(client.clear(), end)
        except LinkError:
            await self._link.close()
        # Some meters close the link after a DISC that they did not expect.
        await self._open()
        return True

    async def _open(self) -> None:
        if self._link.is_open:
            self._link.drain()
            return
        await self._open_link()
        await asyncio.sleep(self._device.workarounds.pause_after_connect_ms / 1000)

    def _doubts_counter(self, error: DlmsError) -> bool:
        """Whether a too low counter may be the cause, and reading it again may help."""
        if self._counter is None or isinstance(error, ConfigError | ConnectError | SecurityError):
            return False
        known_before = self._counter.known
        self._counter.doubt()
        doubted = known_before and not self._counter.known
        # Silence has many causes: reading the counter at the next try is early enough.
        return doubted and not isinstance(error, LinkTimeoutError)

    async def _converse(self, talk: Talk[T], end: float) -> T:
        link, statistics = self._link, self._statistics
        loop = asyncio.get_running_loop()
        bytes_in, bytes_out = link.bytes_in, link.bytes_out
        self._talking = True
        try:
            result = await converse(
                counted(talk, statistics),
                link,
                timeout_s=self._timeout_s,
                pause_s=self._device.workarounds.pause_between_frames_ms / 1000,
                overall_s=max(0.0, end - loop.time()),
                patience=self.patience,
            )
        except DlmsError:
            self._talking = False
            raise
        finally:
            statistics.bytes_in += link.bytes_in - bytes_in
            statistics.bytes_out += link.bytes_out - bytes_out
        self._talking = False
        self._heard = loop.time()
        return result

    @property
    def _timeout_s(self) -> float:
        return self._device.connection.timeout_ms / 1000
