"""Checks of the types of data that a client sends to an attribute or a method."""

from __future__ import annotations

from typing import Any

from dlms_connector.simulator.encoding.data import ARRAY, STRUCTURE, Data
from dlms_connector.simulator.objects.cosem_object import TYPE_UNMATCHED, AccessError


def fields(data: Data, *tags: int) -> tuple[Any, ...]:
    """Return the values of a structure of these types; raises AccessError."""
    if data.tag != STRUCTURE or tuple(item.tag for item in data.value) != tags:
        raise AccessError(TYPE_UNMATCHED)
    return tuple(item.value for item in data.value)


def same_shape(before: Data, after: Data) -> bool:
    """Tell whether new data has the types of the old; an empty array takes any elements."""
    if before.tag != after.tag:
        return False
    if before.tag == STRUCTURE:
        return len(before.value) == len(after.value) and all(
            map(same_shape, before.value, after.value)
        )
    if before.tag == ARRAY and before.value:
        return all(same_shape(before.value[0], item) for item in after.value)
    return True
