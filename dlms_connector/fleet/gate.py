"""How many links are opened at the same time."""

from __future__ import annotations

import asyncio

from dlms_connector.link import Link

#: Connections that are being opened at the same time, to avoid a burst of thousands.
_CONNECTING = 50
#: A connection attempt without an answer frees its place for the next after this time.
_CONNECTING_S = 1.0


class Gate:
    """Limits how many links are opened at the same time.

    A link holds its place for a second at most: dead endpoints take their whole connect
    timeout and must not delay the others.
    """

    def __init__(self, places: int = _CONNECTING, hold_s: float = _CONNECTING_S) -> None:
        self._places = asyncio.Semaphore(places)
        self._hold_s = hold_s

    async def open(self, link: Link) -> None:
        """Open a link; raises ConnectError."""
        async with self._places:
            opening = asyncio.ensure_future(link.open())
            # If nobody awaits the result any more, asyncio shall not log a failure.
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                await asyncio.wait({opening}, timeout=self._hold_s)
            except BaseException:
                opening.cancel()
                raise
        await opening
