"""What goes to the platform beside polls, and what users' converters name."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.config import Device
from dlms_connector.gateway.uplink import Uplink
from dlms_connector.obis import Obis
from dlms_connector.reading import Poll, Reading
from dlms_converters.device_data import DeviceData

LOG = logging.getLogger("DLMS")
DEVICE = Device.model_validate({"deviceName": "M1", "connection": {"host": "192.0.2.1"}})
READING = Reading(
    key="k", kind="timeseries", obis=Obis.parse("1-0:1.8.0"), class_id=3, attribute=2, value=1,
    unit=None, ts_ms=1,
)  # fmt: skip


class AtOnce:
    """A queue that does its work when it gets it."""

    def put(self, work: Any) -> None:
        """Do it."""
        work()


class Naming:
    """A user's converter with a name that the platform refuses."""

    def convert(self, config: Any, data: Any) -> DeviceData:
        """Return one value under a bad key."""
        result = DeviceData("M1", "Meter")
        result.add_to_telemetry(TelemetryEntry({DatapointKey("I<Imax"): "01"}, 1))
        return result


def uplink(sent: list[Any], **options: Any) -> Uplink:
    queue: Any = AtOnce()
    announcer: Any = SimpleNamespace(knows=lambda name: True)
    return Uplink(
        {"M1": Naming()}, announcer, queue, queue, LOG,
        send=sent.append, count=lambda name, count: None, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "serial"), [({}, '"00000001"'), ({"numeric_texts": "plain"}, "00000001")]
)
def test_texts_that_look_like_numbers_in_attributes_and_events(
    options: dict[str, Any], serial: str
) -> None:
    sent: list[Any] = []
    to_platform = uplink(sent, **options)
    to_platform.attributes(DEVICE, {"serial": "00000001", "limit": 5, "call": {"serial": "01"}})
    to_platform.event(DEVICE, "serial", "00000001")
    attributes, event = (data.to_dict() for data in sent)
    values = {"serial": serial, "limit": 5, "call": {"serial": "01"}}
    assert attributes["attributes"] == values
    assert event["telemetry"][0]["values"] == {"serial": serial}


def test_a_bad_name_of_a_users_converter_is_sent_under_another_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Any] = []
    to_platform = uplink(sent)
    for _ in range(3):
        to_platform.polled(DEVICE, Poll(readings=(READING,)))
    # The values of a user's own converter are the user's: they are not quoted.
    assert [data.to_dict()["telemetry"] for data in sent] == [
        [{"ts": 1, "values": {"I< Imax": "01"}}]
    ] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "M1: the converter's name 'I<Imax' is sent as 'I< Imax': the platform would drop it"
    ]
