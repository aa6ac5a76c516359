"""Attributes that a meter with a fault gives otherwise: scalers, and parts of profiles."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import (
    INT16,
    NOTHING,
    Data,
    array,
    i8,
    structure,
    u8,
    u32,
)
from dlms_connector.simulator.faults import Faults
from dlms_connector.simulator.objects.cosem_object import AccessError

_SCALERS = {(3, 3), (4, 3), (5, 4)}
_CAPTURE_OBJECTS, _CAPTURE_PERIOD = (7, 3), (7, 4)
_REGISTER = 3
_WHOLE, _UNUSUAL = 0, -1


def odd(faults: Faults, class_id: int, attribute: int, value: Data) -> Data:
    """Return the value of an attribute as the meter's faults give it; raises AccessError."""
    place = (class_id, attribute)
    if place == _CAPTURE_PERIOD and "no-capture-period" in faults:
        return u32(0)
    if place == _CAPTURE_OBJECTS and ("whole-objects" in faults or "index-255" in faults):
        return array(*(_captured(faults, entry) for entry in value.value))
    return _scaler(faults, value) if place in _SCALERS else value


def _captured(faults: Faults, entry: Data) -> Data:
    """Return a capture object with another attribute index."""
    class_id, name, index, part = entry.value
    if "index-255" in faults:
        index = i8(_UNUSUAL)
    elif class_id.value == _REGISTER:
        index = i8(_WHOLE)
    return structure(class_id, name, index, part)


def _scaler(faults: Faults, value: Data) -> Data:
    if "no-scaler" in faults:
        raise AccessError(int(faults["no-scaler"]))
    if "null-scaler" in faults:
        return NOTHING
    if "long-scaler" in faults:
        power, unit = value.value
        return structure(Data(INT16, power.value), unit, u8(0))
    return value
