"""What is kept of converted data, of users' own converters too."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.records import Entry, Records, Source
from dlms_converters.device_data import DeviceData
from dlms_converters.kept import instants, split
from dlms_converters.report_strategy import ON_RECEIVED

ODD: dict[str, Any] = {
    "at": datetime(2026, 1, 2, 3, 4),
    "none": float("nan"),
}


def row(values: dict[str, Any], ts: int = 1) -> DeviceData:
    data = DeviceData("M1", "Meter")
    data.add_to_telemetry(
        TelemetryEntry({DatapointKey(key, ON_RECEIVED): v for key, v in values.items()}, ts)
    )
    return data


@pytest.mark.parametrize("form", ["object", "dict", "poll"])
def test_values_that_are_not_json_cost_nothing_else(tmp_path: Path, form: str) -> None:
    values = {"good": 1, **ODD}
    if form == "poll":
        found, _ = split(row(values))
    else:
        # The gateway's own class refuses some of what its older form takes.
        more = {"octets": b"\x01", "own": object, "exact": Decimal("1.5")}
        old = {"telemetry": [{"ts": 1, "values": {**values, **more}}]}
        found = instants(old if form == "dict" else row(values))
    records = Records.open(tmp_path / "records.sqlite", getLogger())
    records.journal([Entry(Source("M1"), "Meter", ts_ms, kept) for ts_ms, kept in found])
    (entry,) = records.pending()
    records.close()
    assert entry.values["good"] == 1
    assert entry.values.get("exact", 1.5) == 1.5
    assert entry.values["at"] == "2026-01-02 03:04:00"
    assert "none" not in entry.values


def test_a_row_that_a_converter_gives_key_by_key_is_one_row() -> None:
    """Rows are kept by their instant: the last key would take the place of the others."""
    old = [{"ts": ts, "values": {key: ts}} for ts in (5, 9) for key in ("a", "b")]
    assert instants({"telemetry": old}) == [(5, {"a": 5, "b": 5}), (9, {"a": 9, "b": 9})]


def test_a_row_that_is_too_large_for_a_message_is_sent_in_parts() -> None:
    values = {f"k{number}": "x" * 10_000 for number in range(8)}
    parts = instants(row(values))
    assert len(parts) > 1
    assert len({ts_ms for ts_ms, _ in parts}) == len(parts)
    assert {key for _, part in parts for key in part} == set(values)
