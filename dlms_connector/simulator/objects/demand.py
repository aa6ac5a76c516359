"""Demand: mean power over quarters of an hour (classes 4 and 5)."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import UINT32, Data, u8, u16, u32
from dlms_connector.simulator.objects import measurements as m
from dlms_connector.simulator.objects import moments
from dlms_connector.simulator.objects.cosem_object import CosemObject, Source, logical_name
from dlms_connector.simulator.objects.view import MeterView

_PERIOD = 900
#: Periods of the maximum demand, one day: it changes plausibly and is cheap to compute.
_PERIODS = 96


def mean_power(meter: MeterView, begin: float, end: float) -> float:
    """Return the mean power in W between two instants."""
    spent = m.energy(meter, end) - m.energy(meter, begin)
    return spent * 3600 / max(1.0, end - begin)


def maximum_demand(meter: MeterView, at: float) -> tuple[float, float]:
    """Return the largest demand in W of the day before an instant, and the end of its period."""
    last = at // _PERIOD * _PERIOD
    ends = (last - index * _PERIOD for index in range(_PERIODS))
    return max((mean_power(meter, end - _PERIOD, end), end) for end in ends)


def _begun(meter: MeterView) -> float:
    return meter.measuring() // _PERIOD * _PERIOD


def _current(meter: MeterView) -> Data:
    return Data(UINT32, int(mean_power(meter, _begun(meter), meter.measuring())))


def _last(meter: MeterView) -> Data:
    return Data(UINT32, int(mean_power(meter, _begun(meter) - _PERIOD, _begun(meter))))


def _start(meter: MeterView) -> Data:
    return moments.write(meter, _begun(meter))


def _maximum(meter: MeterView) -> Data:
    return Data(UINT32, int(maximum_demand(meter, meter.measuring())[0]))


def _maximum_at(meter: MeterView) -> Data:
    return moments.write(meter, maximum_demand(meter, meter.measuring())[1])


def make_demand() -> list[CosemObject]:
    """Make the demand register and the register of its maximum."""
    unit = m.scaler_unit(0, m.W)
    periods: dict[int, Source] = {8: u32(_PERIOD), 9: u16(1)}
    return [
        CosemObject(
            5,
            logical_name("1-0:1.4.0"),
            {2: _current, 3: _last, 4: unit, 5: u8(0), 6: _start, 7: _start, **periods},
        ),
        CosemObject(4, logical_name("1-0:1.6.0"), {2: _maximum, 3: unit, 4: u8(0), 5: _maximum_at}),
    ]
