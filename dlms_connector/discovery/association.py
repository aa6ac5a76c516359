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

#: What reading all objects may take at most: the slowest lines read a register per second.
_LONGEST_S = 1800.0


async def in_association(
    device: Device,
    make_link: MakeLink,
    job: Callable[[Client], Talk[T]],
    *,
    reopen_s: float,
    state_dir: Path | None = None,
) -> T:
    """Open an association, hold a conversation in it, and say goodbye whatever happens.

    `reopen_s` passes before each connection; `state_dir` is where invocation counters are
    kept. The association is asked for once: nothing here tries a second time with what was
    refused.
    Raises DlmsError.
    """
    if device.dlms.interface_type == "WRAPPER" and device.dlms.authentication != "NONE":
        # HDLC numbers what it repeats; an AARQ of the wrapper would count as a second try.
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
    """The talks with one meter, at its pace."""

    def __init__(self, device: Device, link: Link, reopen_s: float, state_dir: Path | None) -> None:
        self._device, self._link, self._reopen_s = device, link, reopen_s
        self._state_dir = state_dir
        self._timeout_s = device.connection.timeout_ms / 1000

    async def open(self) -> None:
        """Open the link and end what an earlier session may have left behind."""
        await self._open()
        if self._device.dlms.interface_type != "HDLC":
            return
        try:
            await self.hold(make_client(self._device).clear())
        except LinkClosedError:
            # Some meters hang up when they hear a DISC they did not expect.
            await self._link.close()
            await self._open()

    async def associate(self) -> Client:
        """Return the client of an open association; invocation counters are read before."""
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
        """Hold one talk."""
        return await converse(
            talk,
            self._link,
            timeout_s=self._timeout_s,
            pause_s=self._device.workarounds.pause_between_frames_ms / 1000,
            overall_s=_LONGEST_S,
        )

    async def part(self, client: Client) -> None:
        """Say goodbye; that it fails is no error."""
        if self._link.is_open:
            await asyncio.sleep(self._device.workarounds.pause_before_disconnect_ms / 1000)
            with suppress(DlmsError):
                await self.hold(client.release())

    async def _open(self) -> None:
        await asyncio.sleep(self._reopen_s)
        await self._link.open()
        await asyncio.sleep(self._device.workarounds.pause_after_connect_ms / 1000)
