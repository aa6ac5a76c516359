"""A household's consumption as a function of time: an instant always has the same value.

Power is a base plus a sum of waves. The base is larger than all amplitudes together, so power
is always positive. Its integral, the energy, always grows and has a closed form: a load profile
of any age needs no stored values and agrees with the registers to the watt-hour.
"""

from __future__ import annotations

import cmath
import math
import random
from dataclasses import dataclass

DAY = 86_400.0
#: Installation time of all simulated meters, in Unix time: 2024-01-01 00:00 UTC.
INSTALLED = 1_704_067_200.0
DAY_TARIFF = (6 * 3600.0, 22 * 3600.0)


@dataclass(frozen=True, slots=True)
class Wave:
    """`amplitude * sin(omega * t + phase)`, t in seconds since the installation."""

    amplitude: float
    omega: float
    phase: float

    def value(self, t: float) -> float:
        """Return the wave's value."""
        return self.amplitude * math.sin(self.omega * t + self.phase)

    def integral(self, t: float) -> float:
        """Return an antiderivative."""
        return -self.amplitude / self.omega * math.cos(self.omega * t + self.phase)

    def integral_over_days(self, days: int, offset: float) -> float:
        """Return the sum of the antiderivative at `offset` (s) of each of the first `days` days."""
        turn = cmath.exp(1j * self.omega * DAY)
        start = cmath.exp(1j * (self.omega * offset + self.phase))
        near_one = abs(turn - 1) < 1e-9
        total = start * (days if near_one else (turn**days - 1) / (turn - 1))
        return -self.amplitude / self.omega * total.real


@dataclass(frozen=True, slots=True)
class Consumption:
    """Power in W (base and waves) and energy in Wh since the installation."""

    base_w: float
    waves: tuple[Wave, ...]

    def power(self, at: float) -> float:
        """Return the power in W at an instant."""
        t = at - INSTALLED
        return self.base_w + sum(wave.value(t) for wave in self.waves)

    def energy(self, at: float) -> float:
        """Return the energy in Wh from the installation to an instant."""
        t = max(0.0, at - INSTALLED)
        waves = sum(wave.integral(t) - wave.integral(0) for wave in self.waves)
        return (self.base_w * t + waves) / 3600

    def energy_by_day(self, at: float) -> float:
        """Return the part of the energy that fell into the day tariff (6 to 22 h UTC)."""
        begin, end = DAY_TARIFF
        days, second = divmod(max(0.0, at - INSTALLED), DAY)
        whole = self.base_w * (end - begin) * days + sum(
            wave.integral_over_days(int(days), end) - wave.integral_over_days(int(days), begin)
            for wave in self.waves
        )
        part = min(max(second, begin), end)
        t0, t1 = days * DAY + begin, days * DAY + part
        today = self.base_w * (t1 - t0) + sum(w.integral(t1) - w.integral(t0) for w in self.waves)
        return (whole + today) / 3600


def make_consumption(seed: int, base_w: float = 600.0, purpose: str = "import") -> Consumption:
    """Make one household's pattern: waves for the day, the meals, the fridge and noise."""
    rng = random.Random(f"{purpose}/{seed}")  # noqa: S311 (no secret, only variety)
    base = base_w * rng.uniform(0.8, 1.25)
    shares = ((0.35, DAY), (0.25, DAY / 2), (0.15, 5400.0), (0.1, 1380.0), (0.08, 61.0))
    waves = tuple(
        Wave(
            base * share,
            2 * math.pi / (period * (1.0 if period >= DAY / 2 else rng.uniform(0.9, 1.1))),
            rng.uniform(-0.6, 0.6) - (2.4 if period == DAY else 0.0),
        )
        for share, period in shares
    )
    return Consumption(base, waves)


def sway(seed: int, at: float, period: float) -> float:
    """Return a smooth value in -1..1 that differs from meter to meter."""
    t = 2 * math.pi * (at - INSTALLED) / period
    return 0.7 * math.sin(t + seed) + 0.3 * math.sin(5.3 * t + 2 * seed)
