"""The kinds of simulated meters, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from dlms_connector.obis import Obis
from dlms_connector.simulator import clock, microstar
from dlms_connector.simulator.cosem_object import CosemObject, Objects
from dlms_connector.simulator.data import TEXT, Data, octets
from dlms_connector.simulator.measurements import HOUSEHOLD
from dlms_connector.simulator.meter_view import MeterView


def _identity() -> list[CosemObject]:
    def device_name(meter: MeterView) -> Data:
        return octets(b"SIM%013d" % meter.seed)

    def serial_number(meter: MeterView) -> Data:
        return octets(b"%08d" % meter.seed)

    return [
        CosemObject(1, Obis.parse("0-0:42.0.0").octets, {2: device_name}, public=True),
        CosemObject(1, Obis.parse("0-0:96.1.0").octets, {2: serial_number}),
        CosemObject(1, Obis.parse("1-0:0.2.0").octets, {2: Data(TEXT, b"SIM-1.0")}),
    ]


def _household() -> Iterable[CosemObject]:
    yield from _identity()
    yield clock.make_clock()
    yield from (quantity.register() for quantity in HOUSEHOLD)


def _microstar() -> Iterable[CosemObject]:
    yield from _identity()
    yield clock.make_clock()
    yield from microstar.registers()


PROFILES: dict[str, Callable[[], Iterable[CosemObject]]] = {
    "household": _household,
    "microstar": _microstar,
}


@cache
def objects_of(profile: str) -> Objects:
    """Return a profile's objects; all its meters share them."""
    return {(made.class_id, made.name): made for made in PROFILES[profile]()}
