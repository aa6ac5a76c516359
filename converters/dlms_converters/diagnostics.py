"""The connector's diagnostics of a meter, as data of the meter's device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_converters.device_data import DeviceData
from dlms_converters.json_value import json_value
from dlms_converters.report_strategy import ON_RECEIVED


def attributes(device_name: str, device_type: str, values: Mapping[str, Any]) -> DeviceData:
    """Return client attributes that are always sent (ON_RECEIVED)."""
    result = DeviceData(device_name, device_type)
    result.add_to_attributes(_datapoints(values))
    return result


def telemetry(
    device_name: str, device_type: str, ts_ms: int, values: Mapping[str, Any]
) -> DeviceData:
    """Return telemetry of one instant that is always sent (ON_RECEIVED)."""
    result = DeviceData(device_name, device_type)
    result.add_to_telemetry(TelemetryEntry(_datapoints(values), ts_ms))
    return result


def _datapoints(values: Mapping[str, Any]) -> dict[DatapointKey, Any]:
    plain = {key: json_value(value) for key, value in values.items()}
    return {
        DatapointKey(key, ON_RECEIVED): value for key, value in plain.items() if value is not None
    }
