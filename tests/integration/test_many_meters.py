"""Meters of every kind behind one gateway: what the platform gets of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from dlms_connector.obis import Obis
from dlms_connector.simulator import Meter, MeterOptions, microstar
from tests.support.site import TOKEN, Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = {
    "voltage_l1": "1-0:32.7.0",
    "current_l1": "1-0:31.7.0",
    "frequency": "1-0:14.7.0",
    "active_power": "1-0:1.7.0",
}


@dataclass
class Record:
    """The instants at which a meter looked at its clock to answer."""

    instants: list[float]

    def __call__(self) -> float:
        self.instants.append(time.time())
        return self.instants[-1]


def kinds() -> list[MeterOptions | list[MeterOptions]]:
    """Return seven meters; the third and fourth share an endpoint."""
    return [
        MeterOptions(serial=1, framing="HDLC"),
        MeterOptions(serial=2, framing="HDLC", authentication="LOW"),
        [
            MeterOptions(serial=3, framing="HDLC", physical_address=17),
            MeterOptions(serial=4, framing="HDLC", physical_address=18, authentication="LOW"),
        ],
        MeterOptions(serial=5, framing="WRAPPER", authentication="LOW"),
        MeterOptions(serial=6, framing="WRAPPER"),
        microstar(7),
    ]


def label(configuration: dict[str, Any]) -> None:
    """Give one device another type than the default."""
    configuration["devices"][1]["deviceType"] = "Heat pump meter"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run the meters, each of which keeps a record, until all were polled three times."""
    meters = kinds()
    for entry in meters:
        for options in entry if isinstance(entry, list) else [entry]:
            options.now = Record([])
    async with site(tmp_path_factory.mktemp("many"), meters, label) as running:
        await running.until_polled(times=3)
        yield running


async def test_one_session_with_the_token_for_all(running: Site) -> None:
    connects = running.platform.journal.select("Connect")
    assert [packet.detail for packet in connects] == [TOKEN]
    assert not running.platform.journal.select("Closed", direction="out")


async def test_devices_are_connected_with_their_types_before_their_data(running: Site) -> None:
    announced = [packet.json for packet in running.published("v1/gateway/connect")]
    assert sorted(one["device"] for one in announced) == running.devices
    types = {one["device"]: one["type"] for one in announced}
    assert types.pop("DLMS-Meter-02") == "Heat pump meter"
    assert set(types.values()) == {"DLMS Energy Meter"}
    heard: set[str] = set()
    for packet in running.platform.journal.select("Publish"):
        if packet.topic == "v1/gateway/connect":
            heard.add(packet.json["device"])
        if packet.topic == "v1/gateway/telemetry":
            assert packet.json.keys() <= heard


async def test_nothing_is_published_elsewhere(running: Site) -> None:
    topics = {packet.topic for packet in running.platform.journal.select("Publish")}
    assert topics <= {
        "v1/devices/me/rpc/request/1",  # the gateway asks for the session's limits
        "v1/devices/me/attributes",
        "v1/devices/me/telemetry",
        "v1/gateway/connect",
        "v1/gateway/attributes",
        "v1/gateway/telemetry",
    }
    assert not running.platform.journal.select("Invalid", direction="out")


async def test_telemetry_is_entries_with_timestamps_in_milliseconds(running: Site) -> None:
    now_ms = time.time() * 1000
    for packet in running.published("v1/gateway/telemetry"):
        for entries in packet.json.values():
            for entry in entries:
                assert entry.keys() == {"ts", "values"}
                assert isinstance(entry["ts"], int)
                assert now_ms - 120_000 < entry["ts"] <= now_ms


async def test_every_value_is_what_the_meter_showed_at_its_timestamp(running: Site) -> None:
    """The simulated meter's values are functions of the time, so both must fit."""
    lags: list[float] = []
    for endpoint in running.endpoints:
        for meter in endpoint.meters:
            record = meter.options.now
            if not isinstance(record, Record) or meter.options.profile == "microstar":
                continue
            name = f"DLMS-Meter-{meter.options.serial:02d}"
            for key, obis in KEYS.items():
                points = running.platform.telemetry(name, key)
                assert len(points) >= 3
                for before, point in zip([0, *(one.ts for one in points)], points, strict=False):
                    # What it looked up since the answer before was for this one.
                    looks = [at for at in record.instants if before < at * 1000 <= point.ts + 1]
                    assert point.value in {shown(meter, obis, at) for at in looks}, point
                    lags.append(point.ts - looks[-1] * 1000)
    assert statistics.median(lags) < 250


def shown(meter: Meter, obis: str, at: float) -> Decimal:
    """Return what a meter shows at an instant."""
    held = Meter(MeterOptions(serial=meter.options.serial, hold_at=at))
    name = Obis.parse(obis).octets
    raw, scaler_unit = held.value(3, name, 2), held.value(3, name, 3)
    return Decimal(raw.value).scaleb(scaler_unit.value[0].value)


async def test_meters_that_need_no_password_get_none(running: Site) -> None:
    for endpoint in running.endpoints:
        for meter in endpoint.meters:
            assert meter.seen["refused"] == 0
            assert meter.seen["aarq"] >= 1


async def test_every_meter_is_online_at_the_platform(running: Site) -> None:
    for name in running.devices:
        attributes = running.platform.store.attributes(name)
        assert (attributes["dlmsState"], attributes["dlmsLastError"]) == ("online", "")


async def test_an_attribute_goes_to_the_attributes(running: Site) -> None:
    await running.until(
        lambda: "serialNumber" in running.platform.store.attributes("DLMS-Meter-05")
    )
    assert running.platform.telemetry("DLMS-Meter-05", "serialNumber") == []


async def test_the_log_has_no_word_of_trouble(running: Site) -> None:
    troubles = running.log_lines(r"\|(WARNING|ERROR|CRITICAL)\||Traceback")
    of_the_gateway_itself = ("| service |", "| tb_connection |")
    assert [
        line for line in troubles if not any(own in line for own in of_the_gateway_itself)
    ] == []
