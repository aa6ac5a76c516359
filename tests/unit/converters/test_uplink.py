"""Readings become the gateway's own classes, and what these put on the wire is exact."""

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from queue import SimpleQueue
from threading import Event
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import simplejson
from thingsboard_gateway.gateway.constants import ReportStrategy
from thingsboard_gateway.gateway.device_filter import DeviceFilter
from thingsboard_gateway.gateway.report_strategy.report_strategy_service import (
    ReportStrategyService,
)
from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService

from dlms_connector.config.model import Device
from dlms_connector.obis import Obis
from dlms_connector.reading import Kind, Poll, Reading, Value
from dlms_converters.device_data import DeviceData
from dlms_converters.message_size import LARGEST_ENTRY, messages
from dlms_converters.uplink import DLMSUplinkConverter

NOW = 1_767_225_600_000
LOG = logging.getLogger("DLMS_converter")


@pytest.fixture(autouse=True)
def counters() -> Iterator[dict[str, dict[str, int]]]:
    enabled = StatisticsService.ENABLED
    StatisticsService.enable_statistics()
    StatisticsService.CONNECTOR_STATISTICS_STORAGE.clear()
    yield StatisticsService.CONNECTOR_STATISTICS_STORAGE
    StatisticsService.CONNECTOR_STATISTICS_STORAGE.clear()
    if not enabled:
        StatisticsService.disable_statistics()


def device(**keys: Any) -> Device:
    return Device.model_validate(
        {"deviceName": "M1", "connection": {"type": "tcp", "host": "192.0.2.1"}, **keys}
    )


def reading(
    value: Value,
    key: str = "k",
    *,
    kind: Kind = "timeseries",
    unit: str | None = None,
    ts_ms: int = NOW,
    class_id: int = 3,
) -> Reading:
    return Reading(
        key=key,
        kind=kind,
        obis=Obis.parse("1-0:1.8.0"),
        class_id=class_id,
        attribute=2,
        value=value,
        unit=unit,
        ts_ms=ts_ms,
    )


def convert(*readings: Reading, strategy: dict[str, Any] | None = None, **keys: Any) -> DeviceData:
    converter = DLMSUplinkConverter(device(**keys), LOG, strategy)
    return converter.convert(None, Poll(readings=readings))


def wire(data: DeviceData) -> dict[str, Any]:
    """What the platform receives: into the storage by simplejson, to the broker by orjson."""
    stored = simplejson.dumps(
        data.to_dict(False), separators=(",", ":"), skipkeys=True, ignore_nan=True
    )
    sent = orjson.dumps(simplejson.loads(stored), option=orjson.OPT_NON_STR_KEYS)
    result: dict[str, Any] = json.loads(sent, parse_float=str, parse_int=int)
    return result


def on_the_wire(
    value: Value, meter_unit: str | None = None, item: dict[str, Any] | None = None
) -> Any:
    timeseries = [{"key": "k", "obis": "1-0:1.8.0", **(item or {})}]
    data = convert(reading(value, unit=meter_unit), timeseries=timeseries)
    telemetry = wire(data)["telemetry"]
    return telemetry[0]["values"]["k"] if telemetry else None


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("135.19"), "135.19"),
        (Decimal("1.329"), "1.329"),
        (Decimal("230.17"), "230.17"),
        (Decimal("0.1"), "0.1"),
        (Decimal("50.00"), 50),
        (Decimal("-0.00"), 0),
        (Decimal("1E+3"), 1000),
        (Decimal("-12.5"), "-12.5"),
        (0, 0),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        (Decimal(2**63), "9223372036854775808"),
        (Decimal("1E+30"), "1" + "0" * 30),
        (Decimal("18446744073709551.615"), '"18446744073709551.615"'),
        (Decimal("-92233720368547758.08"), '"-92233720368547758.08"'),
        (Decimal("1234567890123456.5"), "1234567890123456.5"),
        (Decimal("123456789012345.678901234"), '"123456789012345.678901234"'),
        (Decimal("90071992547409.93"), '"90071992547409.93"'),
        (Decimal("90071992547409.94"), "90071992547409.94"),
        (Decimal("7E-18"), "0.000000000000000007"),
        (Decimal("7E-15"), "7e-15"),
        (Decimal("0.30000000000000004"), "0.30000000000000004"),
        (Decimal("1E+1000"), "1E+1000"),
        ("open", "open"),
        ("", ""),
        ({"a\ud800": "b\udfff"}, {"a?": "b?"}),
        ({"a": Decimal("1.5"), "b": [1, None]}, {"a": "1.5", "b": [1, None]}),
        ([Decimal("0.30"), "x"], ["0.3", "x"]),
        ({"n": Decimal("NaN")}, {"n": None}),
    ],
)  # fmt: skip
def test_what_goes_over_the_wire(value: Value, sent: Any) -> None:
    assert on_the_wire(value) == sent


