"""Size limits of the gateway's messages, in bytes of JSON.

The gateway does not split telemetry of 64 KiB at one instant, and never gets rid of it. It
merges entries of equal instants. If attributes exceed its payload size, it loses the rest of
their batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey

from dlms_connector.reading import LARGEST_VALUE
from dlms_converters.device_data import DeviceData
from dlms_converters.json_value import json_size

#: Limit of all values of one instant.
LARGEST_ENTRY = 32 * 1024

__all__ = ["LARGEST_ENTRY", "LARGEST_VALUE", "Values", "chunks", "messages"]

Values = dict[DatapointKey, Any]


def chunks(values: Mapping[DatapointKey, Any], limit: int) -> Iterator[Values]:
    """Yield the values in chunks; only a chunk of a single value may exceed the limit."""
    chunk: Values = {}
    size = 0
    for key, value in values.items():
        own = len(str(getattr(key, "key", key)).encode()) + json_size(value)
        if chunk and size + own > limit:
            yield chunk
            chunk, size = {}, 0
        chunk[key] = value
        size += own
    if chunk:
        yield chunk


def messages(data: ConvertedData) -> Iterator[ConvertedData]:
    """Yield the data with as many attributes as the gateway takes, then the other attributes."""
    if not data.attributes.values:
        yield data
        return
    first, *others = [*chunks(data.attributes, LARGEST_VALUE["attributes"])] or [{}]
    if not others:
        yield data
        return
    data.attributes.values = first
    yield data
    for attributes in others:
        part = DeviceData(data.device_name, data.device_type)
        part.add_to_attributes(attributes)
        yield part
