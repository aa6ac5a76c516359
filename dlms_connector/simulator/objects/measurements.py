"""The quantities that a household's meter measures, as a table of registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import (
    FLOAT32,
    INT32,
    UINT16,
    UINT32,
    Data,
    enum,
    i8,
    structure,
)
from dlms_connector.simulator.objects.consumption import sway
from dlms_connector.simulator.objects.cosem_object import CosemObject
from dlms_connector.simulator.objects.view import Measured

W, VA, VAR, WH, VARH, A, V, HZ, NO_UNIT = 27, 28, 29, 30, 32, 33, 35, 44, 255
_SHARE = {1: 0.5, 2: 0.3, 3: 0.2}
_SHARE_NAMES = {1: 20, 2: 40, 3: 60}


def voltage(meter: Measured, at: float, phase: int = 1) -> float:
    """Return a phase's voltage in V: around 230, lower at higher power."""
    drop = meter.supply.power(at) / 1500
    return 231.5 + 2.2 * sway(meter.seed + phase, at, 7200.0) - drop


def active_power(meter: Measured, at: float, phase: int = 0) -> float:
    """Return the power drawn in W of one phase, or of all phases (0)."""
    return meter.supply.power(at) * _SHARE.get(phase, 1.0)


def power_factor(meter: Measured, at: float) -> float:
    """Return the power factor: around 0.95."""
    return 0.95 + 0.02 * sway(meter.seed, at, 3000.0)


def current(meter: Measured, at: float, phase: int = 1) -> float:
    """Return a phase's current in A, computed from power, voltage and power factor."""
    return active_power(meter, at, phase) / voltage(meter, at, phase) / power_factor(meter, at)


def frequency(meter: Measured, at: float) -> float:
    """Return the grid frequency in Hz: the same for all meters."""
    return 50.0 + 0.02 * sway(0, at, 600.0)


def energy(meter: Measured, at: float) -> float:
    """Return the energy drawn in Wh since the installation."""
    return meter.supply.energy(at)


def energy_day(meter: Measured, at: float) -> float:
    """Return the energy drawn in Wh in the day tariff."""
    return meter.supply.energy_by_day(at)


def energy_night(meter: Measured, at: float) -> float:
    """Return the energy drawn in Wh outside the day tariff: total minus day tariff."""
    return int(energy(meter, at)) - int(energy_day(meter, at))


def reactive_energy(meter: Measured, at: float) -> float:
    """Return the reactive energy drawn in varh since the installation."""
    return 0.3 * energy(meter, at)


def feed_in_energy(meter: Measured, at: float) -> float:
    """Return the energy fed into the grid in Wh since the installation."""
    return meter.feed_in.energy(at)


def feed_in_power(meter: Measured, at: float) -> float:
    """Return the power fed into the grid in W."""
    return meter.feed_in.power(at)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A register of the table: `measure` returns its value in `unit`, sent with `scaler`."""

    obis: str
    measure: Callable[[Measured, float], float]
    scaler: int
    unit: int
    tag: int = UINT32

    def data(self, meter: Measured, at: float) -> Data:
        """Return the raw value at an instant, in steps of the scaler; integers are truncated."""
        value = self.measure(meter, at) * 10**-self.scaler
        return Data(self.tag, value if self.tag == FLOAT32 else int(value))

    def now(self, meter: Measured) -> Data:
        """Return the raw value that the meter shows now."""
        return self.data(meter, meter.measuring())

    def register(self) -> CosemObject:
        """Make the register."""
        return CosemObject(
            3, Obis.parse(self.obis).octets, {2: self.now, 3: scaler_unit(self.scaler, self.unit)}
        )


def scaler_unit(scaler: int, unit: int) -> Data:
    """Make a scaler and unit."""
    return structure(i8(scaler), enum(unit))


def _of_phase(
    measure: Callable[[Measured, float, int], float], phase: int
) -> Callable[[Measured, float], float]:
    return lambda meter, at: measure(meter, at, phase)


HOUSEHOLD = (
    *(
        Quantity(f"1-0:{12 + s}.7.0", _of_phase(voltage, p), -1, V, UINT16)
        for p, s in _SHARE_NAMES.items()
    ),
    *(
        Quantity(f"1-0:{11 + s}.7.0", _of_phase(current, p), -2, A, UINT16)
        for p, s in _SHARE_NAMES.items()
    ),
    *(
        Quantity(f"1-0:{1 + s}.7.0", _of_phase(active_power, p), 0, W)
        for p, s in _SHARE_NAMES.items()
    ),
    Quantity("1-0:1.7.0", active_power, 0, W),
    Quantity("1-0:2.7.0", feed_in_power, 0, W),
    Quantity("1-0:16.7.0", lambda m, t: active_power(m, t) - feed_in_power(m, t), 0, W, INT32),
    Quantity("1-0:3.7.0", lambda m, t: 0.3 * active_power(m, t), 0, VAR),
    Quantity("1-0:9.7.0", lambda m, t: active_power(m, t) / power_factor(m, t), 0, VA),
    Quantity("1-0:12.7.0", lambda m, t: round(voltage(m, t), 1), 0, V, FLOAT32),
    Quantity("1-0:13.7.0", power_factor, -3, NO_UNIT, UINT16),
    Quantity("1-0:14.7.0", frequency, -2, HZ, UINT16),
    Quantity("1-0:1.8.0", energy, 0, WH),
    Quantity("1-0:1.8.1", energy_day, 0, WH),
    Quantity("1-0:1.8.2", energy_night, 0, WH),
    Quantity("1-0:2.8.0", feed_in_energy, 0, WH),
    Quantity("1-0:3.8.0", reactive_energy, 0, VARH),
)
