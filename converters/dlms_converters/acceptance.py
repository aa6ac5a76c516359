"""Names in the data of a user's own converter that the platform would refuse.

One such key would cost the whole message of its device, without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.config import acceptable

#: Names that were changed, and what is sent instead.
Renamed = dict[str, str]


def accepted(data: Any) -> tuple[Any, Renamed]:
    """Return a converter's data with names that the platform accepts, and what was renamed."""
    renamed: Renamed = {}
    if isinstance(data, ConvertedData):
        _converted(data, renamed)
    elif isinstance(data, Mapping):
        data = _mapping(data, renamed)
    return data, renamed


def _converted(data: ConvertedData, renamed: Renamed) -> None:
    data.device_name = _name(data.device_name, renamed)
    data.device_type = _name(data.device_type, renamed)
    values = data.attributes.values
    if any(_is_refused(key) for key in values):
        data.attributes.values = _keys(values, renamed)
    for index, entry in enumerate(data.telemetry):
        if any(_is_refused(key) for key in entry.values):
            made = TelemetryEntry(_keys(entry.values, renamed), entry.ts)
            made.metadata = entry.metadata
            data.telemetry[index] = made


def _mapping(data: Mapping[str, Any], renamed: Renamed) -> dict[str, Any]:
    """Rename in the gateway's older form: `telemetry` and `attributes` are lists of objects."""
    result = dict(data)
    for key in ("deviceName", "deviceType"):
        if key in result:
            result[key] = _name(result[key], renamed)
    for key in ("telemetry", "attributes"):
        if isinstance(entries := result.get(key), list):
            result[key] = [_entry(each, renamed) for each in entries]
    return result


def _entry(entry: Any, renamed: Renamed) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    if isinstance(values := entry.get("values"), Mapping) and "ts" in entry:
        return {**entry, "values": _keys(values, renamed)}
    return _keys(entry, renamed)


def _keys(values: Mapping[Any, Any], renamed: Renamed) -> dict[Any, Any]:
    return {_key(key, renamed): value for key, value in values.items()}


def _key(key: Any, renamed: Renamed) -> Any:
    if isinstance(key, DatapointKey):
        name = _name(key.key, renamed)
        return key if name == key.key else DatapointKey(name, key.report_strategy)
    return _name(key, renamed)


def _name(name: Any, renamed: Renamed) -> Any:
    if not isinstance(name, str) or (instead := acceptable(name)) == name:
        return name
    renamed[name] = instead
    return instead


def _is_refused(key: Any) -> bool:
    name = getattr(key, "key", key)
    return isinstance(name, str) and acceptable(name) != name
