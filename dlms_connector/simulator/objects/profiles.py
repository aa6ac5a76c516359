"""The kinds of simulated meters, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from dlms_connector.simulator.objects.calendars import make_calendars
from dlms_connector.simulator.objects.clock import make_clock
from dlms_connector.simulator.objects.communication import make_communication
from dlms_connector.simulator.objects.cosem_object import CosemObject, Objects
from dlms_connector.simulator.objects.demand import make_demand
from dlms_connector.simulator.objects.directory import make_directory, make_identity
from dlms_connector.simulator.objects.histories import make_histories
from dlms_connector.simulator.objects.image_transfer import make_image_transfer
from dlms_connector.simulator.objects.measurements import HOUSEHOLD
from dlms_connector.simulator.objects.microstar import registers
from dlms_connector.simulator.objects.switching import make_switching


def _household() -> Iterable[CosemObject]:
    yield from _common()
    yield from (quantity.register() for quantity in HOUSEHOLD)
    yield from make_demand()
    yield from make_histories()
    yield from make_switching()
    yield from make_calendars()
    yield from make_communication()
    yield make_image_transfer()


def _microstar() -> Iterable[CosemObject]:
    yield from _common()
    yield from registers()


def _common() -> Iterable[CosemObject]:
    yield from make_identity()
    yield make_clock()
    yield from make_directory()


PROFILES: dict[str, Callable[[], Iterable[CosemObject]]] = {
    "household": _household,
    "microstar": _microstar,
}


@cache
def objects_of(profile: str) -> Objects:
    """Return a profile's objects; all its meters share them."""
    return {(made.class_id, made.name): made for made in PROFILES[profile]()}
