"""The part of the fleet's interface that commands use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from dlms_connector.fleet import ProfileProgress
from dlms_connector.meter import Statistics, Tap
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")


class Meters(Protocol):
    """The meters of a connector, by their devices' names."""

    def submit(
        self, device_name: str, job: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        """Run a conversation before the queued polls; the future may raise a DlmsError."""
        ...

    def reconnect(self, device_name: str) -> None:
        """Poll a meter at once over a new association."""
        ...

    def refresh(self, device_name: str, class_id: int, obis: Obis) -> None:
        """Poll a meter's items of an object soon, because it was changed."""
        ...

    def statistics(self, device_name: str) -> Statistics:
        """Return a meter's counters."""
        ...

    def history(self, device_name: str) -> tuple[ProfileProgress, ...]:
        """Return what is read of a meter's profiles."""
        ...

    def trace(self, device_name: str, tap: Tap | None) -> None:
        """Let a tap see what is sent to a meter and received; None ends the one before."""
        ...
