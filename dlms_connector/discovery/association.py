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
from dlms_connector.errors import DlmsError, LinkClosedError, LinkError
from dlms_connector.link import Link
from dlms_connector.meter import catch_up, converse
from dlms_connector.protocol import Client, make_client
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import counter_of

T = TypeVar("T")

#: Most seconds to read all objects: the slowest lines read one register per second.
_LONGEST_S = 1800.0


async def in_association(
    device: Device,
    make_link: MakeLink,
    job: Callable[[Client], Talk[T]],
    *,
    reopen_s: float,
    state_dir: Path | None = None,
) -> T:
    """Open an association, run a conversation in it, and always release it.

    `reopen_s` is the wait before each connection; `state_dir` is where invocation counters are
    kept. The association is requested only once: a refused request is not repeated.
    Raises DlmsError.
    """
    if device.dlms.interface_type == "WRAPPER" and device.dlms.authentication != "NONE":
        # HDLC numbers its frames; over the wrapper a repeated AARQ would be a second attempt.
        once = device.connection.model_copy(update={"retries": 0})
        device = device.model_copy(update={"connection": once})
    link = make_link(device.connection)
    conversation = _Conversation(device, link, reopen_s, state_dir)
    try:
        await conversation.open()
        client = await conversation.associate()
        try:
            return await conversation.hold(job(client))
        finally:
            await conversation.part(client)
    finally:
        await link.close()


class _Conversation:
    """The conversations with one meter, with its timeout and pauses."""

    def __init__(self, device: Device, link: Link, reopen_s: float, state_dir: Path | None) -> None:
        self._device, self._link, self._reopen_s = device, link, reopen_s
        self._state_dir = state_dir
        self._timeout_s = device.connection.timeout_ms / 1000

    async def open(self) -> None:
        """Open the link and end a session that an earlier run may have left open."""
        await self._open()
        if self._device.dlms.interface_type != "HDLC":
            return
        try:
            await self.hold(make_client(self._device).clear())
        except LinkClosedError:
            # Some meters close the connection after an unexpected DISC.
            await self._link.close()
            await self._open()

    async def associate(self) -> Client:
        """Open the association, after reading an unknown invocation counter; return the client."""
        device = self._device
        counter = counter_of(device, self._state_dir, logging.getLogger(__name__))
        if counter is not None and not counter.known:
            await self.hold(catch_up(counter, device, make_client))
            await self._link.close()
            await self._open()
        client = make_client(device, counter)
        try:
            await self.hold(client.connect())
        except LinkError:
            raise
        except DlmsError:
            await self.part(client)
            raise
        return client

    async def hold(self, talk: Talk[T]) -> T:
        """Run one conversation."""
        return await converse(
            talk,
            self._link,
            timeout_s=self._timeout_s,
            pause_s=self._device.workarounds.pause_between_frames_ms / 1000,
            overall_s=_LONGEST_S,
        )

    async def part(self, client: Client) -> None:
        """Release the association; ignore errors."""
        if self._link.is_open:
            await asyncio.sleep(self._device.workarounds.pause_before_disconnect_ms / 1000)
            with suppress(DlmsError):
                await self.hold(client.release())

    async def _open(self) -> None:
        await asyncio.sleep(self._reopen_s)
        await self._link.open()
        await asyncio.sleep(self._device.workarounds.pause_after_connect_ms / 1000)
