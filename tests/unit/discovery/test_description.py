"""Object lists, the entry's items, and the remote procedure call."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import simplejson

from dlms_connector.discovery import brief, describe, items_of
from dlms_connector.discovery.description import Description
from dlms_connector.discovery.object_list import parse_object_list
from dlms_connector.errors import ObjectError, ProtocolError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.data import Data, DataType, array, structure
from dlms_connector.simulator import AccessError
from tests.support.commands import Desk, Link, device
from tests.support.simulated import make_meter


def number(value: int, type_: DataType = DataType.UNSIGNED) -> Data:
    return Data(type_, value)


def entry(class_id: int, version: int, code: str, *rights: tuple[int, int]) -> Data:
    attributes = (structure(number(i), number(mode), Data(DataType.NULL)) for i, mode in rights)
    return structure(
        number(class_id), number(version), Data(DataType.OCTET_STRING, Obis.parse(code).octets),
        structure(array(*attributes), array()),
    )  # fmt: skip


def described(referencing: Literal["LN", "SN"] = "LN", **options: Any) -> Description:
    meter = make_meter(referencing=referencing, **options)
    link = Link(meter, device(dlms={"referencing": referencing}))
    return link.hold(describe(link.client, referencing=referencing))


def test_rights_tell_what_may_be_read() -> None:
    listed = parse_object_list(array(entry(3, 0, "1-0:1.8.0", (1, 1), (2, 0), (3, 3), (4, 5))))
    assert listed[0].readable == frozenset({1, 3})
    assert not listed[0].may_read(2)
    assert listed[0].class_name == "register"


def test_from_version_3_on_rights_are_bits() -> None:
    association = entry(15, 3, "0-0:40.0.0", (2, 1))
    listed = parse_object_list(array(association, entry(3, 0, "1-0:1.8.0", (2, 5), (3, 2))))
    assert listed[1].readable == frozenset({2})


def test_an_object_without_rights_may_be_asked_for() -> None:
    name = Data(DataType.OCTET_STRING, Obis.parse("1-0:1.8.0").octets)
    by_short_name = structure(number(0x100, DataType.LONG), number(3), number(0), name)
    (listed,) = parse_object_list(array(by_short_name))
    assert listed.readable is None
    assert listed.may_read(2)


def test_what_is_no_entry_is_passed_over_and_objects_come_once() -> None:
    good = entry(3, 0, "1-0:1.8.0")
    assert len(parse_object_list(array(number(1), good, good, structure(number(3))))) == 1


@pytest.mark.parametrize("data", [number(1), array(number(1))])
def test_what_is_no_list_is_refused(data: Data) -> None:
    with pytest.raises(ProtocolError):
        parse_object_list(data)


@pytest.mark.parametrize("referencing", ["LN", "SN"])
def test_a_meter_is_described_by_either_kind_of_name(referencing: Literal["LN", "SN"]) -> None:
    description = described(referencing=referencing)
    found = {one.key: one for one in description.objects}
    assert found["voltage_l1"].unit == "V"
    assert found["load"].columns
    assert description.serial_number == "00000001"
    assert len({one.key for one in description.objects}) == len(description.objects)


def test_two_channels_have_two_keys() -> None:
    register = {"class": "register", "attributes": {
        "2": {"type": "long-unsigned", "value": 5},
        "3": {"type": "structure", "value": [
            {"type": "integer", "value": 0}, {"type": "enum", "value": 30}]},
    }}  # fmt: skip
    description = described(overrides={"1-1:1.8.0": register})
    keys = {item["obis"]: item["key"] for item in items_of(description)["timeseries"]}
    assert keys["1-0:1.8.0"] == "active_energy"
    assert keys["1-1:1.8.0"] == "active_energy_ch1"


def test_a_meter_that_gives_nothing_is_an_error() -> None:
    meter = make_meter()
    link = Link(meter, device())
    meter.put(15, "0-0:40.0.0", 2, AccessError(3))
    for one in list(meter.objects.values()):
        meter.put(one.class_id, str(Obis(one.name)), 2, AccessError(3))
    with pytest.raises(ObjectError):
        link.hold(describe(link.client))


def test_a_brief_fits_whatever_the_meter_has() -> None:
    description = described()
    whole = brief(description)
    assert whole["leftOut"] == 0
    assert any("value" in one for one in whole["objects"])
    items = len(simplejson.dumps(whole["entry"], use_decimal=True))
    small = brief(description, most_bytes=items + 4500)
    assert small["leftOut"] == 0
    assert not any("value" in one for one in small["objects"])
    smaller = brief(description, most_bytes=items + 2000)
    assert smaller["leftOut"] > 0
    assert len(simplejson.dumps(smaller, use_decimal=True)) <= items + 2000


async def test_the_platform_may_ask_for_it() -> None:
    desk = Desk()
    result = await desk.result("discover")
    assert {"key": "voltage_l1", "obis": "1-0:32.7.0"} in result["entry"]["timeseries"]
    assert result["serialNumber"] == "00000001"
    listed = await desk.result("discover", {"listOnly": True})
    assert not any("value" in one for one in listed["objects"])
    assert len(listed["objects"]) == len(result["objects"])
    assert "unknown parameter" in await desk.error("discover", {"lstOnly": True})
