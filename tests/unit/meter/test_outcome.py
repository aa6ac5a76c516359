"""What the meter's answers become: readings, failures, and what the clock tells of itself."""

from __future__ import annotations

from datetime import timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dlms_connector.config.model import Item
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, ObjectError, ScalerError, ServiceError
from dlms_connector.interpret import DEFAULTS, Options
from dlms_connector.meter.outcome import Answer, Outcome, clock_drift_s, outcome
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


ENERGY = {"key": "energy", "obis": "1-0:1.8.0"}


def polled(value: Data, theirs: Data | DlmsError, **keys: object) -> Outcome:
    one = Wanted("timeseries", Item.model_validate({**ENERGY, **keys}), 60)
    answers = {one.value: Answer(value, NOW_MS)}
    if one.scaler is not None:
        answers[one.scaler] = Answer(theirs, NOW_MS)
    return outcome([one], answers, {}, broken=None, down=False)


def wh(value: int) -> Data:
    return Data(DataType.DOUBLE_LONG_UNSIGNED, value)


def scaling(type_: DataType, power: int | None) -> Data:
    return Data(DataType.STRUCTURE, (Data(type_, power), Data(DataType.ENUM, 30)))


TENTHS = scaling(DataType.INTEGER, -1)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (ObjectError("reading 1-0:1.8.0 attribute 3", 3), "read-write-denied (3)"),
        (ObjectError("reading 1-0:1.8.0 attribute 3", 11), "object-unavailable (11)"),
        (ServiceError("reading 1-0:1.8.0 attribute 3", "service-not-supported"), "not-supported"),
        (Data(DataType.NULL), "null-data is not a scaler with a unit"),
        (Data(DataType.UNSIGNED, 9), "unsigned (11 09) is not a scaler with a unit"),
        (scaling(DataType.NULL, None), "is not a scaler with a unit"),
    ],
)
def test_without_a_scaler_the_message_tells_what_to_configure(
    answer: Data | DlmsError, what: str
) -> None:
    poll = polled(wh(5), answer).poll
    assert poll.readings == ()
    (failure,) = poll.failures
    assert isinstance(failure.error, ScalerError)
    sentence = str(failure.error)
    assert sentence.startswith("reading 1-0:1.8.0 attribute 3")
    assert what in sentence
    assert "set `scaler` and `unit`" in failure.error.hint
    assert "Data(" not in sentence
    assert failure.error.code == getattr(answer, "code", None)


def test_the_configured_scaler_is_the_way_out() -> None:
    (reading,) = polled(wh(5), Data(DataType.NULL), scaler=-1).poll.readings
    assert (reading.value, reading.unit) == (Decimal("0.5"), None)
    (reading,) = polled(wh(5), Data(DataType.NULL), scaler=-1, unit="kWh").poll.readings
    assert (reading.value, reading.unit) == (Decimal("0.5"), "kWh")


def test_a_scaler_in_another_integer_type_is_used() -> None:
    (reading,) = polled(wh(5), scaling(DataType.LONG, -1)).poll.readings
    assert (reading.value, reading.unit) == (Decimal("0.5"), "Wh")


@pytest.mark.parametrize(
    ("raw", "no_value"),
    [
        (wh(0xFFFFFFFF), [0xFFFFFFFF]),
        (Data(DataType.DOUBLE_LONG, 0x7FFFFFFF), [0xFFFFFFFF, 0x7FFFFFFF]),
        (Data(DataType.DOUBLE_LONG, -(2**31)), [-(2**31)]),
        (Data(DataType.LONG64_UNSIGNED, 2**64 - 1), [2**64 - 1]),
        (wh(0), [0]),
    ],
)
def test_a_raw_value_that_means_no_reading_is_not_sent(raw: Data, no_value: list[int]) -> None:
    poll = polled(raw, TENTHS, noValue=no_value).poll
    assert (poll.readings, poll.failures) == ((), ())
    assert polled(raw, Data(DataType.NULL), noValue=no_value).poll.failures == ()
    (reading,) = polled(raw, TENTHS).poll.readings
    assert reading.value == Decimal(raw.value) / 10


@pytest.mark.parametrize(
    "raw",
    [wh(0xFFFFFFFE), Data(DataType.BOOLEAN, True), Data(DataType.FLOAT64, 1.0), wh(10)],
)
def test_other_values_are_readings(raw: Data) -> None:
    assert len(polled(raw, TENTHS, noValue=[1, 0xFFFFFFFF]).poll.readings) == 1
