"""What a meter offers its objects, so that objects need not know the meter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dlms_connector.simulator.encoding.data import Data
from dlms_connector.simulator.faults import Faults
from dlms_connector.simulator.objects.consumption import Consumption
from dlms_connector.simulator.objects.image import Image
from dlms_connector.simulator.objects.supply import Supply
from dlms_connector.simulator.options import MeterOptions


@dataclass(frozen=True, slots=True)
class Role:
    """What a client may do, and how it must prove itself."""

    authentication: str
    everything: bool


class Measured(Protocol):
    """What measured values depend on."""

    seed: int
    supply: Supply
    feed_in: Consumption

    @property
    def held(self) -> float | None:
        """The instant at which values are held, if they are."""
        ...

    def measuring(self) -> float:
        """Return the instant whose values are shown now."""
        ...


class MeterView(Measured, Protocol):
    """A meter as its objects see it: its settings, its clock, and what it remembers."""

    options: MeterOptions
    faults: Faults
    clock_shift: float
    relay_state: int
    image: Image
    events: list[tuple[float, int]]
    received_counter: int

    def true_time(self) -> float:
        """Return the instant as the world has it, in seconds since 1970."""
        ...

    def clock(self) -> float:
        """Return the instant as the meter's clock has it."""
        ...

    def value(self, class_id: int, name: bytes, attribute: int) -> Data:
        """Return an attribute's value as the meter itself sees it."""
        ...

    def keep(self, class_id: int, name: bytes, attribute: int, value: Data) -> None:
        """Remember a value that was set."""
        ...

    def note(self, event: int) -> None:
        """Enter an event into the event log."""
        ...