def test_every_scaled_value_is_the_shortest_decimal() -> None:
    for raw in range(0, 100_000, 7):
        for scaler in (-1, -2, -3):
            value = Decimal(raw).scaleb(scaler)
            sent = on_the_wire(value) if raw < 700 else str(float(str(value)))
            assert Decimal(str(sent)) == value


@pytest.mark.parametrize("value", [None, Decimal("NaN"), Decimal("Infinity"), Decimal("sNaN")])
def test_what_has_no_value_is_left_out_and_counted(
    value: Value, counters: dict[str, dict[str, int]]
) -> None:
    data = convert(reading(value), reading(value, "a", kind="attributes"), reading(1, "other"))
    assert wire(data)["telemetry"] == [{"ts": NOW, "values": {"other": 1}}]
    assert len(data.attributes) == 0
    assert counters["DLMS_converter"] == {
        "convertersMsgProcessed": 1,
        "convertersTsProduced": 1,
        "convertersMsgDropped": 2,
    }


@pytest.mark.parametrize(
    ("value", "unit", "item", "sent"),
    [
        (Decimal(1234567), "Wh", {"unit": "kWh"}, "1234.567"),
        (1234567, "Wh", {"unit": "kWh", "decimals": 1}, "1234.6"),
        (Decimal("1.5"), "kWh", {"unit": "Wh"}, 1500),
        (Decimal("5.0"), None, {"unit": "kWh"}, 5),
        (Decimal("2.3017"), "A", {"multiplier": 200}, "460.34"),
        (Decimal("0.1"), "A", {"multiplier": 0.1}, "0.01"),
        (Decimal("230.17"), "V", {"multiplier": "0.3333333333333333"}, "76.72333333333333"),
        (Decimal("0.2"), "A", {"multiplier": "0.3333333333333333"}, "0.0666666666666667"),
        (Decimal("1E-9"), "A", {"multiplier": "1E-9"}, "0.000000000000000001"),
        (9007199254740993, "Wh", {"multiplier": "0.01"}, '"90071992547409.93"'),
        (Decimal("0.125"), "A", {"decimals": 2}, "0.12"),
        (Decimal("0.135"), "A", {"decimals": 2}, "0.14"),
        (Decimal("17.5"), "V", {"decimals": 0}, 18),
        ("text", "V", {"unit": "kV", "decimals": 1, "multiplier": 2}, "text"),
        (True, "V", {"multiplier": 2}, True),
        ([1500, [Decimal("2.5")]], "Wh", {"unit": "kWh"}, ["1.5", ["0.0025"]]),
        ([1500, "text"], "Wh", {"unit": "kWh"}, [1500, "text"]),
        ([], "Wh", {"unit": "kWh"}, []),
    ],
)
def test_unit_then_multiplier_then_decimals(
    value: Value, unit: str | None, item: dict[str, Any], sent: Any
) -> None:
    assert on_the_wire(value, unit, item) == sent


