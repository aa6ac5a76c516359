"""The attribute or method of each short name (Blue Book, mapping of short names)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from dlms_connector.simulator.encoding.data import INT16, Data, array, octets, structure, u8, u16
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import Role
from dlms_connector.simulator.objects.cosem_object import (
    UNDEFINED,
    AccessError,
    CosemObject,
    logical_name,
)

ASSOCIATION = 0xFA00
ASSOCIATION_CLASS = 12
ASSOCIATION_NAME = logical_name("0-0:40.0.0")
OBJECT_LIST, REPLY_TO_HLS = ASSOCIATION + 0x08, ASSOCIATION + 0x58
#: Base names that the standard reserves.
_RESERVED = {
    (17, logical_name("0-0:41.0.0")): 0xFC00,
    (1, logical_name("0-0:42.0.0")): 0xFD00,
}
_FIRST, _STEP = 0x0100, 0xA0
_ATTRIBUTE = 8
#: Offset of the first method from the base name, by class id.
_METHODS = {
    3: 0x28,
    4: 0x38,
    5: 0x48,
    7: 0x58,
    8: 0x60,
    9: 0x20,
    11: 0x10,
    18: 0x40,
    20: 0x50,
    40: 0x38,
    70: 0x20,
}


class Target(NamedTuple):
    """The attribute or method of a short name; the other of the two is 0."""

    class_id: int
    name: bytes
    attribute: int
    method: int


@lru_cache(maxsize=8)
def _names(keys: tuple[tuple[int, bytes], ...]) -> Mapping[tuple[int, bytes], int]:
    return {
        key: _RESERVED.get(key, _FIRST + index * _STEP)
        for index, key in enumerate(key for key in keys if key[0] != 15)
    }


def base_names(meter: Meter) -> Mapping[tuple[int, bytes], int]:
    """Return the base name of each object."""
    return _names(tuple(meter.objects))


def resolve(meter: Meter, short_name: int) -> Target:
    """Return the attribute or method of a short name; raises AccessError."""
    for (class_id, name), base in base_names(meter).items():
        offset = short_name - base
        if not 0 <= offset < _STEP or offset % _ATTRIBUTE:
            continue
        found = meter.objects[class_id, name]
        index = offset // _ATTRIBUTE + 1
        first = _METHODS.get(class_id, _STEP)
        if offset >= first and (method := (offset - first) // _ATTRIBUTE + 1) in found.methods:
            return Target(class_id, name, 0, method)
        if index == 1 or index in found.attributes or (index == 2 and found.table):
            return Target(class_id, name, index, 0)
    raise AccessError(UNDEFINED)


def object_list(meter: Meter, role: Role) -> Data:
    """Return the association's object list with base names."""
    names = base_names(meter)
    listed = [
        _entry(names[key], found.class_id, found.version, found.name)
        for key, found in meter.objects.items()
        if key in names and _visible(found, role)
    ]
    return array(*listed, _entry(ASSOCIATION, ASSOCIATION_CLASS, 3, ASSOCIATION_NAME))


def _visible(found: CosemObject, role: Role) -> bool:
    return role.everything or found.public


def _entry(base: int, class_id: int, version: int, name: bytes) -> Data:
    signed = base - 0x10000 if base >= 0x8000 else base
    return structure(Data(INT16, signed), u16(class_id), u8(version), octets(name))
