"""The platform calls meters and writes to them, through the real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dlms_connector.simulator import MeterOptions
from dlms_connector.simulator.objects.switching import CONNECTED, DISCONNECTED
from tests.support.site import Configuration, Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

METER, READ_ONLY, LEAVING = "DLMS-Meter-01", "DLMS-Meter-02", "DLMS-Meter-03"

#: Threshold, in W, of the limiter's normal operation.
LIMIT = {"key": "powerLimit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}


def with_calls(configuration: Configuration) -> None:
    writable = configuration["devices"][0]
    writable["allowWrite"] = True
    writable["attributeUpdates"] = [LIMIT]
    for one in configuration["devices"]:
        one["serverSideRpc"] = [{"method": "getVoltage", "obis": "1-0:32.7.0"}]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run three meters whose values stand still, one of which may be written."""
    meters = [
        MeterOptions(serial=1, hold_at=1_767_225_600.0),
        MeterOptions(serial=2, hold_at=1_767_225_600.0, framing="WRAPPER", authentication="LOW"),
        MeterOptions(serial=3),
    ]
    async with site(tmp_path_factory.mktemp("calls"), meters, with_calls) as running:
        await running.until_started()
        yield running


async def call(running: Site, name: str, method: str, params: Any = None) -> Any:
    """Call a device; the answer is the one packet with the number of the call."""
    before = len(running.published("v1/gateway/rpc"))
    answer = await running.platform.rpc(name, method, params)
    (packet,) = running.published("v1/gateway/rpc")[before:]
    assert packet.json.keys() == {"device", "id", "data"}
    assert packet.json["device"] == name
    return answer


@pytest.mark.parametrize("name", [METER, READ_ONLY])
async def test_a_configured_method_and_the_built_in_one_read_the_same(
    running: Site, name: str
) -> None:
    voltage = running.platform.telemetry(name, "voltage_l1")[-1].value
    assert await call(running, name, "getVoltage") == {"result": voltage}
    reading = {"obis": "1-0:32.7.0", "class": "register", "attribute": 2}
    assert await call(running, name, "readObject", reading) == {"result": voltage}


async def test_what_is_not_allowed_is_not_written(running: Site) -> None:
    meter = running.endpoints[1].meter
    answer = await call(running, READ_ONLY, "disconnectRelay")
    assert "allowWrite" in answer["error"]
    assert meter.relay_state == CONNECTED
    wanted = {"obis": "0-0:96.1.0", "class": "data", "attribute": 2, "value": "X"}
    assert "allowWrite" in (await call(running, READ_ONLY, "writeObject", wanted))["error"]
    assert meter.seen["set"] == meter.seen["action"] == 0


async def test_the_relay_is_switched_and_its_state_read_back(running: Site) -> None:
    meter = running.endpoints[0].meter
    assert "result" in await call(running, METER, "disconnectRelay")
    assert meter.relay_state == DISCONNECTED
    assert "result" in await call(running, METER, "getRelayState")
    assert "result" in await call(running, METER, "reconnectRelay")
    assert meter.relay_state == CONNECTED


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("noSuchMethod", None, "no such method"),
        ("readObject", {}, "obis"),
        ("readObject", {"obis": "1-0:99.99.99"}, "1-0:99.99.99"),
        ("readObject", {"obis": "1-0:32.7.0", "atribute": 2}, "atribute"),
        ("readObject", ["1-0:32.7.0"], "readObject"),
    ],
)
async def test_every_failure_is_a_sentence(
    running: Site, method: str, params: Any, named: str
) -> None:
    answer = await call(running, METER, method, params)
    assert answer.keys() == {"error"}
    assert named in answer["error"]
    # And nothing is worse for it.
    assert "result" in await call(running, METER, "getVoltage")


async def test_a_shared_attribute_is_written_to_the_meter(running: Site) -> None:
    meter = running.endpoints[0].meter
    assert running.platform.set_shared_attributes(METER, {"powerLimit": 4200, "other": 1})
    await running.until(lambda: meter.value(71, bytes((0, 0, 17, 0, 0, 255)), 4).value == 4200)
    await running.until(lambda: running.platform.store.attributes(METER).get("powerLimit") == 4200)


async def test_calls_cost_the_other_meters_nothing(running: Site) -> None:
    """Nor do the answers get lost or mixed up."""
    before = running.polls(READ_ONLY)
    voltage = running.platform.telemetry(METER, "voltage_l1")[-1].value
    for _ in range(50):
        assert await running.platform.rpc(METER, "getVoltage") == {"result": voltage}
    await running.until_polled(READ_ONLY, times=before + 2)
    assert not running.log_lines("Traceback")


async def test_a_call_to_the_connector_reaches_a_meter(running: Site) -> None:
    answer = await running.platform.gateway_rpc("custom_getVoltage", {"device": METER})
    assert "error" not in answer
    outcome = await running.until(
        lambda: running.platform.store.attributes(METER).get("dlmsLastCall")
    )
    voltage = running.platform.telemetry(METER, "voltage_l1")[-1].value
    assert outcome == {"method": "getVoltage", "result": voltage}


async def test_a_call_to_a_meter_that_is_away_is_answered_at_once(running: Site) -> None:
    await running.endpoints[2].stop()
    await running.until(lambda: running.states(LEAVING)[-1] != "online")
    answer = await call(running, LEAVING, "getVoltage")
    # It was not even tried.
    assert f"{LEAVING}: the meter has not answered for" in answer["error"]
