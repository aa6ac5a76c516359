"""Names of a user's own converter never cost the data of their device."""

from __future__ import annotations

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_converters.acceptance import accepted
from dlms_converters.device_data import DeviceData
from dlms_converters.report_strategy import ON_RECEIVED


def test_keys_that_the_platform_refuses_are_renamed() -> None:
    data = DeviceData("N-2 <Haus>", "Meter")
    key = DatapointKey("a<b", ON_RECEIVED)
    data.add_to_telemetry(TelemetryEntry({key: 1, DatapointKey("good"): 2}, 5))
    data.add_to_attributes({DatapointKey(" "): 3, "{{x}}": 4})
    data.telemetry[0].metadata = {"m": 1}
    result, renamed = accepted(data)
    assert result.to_dict() == {
        "deviceName": "N-2 < Haus>",
        "deviceType": "Meter",
        "telemetry": [{"ts": 5, "values": {"a< b": 1, "good": 2}}],
        "attributes": {"unnamed": 3, "{ {x}}": 4},
    }
    assert next(iter(result.telemetry[0].values)).report_strategy == ON_RECEIVED
    assert result.telemetry[0].metadata == {"m": 1}
    assert renamed["a<b"] == "a< b"


def test_the_gateways_older_form() -> None:
    data = {
        "deviceName": "M1",
        "deviceType": "Meter <b>",
        "telemetry": [{"ts": 5, "values": {"a<b": 1}}, {"c<d": 2}],
        "attributes": [{"e<f": 3}, None],
    }
    result, renamed = accepted(data)
    assert result == {
        "deviceName": "M1",
        "deviceType": "Meter < b>",
        "telemetry": [{"ts": 5, "values": {"a< b": 1}}, {"c< d": 2}],
        "attributes": [{"e< f": 3}, None],
    }
    assert len(renamed) == 4


def test_good_data_and_no_data_are_unchanged() -> None:
    data = DeviceData("M1", "Meter")
    data.add_to_telemetry(TelemetryEntry({DatapointKey("Z\u00e4hler & <1"): 1}, 5))
    entry = data.telemetry[0]
    assert accepted(data) == (data, {})
    assert data.telemetry[0] is entry
    assert accepted(None) == (None, {})
