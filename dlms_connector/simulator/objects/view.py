"""The interface of a meter for its objects, so that they do not depend on `Meter`."""

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
    """The access rights of a client, and the authentication that it must use."""

    authentication: str
    everything: bool


class Measured(Protocol):
    """The part of a meter on which measured values depend."""

    seed: int
    supply: Supply
    feed_in: Consumption

    @property
    def held(self) -> float | None:
        """The instant at which values are held; None if they are not held."""
        ...

    def measuring(self) -> float:
        """Return the instant for which values are shown now."""
        ...


class MeterView(Measured, Protocol):
    """A meter as its objects see it: its settings, its clock and its stored state."""

    options: MeterOptions
    faults: Faults
    clock_shift: float
    relay_state: int
    image: Image
    events: list[tuple[float, int]]
    received_counter: int

    def true_time(self) -> float:
        """Return the true time, in seconds since 1970."""
        ...

    def clock(self) -> float:
        """Return the time of the meter's clock, in seconds since 1970."""
        ...

    def value(self, class_id: int, name: bytes, attribute: int) -> Data:
        """Return an attribute's value, with all access rights."""
        ...

    def keep(self, class_id: int, name: bytes, attribute: int, value: Data) -> None:
        """Store a value that was set."""
        ...

    def note(self, event: int) -> None:
        """Enter an event into the event log."""
        ...
