"""A link whose octets a tap sees: for what talks over links of its own, as discovery does."""

from __future__ import annotations

from typing import Protocol, cast

from dlms_connector.link import Link


class _Tap(Protocol):
    def sent(self, data: bytes) -> None: ...
    def received(self, data: bytes) -> None: ...


class _Settable(Protocol):
    async def configure(
        self, baudrate: int, bytesize: int, parity: str, stopbits: int
    ) -> None: ...  # fmt: skip


class TappedLink:
    """Behaves as the link that it wraps; raises what that one raises."""

    def __init__(self, link: Link, tap: _Tap) -> None:
        self._link, self._tap = link, tap

    @property
    def bytes_in(self) -> int:
        """Octets received."""
        return self._link.bytes_in

    @bytes_in.setter
    def bytes_in(self, count: int) -> None:
        self._link.bytes_in = count

    @property
    def bytes_out(self) -> int:
        """Octets sent."""
        return self._link.bytes_out

    @bytes_out.setter
    def bytes_out(self, count: int) -> None:
        self._link.bytes_out = count

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._link.is_open

    async def open(self) -> None:
        """Connect to the endpoint."""
        await self._link.open()

    def send(self, data: bytes) -> None:
        """Send, and let the tap see it."""
        self._tap.sent(data)
        self._link.send(data)

    async def receive(self, deadline: float) -> bytes:
        """Return what has arrived, as the tap sees it too."""
        data = await self._link.receive(deadline)
        if data:
            self._tap.received(data)
        return data

    def drain(self) -> bytes:
        """Return unsolicited octets, as the tap sees them too."""
        data = self._link.drain()
        if data:
            self._tap.received(data)
        return data

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()


class _TappedLine(TappedLink):
    """A link whose line has settings: only this one can be configured."""

    async def configure(self, baudrate: int, bytesize: int, parity: str, stopbits: int) -> None:
        """Change the settings of the line."""
        await cast(_Settable, self._link).configure(baudrate, bytesize, parity, stopbits)


def tapped(link: Link, tap: _Tap) -> Link:
    """Return a link with a tap."""
    return _TappedLine(link, tap) if hasattr(link, "configure") else TappedLink(link, tap)
