"""A meter that is read out instead of asked: its items, its errors, and its calls."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.errors import CommandError
from dlms_connector.meter.plan import wanted
from dlms_connector.meter.readout_meter import readings
from dlms_connector.protocol.readout import data_sets
from dlms_connector.reading import Poll
from tests.support.simulated_line import SimulatedLine, on

TEXT = (
    "0.0.0(00012345)\r\n1.8.0(0001240.1*kWh)\r\n32.7.0(230.1*V)\r\n1.6.0(00.123*kW)(2306011215)\r\n"
    "2.8.0(----)\r\n3.8.0(99999999)\r\n!\r\n"
)


def device(*timeseries: dict[str, Any], **keys: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {"type": "tcp", "host": "127.0.0.1"},
            "dlms": {"interfaceType": "IEC_62056_21"},
            "pollPeriod": 60_000,
            "timeseries": list(timeseries),
            **keys,
        }
    )


def read(*timeseries: dict[str, Any]) -> Poll:
    return readings(wanted(device(*timeseries)), tuple(data_sets(TEXT)), 1000)


def test_numbers_are_exact_and_identifiers_keep_their_zeros() -> None:
    poll = read(
        {"key": "energy", "obis": "1-0:1.8.0"},
        {"key": "serial", "obis": "1-0:0.0.0", "class": "data"},
        {"key": "maximum", "obis": "1-0:1.6.0"},
        {"key": "when", "obis": "1-0:1.6.0", "class": "extendedRegister", "attribute": 5},
        {"key": "scaled", "obis": "1-0:1.8.0", "scaler": 3},
    )
    assert [(one.key, one.value, one.unit) for one in poll.readings] == [
        ("energy", Decimal("1240.1"), "kWh"),
        ("serial", "00012345", None),
        ("maximum", Decimal("0.123"), "kW"),
        ("when", "2306011215", None),
        ("scaled", Decimal(1240100), "kWh"),
    ]
    assert {one.ts_ms for one in poll.readings} == {1000}


def test_what_stands_for_no_value_is_not_sent() -> None:
    poll = read(
        {"key": "dashes", "obis": "1-0:2.8.0"},
        {"key": "nines", "obis": "1-0:3.8.0", "noValue": [99999999]},
    )
    assert poll == Poll(readings=())


def test_a_missing_code_is_a_failure_that_lists_what_there_is() -> None:
    (failure,) = read({"key": "current", "obis": "1-0:31.7.0"}).failures
    assert "object-undefined" in str(failure.error)
    assert "32.7.0" in failure.error.hint
    (failure,) = read({"key": "when", "obis": "1-0:1.8.0", "attribute": 5}).failures
    assert "1 values" in failure.error.hint


def test_a_line_polls_it_and_calls_are_refused() -> None:
    item = {"key": "energy", "obis": "1-0:1.8.0"}

    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(130)
        polls = bench.sink.polls["M1"]
        assert len(polls) >= 2
        assert all(poll.readings[0].unit == "kWh" for _, poll in polls)
        with pytest.raises(CommandError, match="takes no calls"):
            await bench.line.submit("M1", lambda client: client.get([]), timeout_s=10)
        assert bench.line.members["M1"].is_answering

    on(lambda: SimulatedLine(device(item)), test)


def test_a_silent_one_is_an_outage() -> None:
    async def test(bench: SimulatedLine) -> None:
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(200)
        assert bench.line.members["M1"].state in ("offline", "backoff")

    on(lambda: SimulatedLine(device({"key": "energy", "obis": "1-0:1.8.0"})), test)
