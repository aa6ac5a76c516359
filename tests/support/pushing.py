"""What stands around a receiver of pushes in tests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dlms_connector.config import Device
from dlms_connector.errors import DlmsError
from dlms_connector.push.receiver import Receiver
from dlms_connector.reading import Poll, Reading
from dlms_connector.state import PushedCounters
from tests.support.pushes import NOON_MS

NOW_MS = NOON_MS + 5000
LOG = logging.getLogger("test.push")


class Collected:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.states: list[tuple[str, str]] = []
        self.devices: list[str] = []

    def polled(self, device: Device, poll: Poll) -> None:
        self.readings += poll.readings
        self.devices.append(device.device_name)

    def state(self, device: Device, state: str, error: DlmsError | None) -> None:
        self.states.append((device.device_name, state))

    @property
    def values(self) -> dict[str, tuple[Any, str | None]]:
        return {one.key: (one.value, one.unit) for one in self.readings}


class Clock:
    """A clock that a test turns, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def receiver_of(
    *devices: Device,
    sink: Collected,
    counters: PushedCounters | None = None,
    clock: Callable[[], float] = lambda: 0.0,
    **more: Any,
) -> Receiver:
    """Return a receiver whose present is fixed."""
    return Receiver(
        devices,
        sink,
        LOG,
        counters=counters or PushedCounters(None, LOG),
        now_ms=lambda: NOW_MS,
        clock=clock,
        **more,
    )
