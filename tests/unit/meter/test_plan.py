"""The fewest requests for what is due."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.meter.plan import MAX_ITEMS, Limits, batches, refs, wanted
from dlms_connector.obis import Obis
from dlms_connector.protocol.services.access import Access
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.logical_names import LogicalNames
from dlms_connector.protocol.services.selection import Selector
from tests.support.apdus import Open, PlainLink


def device(*items: dict[str, Any], **more: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": "M",
            "connection": {"host": "h"},
            "timeseries": list(items),
            **more,
        }
    )


def ref(number: int) -> AttributeRef:
    return AttributeRef(3, Obis(bytes((1, 0, number >> 8, number & 255, 0, 255))), 2)


VOLTAGE = {"key": "voltage", "obis": "1-0:32.7.0"}
SCALER = AttributeRef(3, Obis.parse("1-0:32.7.0"), 3)
VALUE = AttributeRef(3, Obis.parse("1-0:32.7.0"), 2)


def test_items_have_the_devices_period_or_their_own() -> None:
    meter = device(
        VOLTAGE,
        {**VOLTAGE, "pollPeriod": 250},
        pollPeriod=5000,
        attributes=[{"key": "serial", "obis": "0-0:96.1.0", "class": "data"}],
    )
    assert [(one.kind, one.period_s) for one in wanted(meter)] == [
        ("attributes", 5.0),
        ("timeseries", 5.0),
        ("timeseries", 0.25),
    ]


def test_the_scaler_comes_before_its_value_until_it_is_known() -> None:
    due = wanted(device(VOLTAGE))
    assert refs(due, known=()) == (SCALER, VALUE)
    assert refs(due, known={SCALER}) == (VALUE,)


def test_an_object_under_two_keys_is_read_once() -> None:
    due = wanted(device(VOLTAGE, {**VOLTAGE, "key": "again"}))
    assert refs(due, known=()) == (SCALER, VALUE)


def test_the_scaler_of_an_item_that_brings_both_is_not_read() -> None:
    assert refs(wanted(device({**VOLTAGE, "scaler": -2, "unit": "V"})), ()) == (VALUE,)
    for half in ({"scaler": -2}, {"unit": "kV"}):
        assert refs(wanted(device({**VOLTAGE, **half})), ()) == (SCALER, VALUE)


def test_a_demand_register_keeps_its_scaler_elsewhere() -> None:
    item = {"key": "d", "obis": "1-0:1.4.0", "class": "demandRegister", "attribute": 3}
    assert [one.attribute for one in refs(wanted(device(item)), ())] == [4, 3]


def test_data_has_no_scaler() -> None:
    item = {"key": "serial", "obis": "0-0:96.1.0", "class": "data"}
    assert [one.attribute for one in refs(wanted(device(item)), ())] == [2]


@given(
    st.lists(st.integers(0, 999), unique=True, max_size=80),
    st.integers(1, 70),
    st.integers(12, 2000),
    st.integers(0, 30),
    st.sets(st.integers(0, 999), max_size=5),
)
def test_batches_keep_every_limit_and_are_the_fewest(
    numbers: list[int], most: int, max_pdu: int, overhead: int, alone: set[int]
) -> None:
    asked = tuple(ref(number) for number in numbers)
    apart = frozenset(ref(number) for number in alone)
    limits = Limits(max_items=most, max_pdu=max_pdu, overhead=overhead, alone=apart)
    result = batches(asked, limits)
    assert {one for batch in result for one in batch} == set(asked)
    assert sum(map(len, result)) == len(asked)
    for batch in result:
        assert len(batch) == 1 or (
            len(batch) <= most
            and 4 + 10 * len(batch) + overhead <= max_pdu
            and not apart & set(batch)
        )
    listed = [one for one in asked if one not in apart]
    assert len(result) == ceil(len(listed) / limits.items) + len(apart & set(asked))


@pytest.mark.parametrize("services", [LogicalNames, Access])
@pytest.mark.parametrize("max_pdu", [20, 100, 103, 104, 128, 200, 340])
def test_a_request_of_so_many_attributes_fits_and_of_one_more_does_not(
    services: type[LogicalNames], max_pdu: int
) -> None:
    limits = Limits(max_pdu=max_pdu, access=services is Access)
    select = Selector(from_utc=False, skip=frozenset()).encode
    one = services(Conversation(PlainLink(), Open()), lambda: max_pdu, select)

    def octets(count: int) -> int:
        return len(next(one.get_list([ref(number) for number in range(count)])))

    assert limits.items == 1 or octets(limits.items) <= max_pdu
    assert limits.items == MAX_ITEMS or octets(limits.items + 1) > max_pdu


@given(st.lists(st.sampled_from([1, 2, 3, 4]), max_size=12), st.sets(st.sampled_from([1, 2, 3, 4])))
def test_nothing_is_asked_twice_and_nothing_known(values: list[int], known: set[int]) -> None:
    items = [{"key": f"k{n}", "obis": f"1-0:{value}.7.0"} for n, value in enumerate(values)]
    cached = {AttributeRef(3, Obis.parse(f"1-0:{value}.7.0"), 3) for value in known}
    asked = refs(wanted(device(*items)), cached)
    assert len(asked) == len(set(asked))
    assert not cached & set(asked)
    assert len(asked) == len(set(values)) + len(set(values) - known)
