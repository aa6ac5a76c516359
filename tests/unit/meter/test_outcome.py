"""What a clock that was read tells of itself."""

from __future__ import annotations

from datetime import timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dlms_connector.config.model import Item
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError
from dlms_connector.interpret import DEFAULTS, Options
from dlms_connector.meter.outcome import Answer, clock_drift_s
from dlms_connector.meter.plan import Wanted
from dlms_connector.protocol.data.data import Data, DataType

CLOCK = Item.model_validate({"key": "clock", "obis": "0-0:1.0.0", "class": "clock"})
BERLIN = Options(zone=ZoneInfo("Europe/Berlin"))
#: 2026-06-01T10:00:00Z.
NOW_MS = 1_780_308_000_000


def drift(octets: str, options: Options = DEFAULTS) -> Decimal | None:
    data = Data(DataType.OCTET_STRING, bytes.fromhex(octets))
    one = Wanted("timeseries", CLOCK, 60)
    return clock_drift_s([one], {one.value: Answer(data, NOW_MS)}, options)


@pytest.mark.parametrize(
    ("octets", "options", "expected"),
    [
        ("07EA060101 0A000700 0000 00", Options(), "7"),
        ("07EA060101 0C000032 FF88 80", Options(), "0.5"),
        ("07EA060101 0C000000 0078 80", Options(from_utc=True), "0"),
        ("090C 07EA060101 0A000700 0000 00", Options(), "7"),
        ("07EA060101 0B3B3B00 8000 80", BERLIN, "-1"),
        ("07EA060101 0A000000 8000 FF", Options(zone=timezone.utc), "0"),
    ],
)
def test_how_far_it_is_ahead(octets: str, options: Options, expected: str) -> None:
    assert drift(octets, options) == Decimal(expected)


@pytest.mark.parametrize(
    "octets",
    [
        "07EA060101 0A000000 8000 00",  # nobody knows where it ticks
        "FFFFFFFFFF FFFFFFFF 8000 FF",
        "07EA021F01 0A000000 0000 00",
        "07EA060101",
        "",
    ],
)
def test_what_tells_no_instant_has_no_drift(octets: str) -> None:
    assert drift(octets) is None


def test_a_clock_that_was_not_told_has_no_drift() -> None:
    one = Wanted("timeseries", CLOCK, 60)
    refused = Answer(ObjectError("reading", 3), NOW_MS)
    assert clock_drift_s([one], {}, BERLIN) is None
    assert clock_drift_s([one], {one.value: refused}, BERLIN) is None
    status = AttributeRef(8, CLOCK.obis, 4)
    assert clock_drift_s([one], {status: refused}, BERLIN) is None
