"""Energy through a meter: a household's consumption, except while the relay was open."""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.simulator.objects.consumption import Consumption


class Supply:
    """Power and energy of a consumption that can be cut off and restored."""

    def __init__(self, consumption: Consumption) -> None:
        self._consumption = consumption
        self._outages: list[tuple[float, float]] = []
        self._cut_at: float | None = None

    def cut(self, at: float) -> None:
        """Open the relay."""
        if self._cut_at is None:
            self._cut_at = at

    def restore(self, at: float) -> None:
        """Close the relay."""
        if self._cut_at is not None:
            self._outages.append((self._cut_at, at))
            self._cut_at = None

    def power(self, at: float) -> float:
        """Return the power in W at an instant: 0 while cut off."""
        off = any(begin <= at < end for begin, end in self._gaps(at))
        return 0.0 if off else self._consumption.power(at)

    def energy(self, at: float) -> float:
        """Return the energy in Wh since the installation."""
        return self._less_gaps(self._consumption.energy, at)

    def energy_by_day(self, at: float) -> float:
        """Return the part of the energy in Wh that fell into the day tariff."""
        return self._less_gaps(self._consumption.energy_by_day, at)

    def _less_gaps(self, energy: Callable[[float], float], at: float) -> float:
        missed = (energy(min(end, at)) - energy(begin) for begin, end in self._gaps(at))
        return energy(at) - sum(missed)

    def _gaps(self, at: float) -> list[tuple[float, float]]:
        gaps = [(begin, end) for begin, end in self._outages if begin < at]
        if self._cut_at is not None and self._cut_at <= at:
            gaps.append((self._cut_at, at + 1))
        return gaps
