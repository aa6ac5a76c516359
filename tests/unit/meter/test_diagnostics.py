"""Counters and the keys they are sent under."""

from __future__ import annotations

from decimal import Decimal

from dlms_connector.meter.diagnostics import Statistics


def test_the_keys_are_those_of_the_documentation() -> None:
    full = Statistics(poll_ms=120, polls_ok=3, clock_drift_s=Decimal("1.5"))
    assert full.telemetry() == {
        "dlmsPollMs": 120,
        "dlmsPollsOk": 3,
        "dlmsPollsFailed": 0,
        "dlmsRetries": 0,
        "dlmsReconnects": 0,
        "dlmsBytesIn": 0,
        "dlmsBytesOut": 0,
        "dlmsClockDriftSeconds": Decimal("1.5"),
    }
    assert "dlmsPollMs" not in Statistics().telemetry()
