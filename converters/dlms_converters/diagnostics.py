"""The connector's diagnostics of a meter, as data of the meter's device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.config import acceptable
from dlms_converters.device_data import DeviceData
from dlms_converters.report_strategy import ON_RECEIVED
from dlms_converters.stored_value import NumericTexts, stored_value


def attributes(
    device_name: str,
    device_type: str,
    values: Mapping[str, Any],
    texts: NumericTexts = "quoted",
) -> DeviceData:
    """Return client attributes that are always sent (ON_RECEIVED)."""
    result = DeviceData(device_name, device_type)
    result.add_to_attributes(_datapoints(values, texts))
    return result


def telemetry(
    device_name: str,
    device_type: str,
    ts_ms: int,
    values: Mapping[str, Any],
    texts: NumericTexts = "quoted",
) -> DeviceData:
    """Return telemetry of one instant that is always sent (ON_RECEIVED)."""
    result = DeviceData(device_name, device_type)
    result.add_to_telemetry(TelemetryEntry(_datapoints(values, texts), ts_ms))
    return result


def _datapoints(values: Mapping[str, Any], texts: NumericTexts) -> dict[DatapointKey, Any]:
    stored = {acceptable(key): stored_value(value, texts) for key, value in values.items()}
    return {_key(key): value for key, value in stored.items() if value is not None}


@lru_cache(maxsize=1000)  # one of each for all meters, and for all times
def _key(key: str) -> DatapointKey:
    return DatapointKey(key, ON_RECEIVED)
