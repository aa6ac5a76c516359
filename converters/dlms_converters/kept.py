"""Telemetry that is kept until the platform has stored it: out of converted data, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_converters.device_data import DeviceData
from dlms_converters.json_value import json_value
from dlms_converters.message_size import LARGEST_ENTRY, LARGEST_VALUE, chunks
from dlms_converters.report_strategy import ON_RECEIVED, is_on_received

#: The values of one instant by key, ready for JSON, after the Unix time in ms.
Instant = tuple[int, Mapping[str, Any]]


def instants(data: Any) -> list[Instant]:
    """Return the telemetry of a converter's data; attributes and what has no time are left out.

    What has the same time is put together, as long as it is not too much for one message: a
    user's converter may give each key apart, but a row is stored as a whole or not at all.
    """
    if isinstance(data, Mapping):
        found = [
            (int(entry["ts"]), _plain(entry["values"]))
            for entry in data.get("telemetry") or ()
            if isinstance(entry, Mapping) and "ts" in entry and "values" in entry
        ]
    else:
        found = [(entry.ts, _plain(entry.values)) for entry in data.telemetry] if data else []
    return [
        (ts_ms + later, chunk)
        for ts_ms, values in _together(found).items()
        for later, chunk in enumerate(chunks(values, LARGEST_ENTRY))
    ]


def split(data: Any) -> tuple[list[Instant], Any]:
    """Return what can be kept of a poll, and the rest of it, which goes its usual way.

    Kept is what is sent each time (ON_RECEIVED). Another report strategy lets the gateway leave
    values out, so nobody could tell whether they arrived.
    """
    if data is None or isinstance(data, Mapping) or not data.telemetry:
        return [], data
    kept: list[Instant] = []
    rest = DeviceData(data.device_name, data.device_type)
    rest.metadata = data.metadata
    rest.add_to_attributes(data.attributes.values)
    for entry in data.telemetry:
        ours = {key: value for key, value in entry.values.items() if is_on_received(key)}
        others = {key: value for key, value in entry.values.items() if key not in ours}
        if ours:
            kept.append((entry.ts, _plain(ours)))
        if others:
            left = TelemetryEntry(others, entry.ts)
            left.metadata = entry.metadata
            rest.add_to_telemetry(left)
    return kept, rest


def telemetry(device: str, device_type: str, entries: Sequence[Instant]) -> DeviceData:
    """Return kept telemetry as data for the gateway, which is to send all of it."""
    result = DeviceData(device, device_type)
    for ts_ms, values in entries:
        always = {DatapointKey(key, ON_RECEIVED): value for key, value in values.items()}
        result.add_to_telemetry(TelemetryEntry(always, ts_ms))
    return result


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values ready for JSON: one that is not would cost all that is kept with it."""
    ready = {str(getattr(key, "key", key)): _ready(value) for key, value in values.items()}
    return {key: value for key, value in ready.items() if value is not None}


def _ready(value: Any) -> Any:
    """Return a value of JSON; a user's converter may give others, such as a datetime."""
    try:
        return json_value(value, LARGEST_VALUE["timeseries"])
    except TypeError:
        return str(value)[: LARGEST_VALUE["timeseries"]]


def _together(found: Iterable[Instant]) -> dict[int, dict[str, Any]]:
    result: dict[int, dict[str, Any]] = {}
    for ts_ms, values in found:
        result.setdefault(ts_ms, {}).update(values)
    return result
