"""One association with one meter: opened when needed, released cleanly, replaced when broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol, TypeVar

from dlms_connector.config import Device
from dlms_connector.errors import (
    ConnectError,
    DlmsError,
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
    ServiceError,
    UnfitError,
)
from dlms_connector.link import Link
from dlms_connector.meter.clearing import Clearing
from dlms_connector.meter.conversations import Conversations
from dlms_connector.meter.counter_reading import catch_up, doubts
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.meter.exchange import Tap
from dlms_connector.meter.idleness import IdleLimit, Trial
from dlms_connector.meter.patience import Patience
from dlms_connector.protocol import Client
from dlms_connector.protocol.services import Directory
from dlms_connector.protocol.talk import Cleared, Talk
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
    too. `unread` gets what arrived before a request. Times are those of the loop's clock.
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
        directory: Directory | None = None,
        shared: bool = False,
        unread: Callable[[bytes], None] = lambda octets: None,
    ) -> None:
        self._unread = unread
        self._idle_limit, self._trial = idle_limit, Trial(idle_limit)
        self._shared = shared
        self._device = device
        self._link = link
        self._statistics = statistics
        self._make_client = make_client
        #: Short names are read once, and invoke-ids continue over all associations.
        self._directory = directory or Directory()
        self._counter = counter
        self._client: Client | None = None
        #: The client that is connecting or releasing, or was when its task was cancelled.
        self._unsettled: Client | None = None
        self._talks = Conversations(device, link, statistics, open_link, counter)
        self._clearing = Clearing(device)
        self._lost = False
        #: Until when nothing may be sent to the meter after an unclean end.
        self.quiet_until = 0.0
        #: Set this to begin the next turn with a new association.
        self.renew = False

    def trace(self, tap: Tap | None) -> None:
        """Let a tap see what is sent and received from now on; None ends that."""
        self._talks.tap = tap

    @property
    def patience(self) -> Patience:
        """How long the meter may be silent; a turn begins with it."""
        return self._talks.patience

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
            lives = self._trial.resume(loop.time() - self._talks.heard)
            if not self._link.is_open:
                await self.dropped()
            elif self.renew:
                await self.release()
                await self._link.close()
            elif not lives:
                await self.hang_up()
        self.renew = False
        if self._client is not None:
            if not self._client.only_order_tells:  # else an answer too many must be noticed
                # Unsolicited: a push, a modem message, or an answer that came twice.
                self._unread(self._link.drain())
            return self._client
        await self._quiet()
        client = await self._begin(end)
        self._client = client
        self._trial.begin()
        if self._lost:
            self._statistics.reconnects += 1
            self._lost = False
        return client

    async def ask(self, talk: Talk[T], end: float) -> T:
        """Run a talk within the association; close the link if the association breaks."""
        talks = self._talks
        try:
            result = await talks.hold(talk, end)
        except LinkError as error:
            began = talks.began
            await self._let_others_talk(self._client, end)
            waited_s = asyncio.get_running_loop().time() - began
            # If there was less time than for one reply, silence says nothing about the meter.
            hasty = isinstance(error, LinkTimeoutError) and waited_s < talks.timeout_s
            await (self.hang_up() if hasty else self.dropped())
            raise
        except UnfitError:
            self._trial.answered(asyncio.get_running_loop().time())
            raise
        except ServiceError:
            self._trial.acquit()
            raise
        self._trial.answered(talks.heard)
        return result

    async def dropped(self) -> None:
        """Note that the association broke, and close the link."""
        self._trial.broke()
        await self.hang_up()

    async def release(self) -> None:
        """Release the association, also a half-open one; never raises DlmsError."""
        client = self._client or self._unsettled
        # If this is cancelled too, the next call does it again.
        self._client, self._unsettled = None, client if self._link.is_open else None
        if client is None or self._unsettled is None:
            return
        await asyncio.sleep(self._device.workarounds.pause_before_disconnect_ms / 1000)
        end = asyncio.get_running_loop().time() + 2 * self._talks.timeout_s
        goodbye = client.break_off() if self._talks.unfinished else client.release()
        try:
            await self._talks.hold(goodbye, end)
            self._clearing.left_open, self._unsettled = False, None
        except LinkError:
            await self._let_others_talk(client, inf)
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the link without a release; the meter may need time without traffic then."""
        self._lost = self._lost or self._client is not None
        self._client = self._unsettled = None
        self._talks.unfinished = False
        await self._link.close()
        self.quiet_until = asyncio.get_running_loop().time() + self.quiet_s

    async def _begin(self, end: float) -> Client:
        """Open an association; try again where the first failure can be mended."""
        used, first = self._link.is_open, self._clearing.comes_first
        try:
            return await self._connect(end, clears=first, patient=first or used)
        except DlmsError as error:
            self._trial.acquit()
            # At most once until something succeeds; the counter is read anew.
            if doubts(self._counter, error):
                return await self._connect(end, clears=first, patient=True)
            if first or not self._has_time(end) or not self._clearing.may_help(error):
                raise
            return await self._connect_again(error, end)

    async def _connect_again(self, error: DlmsError, end: float) -> Client:
        """End a session that may have made the first connect fail; connect once more."""
        await self._quiet()
        # After a refusal it has been ended already, see `_open_with`.
        clears = self._clearing.left_open
        try:
            return await self._connect(end, clears=clears, patient=True, after=error)
        except ConnectError:
            raise error from None

    async def _connect(
        self, end: float, *, clears: bool, patient: bool, after: DlmsError | None = None
    ) -> Client:
        """Open an association, after ending an earlier session if `clears`.

        `patient` allows a second connection: the meter may have closed the first because of the
        DISC before, or, with delay, because of the release of another meter's session. `after` is
        the error of a first try: it is raised if the meter does not answer a DISC either.
        """
        clearing = self._clearing
        clearing.begin()
        client = self._make_client(self._device, self._counter, self._directory)
        if clears and not await self._clear(client, end) and after is not None:
            raise after
        if self._counter is not None:
            await self._counter.begin()
        if self._counter is not None and not self._counter.known:
            await self._catch_up(self._counter, end)
        try:
            try:
                await self._open_with(client.connect(), client, end)
            except LinkClosedError:
                if not patient:
                    raise
                client = self._make_client(self._device, self._counter, self._directory)
                await self._open_with(client.connect(), client, end)
        except DlmsError as error:
            if clearing.failed(error):
                await self._talks.hang_up()
            raise
        clearing.connected(after_failure=after is not None)
        return client

    async def _clear(self, client: Client, end: float) -> bool:
        """End a session that may be open from before; return whether the meter answered."""
        await self._talks.open()
        try:
            answer = await self._talks.hold(client.break_off(), end)
        except LinkError:
            answer = Cleared.SILENCE
        if not self._clearing.goes_on(answer):
            await self._link.close()
        return answer in (Cleared.ENDED, Cleared.NONE)

    async def _catch_up(self, counter: InvocationCounter, end: float) -> None:
        """Read the invocation counter as the public client."""
        talk = catch_up(counter, self._device, self._make_client)
        await self._open_with(talk, None, end)
        # Many meters close the link after the release of a client.
        await self._link.close()

    async def _open_with(self, talk: Talk[None], client: Client | None, end: float) -> None:
        """Run a talk that opens an association; a half-open one is ended again."""
        await self._talks.open()
        self._unsettled = client
        self._clearing.left_open = True
        try:
            await self._talks.hold(talk, end)
            self._unsettled = None
        except LinkError:
            await self.hang_up()
            raise
        except DlmsError:
            # The meter answered, and refused.
            if client is not None:
                await self._talks.part(client.break_off(), end)
                self._clearing.left_open = False
            await self.hang_up()
            raise

    async def _let_others_talk(self, client: Client | None, end: float) -> None:
        """Send a DISC to a meter whose session broke, if other meters share the link.

        Otherwise it may still have a session when we talk to the next meter.
        """
        if self._shared and client is not None and self._link.is_open:
            answer = await self._talks.part(client.clear(), end)
            self._clearing.left_open &= answer is not Cleared.ENDED

    async def _quiet(self) -> None:
        await asyncio.sleep(max(0.0, self.quiet_until - asyncio.get_running_loop().time()))

    def _has_time(self, end: float) -> bool:
        """Whether the meter's quiet time ends early enough, and holds up no other meter."""
        begin = max(self.quiet_until, asyncio.get_running_loop().time())
        return begin < end and not (self._shared and self.quiet_s > 0)
