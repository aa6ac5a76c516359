"""Shared attributes through the real gateway into meters, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dlms_connector.demo.platform_api import octets
from dlms_connector.simulator import Meter, MeterOptions
from tests.support.site import Configuration, Site, device, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE, TWO = "One", "Two"
UPDATES = [
    {"key": "limit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4},
    {"key": "emergency", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 5},
    {"key": "calendar", "obis": "0-0:13.0.0", "class": "activityCalendar", "attribute": 6},
    {"key": "volts", "obis": "1-0:32.7.0"},
]


def configure(configuration: Configuration) -> None:
    ports = [one["connection"]["port"] for one in configuration["devices"]]
    configuration["logLevel"] = "DEBUG"
    configuration["devices"] = [
        device(name, port, pollPeriod=500, attributeUpdates=UPDATES)
        for name, port in zip((ONE, TWO), ports, strict=True)
    ]
    for one in configuration["devices"]:
        one["connection"]["timeoutMs"] = 5000  # the machine may be busy


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("updates")
    async with site(folder, [MeterOptions(serial=1), MeterOptions(serial=2)], configure) as running:
        # Wanted before the gateway has ever said anything: the initial synchronisation.
        running.platform.set_shared_attributes(ONE, {"limit": 4000, "colour": "red"})
        await running.until_started()
        yield running


def meter(running: Site, index: int = 0) -> Meter:
    return running.endpoints[index].meter


def held(running: Site, attribute: int = 4, index: int = 0) -> Any:
    return meter(running, index).value(71, b"\0\0\x11\0\0\xff", attribute).value


def reported(running: Site, name: str, key: str) -> list[Any]:
    """Return what the gateway said of a client attribute, in order."""
    packets = running.published("v1/gateway/attributes")
    return [
        packet.json[name][key]
        for packet in packets
        if packet.direction == "in" and key in packet.json.get(name, {})
    ]


async def set_(running: Site, name: str, **values: Any) -> None:
    assert running.platform.set_shared_attributes(name, values)


async def test_what_was_wanted_before_the_start(running: Site) -> None:
    await running.until(lambda: reported(running, ONE, "limit"))
    assert reported(running, ONE, "limit") == [4000]
    assert held(running) == 4000
    requests = running.published("v1/gateway/attributes/request")
    assert any(
        packet.json["device"] == ONE and "limit" in (packet.json.get("keys") or ())
        for packet in requests
    )
    await running.until_logged(r"One: audit: shared attribute limit: .*: 9200 -> 4000: done")


async def test_a_change_is_written_and_read_back(running: Site) -> None:
    await set_(running, TWO, limit=5000)
    await running.until(lambda: reported(running, TWO, "limit") == [5000])
    assert held(running, index=1) == 5000
    (packet,) = [
        packet
        for packet in running.published("v1/gateway/attributes")
        if packet.direction == "in" and "limit" in packet.json.get(TWO, {})
    ]
    assert packet.json == {TWO: {"limit": 5000, "dlmsLastWriteError": ""}}


async def test_a_repetition_is_not_written_again(running: Site) -> None:
    await set_(running, TWO, emergency=111)
    await running.until(lambda: reported(running, TWO, "emergency") == [111])
    writes = meter(running, 1).seen["set"]
    for _ in range(3):
        await set_(running, TWO, emergency=111)
    await set_(running, TWO, emergency=112)
    await running.until(lambda: reported(running, TWO, "emergency")[-1:] == [112])
    assert meter(running, 1).seen["set"] == writes + 1
    assert reported(running, TWO, "emergency") == [111, 112]


async def test_a_refused_value_is_reported_once(running: Site) -> None:
    for _ in range(3):
        await set_(running, TWO, volts=230.55)
    await running.until(lambda: reported(running, TWO, "dlmsLastWriteError")[-1] != "")
    await set_(running, TWO, calendar="x")
    await running.until(lambda: reported(running, TWO, "calendar") == ["x"])
    errors = [error for error in reported(running, TWO, "dlmsLastWriteError") if error]
    assert len(errors) == 1
    assert errors[0].startswith("volts: 1-0:32.7.0 attribute 2 (class 3): ")


async def test_deleted_attributes_stay_in_the_meter(running: Site) -> None:
    before = held(running, 5, 1)
    running.platform.delete_shared_attributes(TWO, "emergency")
    await running.until_logged(r"\|DEBUG\| .*Two: deleted shared attributes are not written")
    assert held(running, 5, 1) == before


async def test_what_makes_no_sense_harms_nothing(running: Site) -> None:
    deliver = running.platform.session.deliver
    # Other data than objects ends the gateway's own MQTT thread before it comes to us.
    for data in ({}, {"limit": None}, {"limit": [1]}, {"limit": {"a": 1}}, {"": 1}):
        deliver("v1/gateway/attributes", octets({"device": TWO, "data": data}))
    await set_(running, TWO, limit=6000)
    await running.until(lambda: reported(running, TWO, "limit")[-1:] == [6000])


async def test_a_meter_that_was_away_gets_it_when_it_is_back(running: Site) -> None:
    await running.endpoints[1].stop()
    await running.until(lambda: running.states(TWO)[-1] in ("offline", "backoff"))
    data = {"device": TWO, "data": {"limit": 7000}}
    running.platform.session.deliver("v1/gateway/attributes", octets(data))
    await asyncio.sleep(0.5)
    await running.endpoints[1].start()
    await running.until(lambda: reported(running, TWO, "limit")[-1:] == [7000])
    assert held(running, index=1) == 7000


async def test_a_renamed_device_keeps_its_meter(running: Site) -> None:
    """The gateway maps the names: the new one stands in the packets, the old one stays ours."""
    session = running.platform.session
    await running.platform.gateway_rpc("gateway_device_renamed", {ONE: "Renamed"})
    await running.until(lambda: running.platform.telemetry("Renamed", "voltage_l1"))
    data = {"device": "Renamed", "data": {"limit": 4444}}
    session.deliver("v1/gateway/attributes", octets(data))
    await running.until(lambda: reported(running, "Renamed", "limit") == [4444])
    assert held(running) == 4444
    number = 99_000
    call = {"id": number, "method": "getRelayState", "params": None}
    session.deliver("v1/gateway/rpc", octets({"device": "Renamed", "data": call}))

    def answered() -> Any:
        packets = running.published("v1/gateway/rpc")
        return [p.json for p in packets if p.direction == "in" and p.json["id"] == number]

    (answer,) = await running.until(answered)
    assert answer["device"] == "Renamed"
    assert answer["data"]["result"]["controlState"] == "connected"
