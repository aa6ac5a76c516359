"""A serial port on which a meter pushes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dlms_connector.config import PushListener, SerialConnection
from dlms_connector.errors import DlmsError
from dlms_connector.link import Link, make_link
from dlms_connector.protocol.datalink import make_arrivals
from dlms_connector.push.door import Take, Tell, caller_of

#: A line that is silent for so long within a push has lost its rest.
GAP_S = 5.0
_RETRY_S = 10.0


class SerialDoor:
    """A serial port; it is opened again when it is lost."""

    def __init__(self, listener: PushListener, take: Take, tell: Tell) -> None:
        self._listener, self._take, self._tell = listener, take, tell
        self._caller = caller_of(listener)
        self._arrivals = make_arrivals(listener.interface_type)
        self._link: Link | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the port; raises ConnectError."""
        one = self._listener
        link = make_link(
            SerialConnection(
                type="serial",
                port=one.serial_port or "",
                baudrate=one.baudrate,
                bytesize=one.bytesize,
                parity=one.parity,
                stopbits=one.stopbits,
            )
        )
        await link.open()
        self._link = link
        self._reading = asyncio.ensure_future(self._read(link))

    def sweep(self, now: float) -> None:
        """Do nothing: the reader itself notices gaps."""

    async def close(self) -> None:
        """Close the port."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        if self._link is not None:
            await self._link.close()

    async def _read(self, link: Link) -> None:
        while True:
            try:
                await self._take_all(link)
            except DlmsError as error:
                self._tell(self._listener.door, "lost", f"the port is lost: {error}")
            except Exception as error:  # the driver's: meters must not be unheard for ever
                self._tell(self._listener.door, "lost", f"the port is lost: {error!r}")
            self._discard()
            with suppress(Exception):  # it is opened anew in any case
                await link.close()
            await asyncio.sleep(_RETRY_S)

    async def _take_all(self, link: Link) -> None:
        """Take what comes until the port is lost; raises DlmsError, or what a driver raises."""
        loop = asyncio.get_running_loop()
        if not link.is_open:
            await link.open()
        while True:
            data = await link.receive(loop.time() + GAP_S)
            if not data:
                self._discard()
            for arrival in self._arrivals.feed(data):
                self._take(arrival.apdu, self._caller, arrival.source)

    def _discard(self) -> None:
        """Forget what has begun: what comes next is not its rest."""
        self._arrivals.reset()
        self._caller.blocks.clear()
