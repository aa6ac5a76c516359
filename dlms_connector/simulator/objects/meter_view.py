"""What measured values depend on: the meter, seen from its measuring side."""

from __future__ import annotations

from typing import Protocol

from dlms_connector.simulator.objects.consumption import Consumption
from dlms_connector.simulator.objects.supply import Supply


class MeterView(Protocol):
    """A meter as its measurements see it."""

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
