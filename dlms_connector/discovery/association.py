"""One association with the meter that was found: opened once, used, and released."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dlms_connector.config import Device
from dlms_connector.discovery.search import MakeLink
from dlms_connector.errors import DlmsError, LinkError, UnreadyError
from dlms_connector.link import Link
from dlms_connector.meter import catch_up, converse
from dlms_connector.protocol import Client, make_client
from dlms_connector.protocol.directive import Pause
from dlms_connector.protocol.services import Directory
from dlms_connector.protocol.talk import Cleared, Talk
from dlms_connector.state import InvocationCounter, NoPlace, counter_of

T = TypeVar("T")

#: Most seconds to read all objects: the slowest lines read one register per second.
_LONGEST_S = 1800.0
#: The meter answered its address just now: this often, and so long, an association is waited for.
_RETRIES = 1
_LEAST_S = 2.5
#: How much longer than its slowest answer so far a meter is waited for.
_ALLOWANCE = 8
#: How many times longer a meter is polled that says it is busy.
_BUSY = 2


class Patience:
    """How long to wait for an answer of one meter, from how long its answers took so far."""

    def __init__(self) -> None:
        self.slowest_s = 0.0
        #: Whether an answer failed to come: then no other is waited for as long as configured.
        self.tried = False

    def timeout_s(self, device: Device, *, opening: bool = False) -> float:
        """Return the seconds to wait for one answer."""
        configured = device.connection.timeout_ms / 1000
        # Ciphering and proofs take some meters long; an AARQ without them is answered at once.
        if not self.tried and not (opening and device.dlms.authentication == "NONE"):
            return configured
        return min(configured, max(_LEAST_S, _ALLOWANCE * self.slowest_s))

    def timing(self, talk: Talk[T], most_busy_s: float) -> Talk[T]:
        """Run a talk and note how long the meter takes to answer.

        A meter that only says that it is still busy (RR over HDLC) is polled for `most_busy_s`.
        """
        now = asyncio.get_running_loop().time
        pause_s = busy_s = 0.0
        try:
            out, sent = next(talk), now()
            while True:
                if isinstance(out, Pause):
                    # The pauses of one exchange grow, so a shorter one begins another.
                    busy_s = out.seconds + (busy_s if out.seconds >= pause_s else 0.0)
                    pause_s = out.seconds
                    if busy_s > most_busy_s:
                        out = talk.throw(UnreadyError(busy_s))
                        continue
                try:
                    data = yield out
                except DlmsError as error:
                    out = talk.throw(error)
                    continue
                if data:
                    self.slowest_s = max(self.slowest_s, now() - sent)
                out = talk.send(data)
                if out:
                    sent = now()
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            talk.close()


async def in_association(
    device: Device,
    make_link: MakeLink,
    job: Callable[[Client], Talk[T]],
    *,
    reopen_s: float,
    patience: Patience,
    state_dir: Path | NoPlace | None = None,
    directory: Directory | None = None,
) -> T:
    """Open an association, run a conversation in it, and always release it.

    `reopen_s` is the wait before each connection; `state_dir` is where invocation counters are
    kept, `directory` what outlives an association. The association is requested only once: a
    refused request is not repeated. Raises DlmsError.
    """
    retries = min(_RETRIES, device.connection.retries)
    if device.dlms.interface_type == "WRAPPER" and device.dlms.authentication != "NONE":
        retries = 0  # HDLC numbers its frames; here a repeated AARQ would be a second attempt
    connection = device.connection.model_copy(update={"retries": retries})
    device = device.model_copy(update={"connection": connection})
    link = make_link(device.connection)
    conversation = _Conversation(
        device, link, reopen_s, state_dir, patience, directory or Directory()
    )
    try:
        await conversation.open()
        client = await conversation.associate()
        try:
            return await conversation.hold(job(client))
        except LinkError:
            patience.tried = True
            await conversation.break_off(client)
            raise
        finally:
            await conversation.part(client)
    finally:
        await link.close()


class _Conversation:
    """The conversations with one meter, with its timeout and pauses."""

    def __init__(
        self,
        device: Device,
        link: Link,
        reopen_s: float,
        state_dir: Path | NoPlace | None,
        patience: Patience,
        directory: Directory,
    ) -> None:
        self._directory = directory
        self._device, self._link, self._reopen_s = device, link, reopen_s
        self._state_dir, self._patience = state_dir, patience
        self._parted = False
        self._counter: InvocationCounter | None = None

    async def open(self) -> None:
        """Open the link. The probes left no session open, so no DISC comes first."""
        await self._open()
        device = self._device
        if device.workarounds.clear_first == "always" and device.dlms.interface_type == "HDLC":
            await self._clear()

    async def associate(self) -> Client:
        """Open the association and return the client; after silence, end an earlier session."""
        try:
            return await self._associate()
        except LinkError:
            device = self._device
            if device.workarounds.clear_first != "auto" or device.dlms.interface_type != "HDLC":
                raise
            await self._link.close()
            await self._open()
            answer = await self._clear()
            if answer is Cleared.SILENCE:
                raise
            if answer is Cleared.NONE:
                # Some meters ignore all that follows a DISC without a session.
                await self._link.close()
                await self._open()
            return await self._associate()

    async def _clear(self) -> Cleared:
        """End a session that an earlier run may have left open; return what the meter answered."""
        answer = await self.hold(make_client(self._device).clear(), opening=True)
        if not self._link.is_open:
            await self._open()
        return answer

    async def _associate(self) -> Client:
        """Open the association, after reading an unknown invocation counter; return the client."""
        device = self._device
        counter = self._counter = counter_of(device, self._state_dir, logging.getLogger(__name__))
        if counter is not None:
            await counter.begin()
        if counter is not None and not counter.known:
            await self.hold(catch_up(counter, device, make_client))
            await self._link.close()
            await self._open()
        client = make_client(device, counter, self._directory)
        try:
            await self.hold(client.connect(), opening=True)
        except LinkError:
            raise
        except DlmsError:
            await self.part(client)
            raise
        return client

    async def hold(self, talk: Talk[T], *, opening: bool = False) -> T:
        """Run one conversation."""
        timeout_s = self._patience.timeout_s(self._device, opening=opening)
        counter = self._counter
        if counter is not None:
            await counter.begin()
        return await converse(
            self._patience.timing(talk, _BUSY * timeout_s),
            self._link,
            timeout_s=timeout_s,
            pause_s=self._device.workarounds.pause_between_frames_ms / 1000,
            overall_s=_LONGEST_S,
            top_up=counter.top_up if counter else None,
        )

    async def break_off(self, client: Client) -> None:
        """End the session after an exchange was interrupted; ignore errors."""
        self._parted = True
        if self._link.is_open:
            with suppress(DlmsError):
                await self.hold(client.break_off())

    async def part(self, client: Client) -> None:
        """Release the association if it was not broken off; ignore errors."""
        if self._link.is_open and not self._parted:
            await asyncio.sleep(self._device.workarounds.pause_before_disconnect_ms / 1000)
            with suppress(DlmsError):
                await self.hold(client.release())

    async def _open(self) -> None:
        await asyncio.sleep(self._reopen_s)
        await self._link.open()
        await asyncio.sleep(self._device.workarounds.pause_after_connect_ms / 1000)
