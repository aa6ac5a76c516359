"""A meter like that of a Microstar installation: few objects, channel B=1, no GET-with-list."""

from __future__ import annotations

from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import UINT16, UINT32, Data
from dlms_connector.simulator.objects import measurements as m
from dlms_connector.simulator.objects.cosem_object import CosemObject, Source
from dlms_connector.simulator.objects.view import Measured

#: Raw values that were read from that meter; they are shown while values are held.
HELD = {"1-1:32.7.0": 13519, "1-1:31.7.0": 1329, "1-1:14.7.0": 4998, "1-1:1.7.0": 170,
        "1-1:1.8.0": 1234567}  # fmt: skip

QUANTITIES = (
    m.Quantity("1-1:32.7.0", lambda meter, at: m.voltage(meter, at) - 95.0, -2, m.V),
    m.Quantity("1-1:31.7.0", m.current, -3, m.A),
    m.Quantity("1-1:14.7.0", m.frequency, -2, m.HZ, UINT16),
    m.Quantity("1-1:1.7.0", m.active_power, 0, m.W),
    m.Quantity("1-1:1.8.0", m.energy, 0, m.WH),
)


def registers() -> list[CosemObject]:
    """Return the meter's five registers."""
    return [_register(quantity) for quantity in QUANTITIES]


def _register(quantity: m.Quantity) -> CosemObject:
    held = Data(quantity.tag or UINT32, HELD[quantity.obis])

    def value(meter: Measured) -> Data:
        return quantity.now(meter) if meter.held is None else held

    attributes: dict[int, Source] = {2: value, 3: m.scaler_unit(quantity.scaler, quantity.unit)}
    return CosemObject(3, Obis.parse(quantity.obis).octets, attributes)