def test_a_unit_that_does_not_fit_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    item = {"key": "k", "obis": "1-0:1.8.0", "unit": "V"}
    converter = DLMSUplinkConverter(device(timeseries=[item]), LOG)
    for _ in range(3):
        data = converter.convert(None, Poll(readings=(reading(1, unit="Wh"), reading(2, "x"))))
        assert wire(data)["telemetry"] == [{"ts": NOW, "values": {"x": 2}}]
    assert [record.getMessage() for record in caplog.records] == [
        "M1: k (1-0:1.8.0) is not sent: cannot convert Wh to V: they measure different things"
    ]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (Decimal("1E+127"), {"decimals": 2}),
        (Decimal(5), {"multiplier": "1E999999"}),
        (Decimal("3.4E+38"), {"multiplier": "1E999999", "decimals": 0}),
    ],
)
def test_a_number_beyond_all_decimals_costs_only_itself(
    value: Decimal, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    item = {"key": "k", "obis": "1-0:1.8.0", **options}
    converter = DLMSUplinkConverter(device(timeseries=[item]), LOG)
    big = reading(value * 10) if value == 5 else reading(value)
    data = converter.convert(None, Poll(readings=(big, reading(2, "x"))))
    assert wire(data)["telemetry"] == [{"ts": NOW, "values": {"x": 2}}]
    assert "too many digits" in caplog.text


def test_telemetry_is_grouped_by_instant() -> None:
    data = convert(reading(1, "a"), reading(2, "b"), reading(3, "c", ts_ms=NOW - 5))
    assert wire(data) == {
        "deviceName": "M1",
        "deviceType": "DLMS Energy Meter",
        "telemetry": [
            {"ts": NOW - 5, "values": {"c": 3}},
            {"ts": NOW, "values": {"a": 1, "b": 2}},
        ],
        "attributes": {},
    }


def test_attributes_stay_attributes() -> None:
    data = convert(reading("4711", "serialNumber", kind="attributes"), deviceType="Meter")
    assert wire(data) == {
        "deviceName": "M1",
        "deviceType": "Meter",
        "telemetry": [],
        "attributes": {"serialNumber": '"4711"'},
    }


def strategies(data: DeviceData) -> dict[str, str | None]:
    keys = [key for entry in data.telemetry for key in entry.values] + list(data.attributes)
    found = {key.key: key.report_strategy for key in keys}
    return {key: one and one.report_strategy.value for key, one in found.items()}


CHANGE = {"type": "ON_CHANGE"}
PERIOD = {"type": "ON_REPORT_PERIOD", "reportPeriod": 5000}


def test_strategy_of_the_key_before_the_device_before_the_connector() -> None:
    items = [
        {"key": "own", "obis": "1-0:1.8.0", "reportStrategy": PERIOD},
        {"key": "plain", "obis": "1-0:2.8.0"},
    ]
    polled = reading(1, "own"), reading(1, "plain"), reading(1, "row", class_id=7)
    assert strategies(convert(*polled, timeseries=items)) == {
        "own": "ON_REPORT_PERIOD",
        "plain": "ON_RECEIVED",
        "row": "ON_RECEIVED",
    }
    assert strategies(convert(*polled, timeseries=items, strategy=CHANGE))["plain"] == "ON_CHANGE"
    data = convert(*polled, timeseries=items, reportStrategy=CHANGE, strategy=PERIOD)
    assert strategies(data) == {
        "own": "ON_REPORT_PERIOD",
        "plain": "ON_CHANGE",
        "row": "ON_RECEIVED",
    }
    period = next(key for entry in data.telemetry for key in entry.values if key.key == "own")
    assert period.report_strategy.report_period == 5000


def test_attributes_follow_the_gateway_where_nothing_is_configured() -> None:
    serial = reading("1", "serial", kind="attributes")
    assert strategies(convert(serial)) == {"serial": None}
    assert strategies(convert(serial, reportStrategy=CHANGE)) == {"serial": "ON_CHANGE"}


def test_disabled_means_unfiltered() -> None:
    data = convert(reading(1), reportStrategy={"type": "DISABLED"})
    assert strategies(data) == {"k": ReportStrategy.ON_RECEIVED.value}


def test_a_strategy_that_the_gateway_refuses_is_named(caplog: pytest.LogCaptureFixture) -> None:
    refused = {"type": "ON_CHANGE", "aggregationFunction": "MEDIAN"}
    assert strategies(convert(reading(1), reportStrategy=refused)) == {"k": "ON_RECEIVED"}
    assert "device: reportStrategy: the gateway refuses it" in caplog.text


def test_long_text_is_cut_and_large_values_are_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    assert len(on_the_wire("x" * 100_000)) == 4096
    assert on_the_wire(["x" * 4000] * 5) is None
    assert "bytes of JSON are more than" in caplog.text


def test_no_instant_grows_large() -> None:
    readings = [reading("ü" * 3000, f"k{n}") for n in range(40)]
    data = convert(*readings)
    assert sum(len(entry.values) for entry in data.telemetry) == 40
    assert [entry.ts - NOW for entry in data.telemetry] == list(range(len(data.telemetry)))
    for entry in wire(data)["telemetry"]:
        assert len(simplejson.dumps(entry, ensure_ascii=False).encode()) < LARGEST_ENTRY + 1000


def test_many_attributes_pass_through_the_gateway() -> None:
    polled = [reading("x" * 1000, f"a{n}", kind="attributes") for n in range(20)]
    data = convert(*polled, reading(1))
    with pytest.raises(AttributeError):  # what would happen in the gateway's storage thread
        data.convert_to_objects_with_maximal_size(8196)
    parts = list(messages(data))
    sent: dict[str, Any] = {}
    for part in parts:
        (stored,) = part.convert_to_objects_with_maximal_size(8196)
        sent.update(wire(stored)["attributes"])
    assert sorted(sent) == sorted(f"a{n}" for n in range(20))
    assert [len(part.telemetry) for part in parts] == [1] + [0] * (len(parts) - 1)


def test_an_attribute_too_large_for_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    data = convert(reading(["x" * 4000] * 2, "list", kind="attributes"))
    assert list(data.attributes) == []
    assert "pass through the gateway safely among attributes" in caplog.text


def test_the_gateways_device_filter_can_read_it() -> None:
    data = convert(reading(1))
    device_filter = DeviceFilter(None)
    device_filter._config = {"deny": {"DLMS": ["M1"]}, "allow": {}}
    assert device_filter.validate_device("DLMS", data) is False
    assert (data["deviceType"], data["telemetry"]) == ("DLMS Energy Meter", data.telemetry)
    with pytest.raises(KeyError):
        data["nothing"]


def test_takes_a_device_as_json_and_readings_without_a_poll() -> None:
    section = {"deviceName": "M2", "connection": {"type": "tcp", "host": "192.0.2.1"}}
    converter = DLMSUplinkConverter(section, LOG)
    assert wire(converter.convert(section, [reading(1)]))["deviceName"] == "M2"
    assert wire(converter.convert(section, reading(1)))["deviceName"] == "M2"


def test_the_gateways_own_filter_lets_equal_readings_pass() -> None:
    """Its main strategy drops equal values; ours are explicit."""
    queue: SimpleQueue[Any] = SimpleQueue()
    gateway = SimpleNamespace(stop_event=Event())
    main = {"reportStrategy": {"type": "ON_CHANGE"}}
    service = ReportStrategyService(main, gateway, queue, LOG)
    try:
        for n in range(3):
            ts_ms = NOW + n
            polled = (
                reading(Decimal("1.5"), "register", ts_ms=ts_ms),
                reading(5, "row", class_id=7, ts_ms=ts_ms),
                reading("4711", "serial", kind="attributes"),
            )
            service.filter_data_and_send(convert(*polled), "DLMS", "id")
    finally:
        gateway.stop_event.set()
        service._report_strategy_data_cache.stop()
    passed = [wire(queue.get_nowait()[2]) for _ in range(queue.qsize())]
    assert [data["telemetry"] for data in passed] == [
        [{"ts": NOW + n, "values": {"register": "1.5", "row": 5}}] for n in range(3)
    ]
    # Attributes follow the gateway.
    assert [data["attributes"] for data in passed] == [{"serial": '"4711"'}, {}, {}]


PROFILES = [
    {
        "obis": "1-0:99.1.0",
        "columns": [
            {"obis": "1-0:1.8.0", "key": "energy", "unit": "kWh", "decimals": 1},
            {"obis": "1-0:2.8.0", "unit": "MWh", "multiplier": 40},
        ],
    },
    {"obis": "1-0:99.2.0", "columns": [{"obis": "1-0:2.8.0", "unit": "kWh"}]},
]


@pytest.mark.parametrize(
    ("key", "obis", "expected"),
    [
        ("energy", "1-0:1.8.0", 12.3),
        ("load_active_energy_export", "1-0:2.8.0", 0.4938),
        ("load_active_energy_export_ch0", "1-0:2.8.0", 0.4938),
        ("load2_active_energy_export", "1-0:2.8.0", 12.345),
        ("load_active_energy_t1", "1-0:1.8.1", 12345),
        ("energy", "1-0:7.7.0", 12345),
    ],
)
def test_values_of_profiles_are_sent_as_their_columns_say(
    key: str, obis: str, expected: float
) -> None:
    row = Reading(
        key=key, kind="timeseries", obis=Obis.parse(obis), class_id=7, attribute=2, value=12345,
        unit="Wh", ts_ms=NOW,
    )  # fmt: skip
    item = {"key": "energy", "obis": "1-0:1.8.0", "unit": "MWh"}
    data = convert(row, profiles=PROFILES, timeseries=[item])
    (entry,) = data.telemetry
    assert {each.key: float(value) for each, value in entry.values.items()} == {key: expected}
    assert entry.ts == NOW


def test_a_polled_attribute_of_a_profile_is_an_item() -> None:
    item = {"key": "rows", "obis": "1-0:99.1.0", "class": 7, "attribute": 7, "multiplier": 2}
    data = convert(reading(21, "rows", class_id=7), timeseries=[item], profiles=PROFILES)
    (entry,) = data.telemetry
    assert {each.key: float(value) for each, value in entry.values.items()} == {"rows": 42}
