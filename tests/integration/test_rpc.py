"""Calls of the platform through the real gateway, and the exact packets that answer them."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from dlms_connector.cli import main
from dlms_connector.demo.platform_api import octets
from dlms_connector.simulator import Meter, MeterOptions
from tests.support.site import Configuration, Site, device, site, watch

pytestmark = pytest.mark.asyncio(loop_scope="module")

FREE, LISTED, CLOSED = "Free", "Listed", "Closed"
RPC = "v1/gateway/rpc"
LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
VOLTS = {"obis": "1-0:32.7.0"}
FIRMWARE = bytes(range(256)) * 100
METHODS = [
    {"method": "getVoltage", "obis": "1-0:32.7.0"},
    {"method": "setLimit", "requestType": "set", **LIMIT},
    {"method": "cut", "requestType": "action", "class": 70, "obis": "0-0:96.3.10",
     "methodIndex": 1},
    {"method": "load", "requestType": "profile", "class": 7, "obis": "1-0:99.1.0"},
]  # fmt: skip

_numbers = itertools.count(1_000_000)


def configure(configuration: Configuration) -> None:
    free, listed, closed = (one["connection"]["port"] for one in configuration["devices"])
    configuration["auditTelemetry"] = True
    configuration["devices"] = [
        device(FREE, free, pollPeriod=1000, allowWrite=True, serverSideRpc=METHODS),
        device(LISTED, listed, pollPeriod=1000, allowWrite=["0-0:17.0.0", "0-0:44.0.0"]),
        device(CLOSED, closed, pollPeriod=1000, serverSideRpc=METHODS),
    ]
    for one in configuration["devices"]:
        one["connection"]["timeoutMs"] = 5000  # the machine may be busy


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("rpc")
    meters = [MeterOptions(serial=number, hold_at=1_780_000_000.0) for number in (1, 2, 3)]
    async with site(folder, meters, configure) as running:
        firmware = next(folder.rglob("dlms.json")).parent / "firmware"
        firmware.mkdir()
        (firmware / "v2.bin").write_bytes(FIRMWARE)
        (firmware / "large.bin").write_bytes(FIRMWARE * 10)
        await running.until_started()
        yield running


async def call(running: Site, device: str, method: str, params: Any = None) -> Any:
    """Call a device and return what the packet says; it must be the only one."""
    number = next(_numbers)
    await send(running, device, number, method, params)
    return await answer(running, device, number)


async def send(running: Site, device: str, number: Any, method: Any, params: Any = None) -> None:
    data = {"id": number, "method": method, "params": params}
    assert running.platform.session.deliver(RPC, octets({"device": device, "data": data}))


async def answer(running: Site, device: str, number: int) -> Any:
    (packet,) = await running.until(lambda: answers(running, number))
    content = packet.json
    assert set(content) == {"device", "id", "data"}
    assert (content["device"], content["id"]) == (device, number)
    return content["data"]


def answers(running: Site, number: int) -> list[Any]:
    packets = running.platform.journal.select("Publish", RPC)
    return [each for each in packets if each.direction == "in" and each.json["id"] == number]


def meter(running: Site, index: int = 0) -> Meter:
    return running.endpoints[index].meter


def held(running: Site, attribute: int = 4, index: int = 0) -> Any:
    return meter(running, index).value(71, b"\0\0\x11\0\0\xff", attribute).value


# Every method


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("readObject", VOLTS),
        ("readObject", {**VOLTS, "class": 3, "attribute": 2}),
        ("get", "obis=1-0:32.7.0;class=3;attribute=2;"),
        ("get", VOLTS),
        ("getVoltage", None),
        ("getVoltage", {}),
    ],
)
async def test_reading(running: Site, method: str, params: Any) -> None:
    shown = running.platform.telemetry(FREE, "voltage_l1")[-1].value
    assert await call(running, FREE, method, params) == {"result": shown}


async def test_the_packet_octet_for_octet(running: Site) -> None:
    await send(running, FREE, 77, "set", "obis=0-0:17.0.0;class=71;attribute=4;value=700;")
    await running.until(lambda: answers(running, 77))
    (packet,) = answers(running, 77)
    assert json.loads(packet.payload) == {"device": FREE, "id": 77, "data": {"result": 700}}
    assert packet.topic == "v1/gateway/rpc"


@pytest.mark.parametrize(
    ("method", "params", "value"),
    [
        ("writeObject", {**LIMIT, "value": 3000}, 3000),
        ("set", "obis=0-0:17.0.0;class=limiter;attribute=4;value=3100;type=uint32;", 3100),
        ("setLimit", 3200, 3200),
        ("setLimit", {"value": 3300}, 3300),
    ],
)
async def test_writing(running: Site, method: str, params: Any, value: int) -> None:
    assert await call(running, FREE, method, params) == {"result": value}
    assert held(running) == value


async def test_invoking(running: Site) -> None:
    shift = {"obis": "0-0:1.0.0", "class": "clock", "method": 6, "value": 500, "type": "int16"}
    assert await call(running, FREE, "invokeMethod", shift) == {"result": None}
    read = await call(running, FREE, "readClock")
    assert 497 < read["result"]["driftSeconds"] < 502
    once = await call(running, FREE, "syncClock", {"capturePeriodSeconds": 0})
    assert once["result"]["set"] is True
    assert abs(once["result"]["driftAfterSeconds"]) < 3
    again = await call(running, FREE, "syncClock", {"thresholdSeconds": 0})
    assert "it is set once a day at most" in again["error"]
    forced = await call(running, FREE, "syncClock", {"force": True})
    assert forced["result"]["set"] is True
    fine = await call(running, FREE, "syncClock")
    assert (fine["result"]["set"], fine["result"]["reason"]) == (False, "within 30 s")


async def test_the_relay(running: Site) -> None:
    off = {"outputState": False, "controlState": "disconnected", "controlMode": 2}
    on = {"outputState": True, "controlState": "connected", "controlMode": 2}
    assert await call(running, FREE, "getRelayState") == {"result": on}
    assert await call(running, FREE, "disconnectRelay") == {"result": off}
    assert await call(running, FREE, "reconnectRelay") == {"result": on}
    assert await call(running, FREE, "cut") == {"result": off}
    assert await call(running, FREE, "reconnectRelay", {"obis": "0-0:96.3.10"}) == {"result": on}


async def test_profiles(running: Site) -> None:
    newest = (await call(running, FREE, "load", {"last": 2}))["result"]
    assert [set(row) for row in newest] == [
        {"time", "0-0:96.10.1", "1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0"}
    ] * 2
    between = {"obis": "1-0:99.1.0", "from": newest[0]["time"], "to": newest[1]["time"]}
    assert (await call(running, FREE, "readProfile", between))["result"] == newest
    whole = await call(running, FREE, "readProfile", {"obis": "1-0:99.1.0", "last": 5000})
    assert "too much for one message; ask for less" in whole["error"]


async def test_statistics_and_reconnecting(running: Site) -> None:
    statistics = (await call(running, FREE, "getStatistics"))["result"]
    assert statistics["dlmsPollsOk"] > 0
    associations = meter(running).seen["association"]
    assert await call(running, FREE, "reconnect") == {"result": "reconnecting"}
    polls = running.polls(FREE)
    await running.until(lambda: running.polls(FREE) > polls + 1)
    assert associations <= meter(running).seen["association"]


async def test_discovery(running: Site) -> None:
    found = await call(running, FREE, "discover", {"listOnly": True, "timeout": 30})
    assert "1-0:32.7.0" in json.dumps(found["result"], default=str)
    assert "unknown parameter" in (await call(running, FREE, "discover", {"x": 1}))["error"]


async def test_what_discovery_finds_is_read_by_its_device(running: Site, tmp_path: Path) -> None:
    found = (await call(running, FREE, "discover", {"timeout": 30}))["result"]
    assert (found["serialNumber"], found["leftOut"]) == ("00000001", 0)
    (known,) = (one for one in running.configuration["devices"] if one["deviceName"] == FREE)
    file = tmp_path / "dlms.json"
    file.write_text(json.dumps({"devices": [{**known, **found["entry"]}]}), encoding="utf-8")
    read = await asyncio.to_thread(CliRunner().invoke, main, ["read", str(file), "--json"])
    assert read.exit_code == 0, read.output
    (polled,) = json.loads(read.stdout)
    entry = found["entry"]
    assert {one["key"] for one in polled["readings"]} == {
        item["key"] for item in (*entry["attributes"], *entry["timeseries"])
    }


async def test_calendars(running: Site) -> None:
    name = {"obis": "0-0:13.0.0", "class": "activityCalendar", "attribute": 6}
    assert await call(running, FREE, "writeObject", {**name, "value": "summer"}) == {
        "result": "summer"
    }
    activate = {**name, "method": 1, "value": 0, "type": "integer"}
    del activate["attribute"]
    assert await call(running, FREE, "invokeMethod", activate) == {"result": None}
    active = await call(running, FREE, "readObject", {**name, "attribute": 2})
    assert active == {"result": "summer"}


async def test_firmware(running: Site) -> None:
    started = (await call(running, FREE, "startImageTransfer", {"file": "v2.bin"}))["result"]
    assert (started["state"], started["size"]) == ("started", len(FIRMWARE))
    attributes = running.platform.store.attributes
    await running.until(lambda: attributes(FREE).get("dlmsImageState") == "transferred")
    assert meter(running).image.octets == FIRMWARE
    status = (await call(running, FREE, "getImageTransferStatus"))["result"]
    assert (status["state"], status["percent"]) == ("transferred", 100)
    early = await call(running, FREE, "activateImage")
    assert "only a verified image is activated" in early["error"]
    verified = await call(running, FREE, "verifyImage")
    assert verified["result"]["meterState"] == "verificationSuccessful"
    done = await call(running, FREE, "activateImage")
    assert done["result"]["meterState"] == "activationSuccessful"
    points = await running.until(lambda: running.platform.telemetry(FREE, "dlmsImageProgress"))
    assert points[-1].value == 100
    assert (
        "no image is being transferred"
        in (await call(running, FREE, "cancelImageTransfer"))["error"]
    )
    outside = await call(running, FREE, "startImageTransfer", {"file": "../dlms.json"})
    assert outside == {"error": "Free: file: '../dlms.json' is not a file within firmware/"}


async def test_firmware_outlives_an_outage_and_lets_polls_go_on(running: Site) -> None:
    def state() -> str:
        return str(running.platform.store.attributes(LISTED).get("dlmsImageState", ""))

    def percent() -> int:
        points = running.platform.telemetry(LISTED, "dlmsImageProgress")
        return int(points[-1].value) if points else 0

    meter(running, 1).faults.set("delay", 0.002)
    started = await call(running, LISTED, "startImageTransfer", {"file": "large.bin"})
    assert started["result"]["size"] == 10 * len(FIRMWARE)
    polls = running.polls(LISTED)
    await running.until(lambda: percent() >= 20)
    await running.endpoints[1].stop()
    await running.until(lambda: state().startswith("waiting: "))
    await running.endpoints[1].start()
    await running.until(lambda: state() == "transferred", 60)
    meter(running, 1).faults.clear("delay")
    assert meter(running, 1).image.octets == 10 * FIRMWARE
    assert running.polls(LISTED) > polls
    assert meter(running, 1).seen["action"] < 2 * 2000
    verified = await call(running, LISTED, "verifyImage")
    assert verified["result"]["meterState"] == "verificationSuccessful"


# Every refusal


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("nope", None, r"Free: no such method; there are getVoltage, setLimit, cut, load, get, "),
        ("readObject", None, r"Free: readObject: `obis` is missing, for example 1-0:1\.8\.0"),
        ("readObject", {"obis": "9-0:1.8.0"}, r"object-undefined \(4\); the meter has no "),
        ("readObject", {"obis": "1-0:1.8.0", "x": 1}, r"readObject: unknown parameter `x`"),
        ("readObject", [], r"readObject: parameters are an object or text such as"),
        ("readObject", {"obis": "9" * 30_000}, r"readObject: "),
        ("writeObject", {**LIMIT}, r"writeObject: `value` is missing"),
        ("writeObject", {**LIMIT, "value": 1.5}, r"cannot be written exactly"),
        ("writeObject", {**LIMIT, "value": -1}, r"-1 is not in 0\.\.4294967295"),
        ("writeObject", {**VOLTS, "value": 230}, r"read-write-denied \(3\)"),
        ("setLimit", None, r"setLimit: a value to write is missing"),
        ("setLimit", "much", r"'much' is not a number"),
        ("invokeMethod", {"obis": "0-0:1.0.0", "class": 8}, r"`method` is missing"),
        ("readProfile", {"obis": "1-0:99.1.0"}, r"either `last`, or `from` and `to`"),
        ("readProfile", {"obis": "1-0:99.9.0", "last": 1}, r"object-undefined"),
        ("startImageTransfer", {}, r"`file` is missing"),
        ("startImageTransfer", {"file": "missing"}, r"No such file or directory"),
    ],
)
async def test_refusals(running: Site, method: str, params: Any, sentence: str) -> None:
    refused = await call(running, FREE, method, params)
    assert set(refused) == {"error"}
    assert re.search(sentence, refused["error"]), refused
    assert len(refused["error"]) < 900


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("writeObject", {**LIMIT, "value": 1}),
        ("set", "obis=0-0:17.0.0;class=71;attribute=4;value=1;"),
        ("invokeMethod", {"obis": "0-0:96.3.10", "class": 70, "method": 1}),
        ("syncClock", None),
        ("disconnectRelay", None),
        ("reconnectRelay", None),
        ("startImageTransfer", {"file": "v2.bin"}),
        ("cancelImageTransfer", None),
        ("verifyImage", None),
        ("activateImage", None),
    ],
)
async def test_nothing_is_changed_without_leave(running: Site, method: str, params: Any) -> None:
    before = meter(running, 2).seen["set"], meter(running, 2).seen["action"]
    refused = await call(running, CLOSED, method, params)
    assert "Closed does not allow writing to 0-0:" in refused["error"]
    assert (meter(running, 2).seen["set"], meter(running, 2).seen["action"]) == before
    line = await running.until_logged(rf"Closed: audit: call \d+ {method}: not carried out: refu")
    assert "Closed does not allow writing" in line


async def test_what_is_configured_or_listed_is_allowed(running: Site) -> None:
    assert await call(running, CLOSED, "setLimit", 800) == {"result": 800}
    assert await call(running, LISTED, "writeObject", {**LIMIT, "value": 900}) == {"result": 900}
    assert "does not allow" in (await call(running, LISTED, "disconnectRelay"))["error"]


async def test_reads_leave_no_trace_and_writes_leave_one(running: Site) -> None:
    await call(running, LISTED, "readObject", {"obis": "9-0:1.8.0"})
    await call(running, LISTED, "nope")
    await call(running, LISTED, "writeObject", {**LIMIT, "value": 950})
    line = await running.until_logged(r"Listed: audit: .*-> 950: done")
    assert re.search(r"call \d+ writeObject: writing 0-0:17\.0\.0 attribute 4 \(class 71\): ", line)
    assert running.log_lines(r"Listed: audit: .*(readObject|nope)") == []

    def events() -> list[Any]:
        return [point.value for point in running.platform.telemetry(LISTED, "dlmsAudit")]

    await running.until(lambda: any(event.endswith("-> 950: done") for event in events()))


async def test_a_control_mode_that_refuses(running: Site) -> None:
    mode = {"obis": "0-0:96.3.10", "class": 70, "attribute": 4}
    assert await call(running, FREE, "writeObject", {**mode, "value": 0}) == {"result": 0}
    refused = await call(running, FREE, "disconnectRelay")
    await call(running, FREE, "writeObject", {**mode, "value": 2})
    assert "read-write-denied" in refused["error"]
    assert refused["error"].endswith("the control mode is 0, in which the relay cannot be switched")


# Among the ways of calling


async def test_a_call_that_comes_twice_is_answered_and_done_once(running: Site) -> None:
    number = next(_numbers)
    before = meter(running).seen["set"]
    for _ in range(3):
        await send(running, FREE, number, "setLimit", 1234)
    assert await answer(running, FREE, number) == {"result": 1234}
    await send(running, FREE, number, "setLimit", 1234)
    await call(running, FREE, "getVoltage")
    assert len(answers(running, number)) == 1
    assert meter(running).seen["set"] == before + 1


async def test_many_calls_at_once(running: Site) -> None:
    numbers = [next(_numbers) for _ in range(150)]
    meter(running).faults.set("delay", 2.0)  # until all have arrived
    try:
        for number in numbers:
            await send(running, FREE, number, "readObject", {**VOLTS, "timeout": 60})
        await running.until(lambda: answers(running, numbers[-1]))
        meter(running).faults.set("delay", 0.02)
        await running.until(lambda: all(answers(running, number) for number in numbers), 60)
    finally:
        meter(running).faults.clear("delay")
    contents = [answers(running, number)[0].json["data"] for number in numbers]
    assert all(len(answers(running, number)) == 1 for number in numbers)
    refused = [content for content in contents if "error" in content]
    assert 0 < len(refused) <= 50
    assert refused[0] == {"error": "Free: 100 calls are waiting already; try again later"}


async def test_nonsense_does_not_end_remote_calls(running: Site) -> None:
    deliver = running.platform.session.deliver
    for data in (
        {"id": 1, "method": None, "params": None},
        {"id": "x", "method": "readClock"},
        {"method": "readClock"},
        {"id": 2, "method": ["readClock"], "params": {"timeout": "x"}},
        {"id": 3, "method": "readClock", "params": {"timeout": -1, "obis": None}},
    ):
        deliver(RPC, octets({"device": FREE, "data": data}))
    assert "result" in await call(running, FREE, "readClock")


async def test_the_time_of_a_call_is_the_callers(running: Site) -> None:
    meter(running, 1).faults.set("delay", 1.0)
    try:
        refused = await call(running, LISTED, "readObject", {**VOLTS, "timeout": 0.2})
    finally:
        meter(running, 1).faults.clear("delay")
    assert "error" in refused
    await running.until(lambda: running.states(LISTED)[-1] == "online")


async def test_calls_to_the_connector(running: Site) -> None:
    attributes = running.platform.store.attributes
    shown = running.platform.telemetry(FREE, "voltage_l1")[-1].value
    form = {"command": "readObject", "params": {"device": FREE, **VOLTS}}
    for params in ({"device": FREE, **VOLTS}, form):
        told = await running.platform.gateway_rpc("custom_readObject", params)
        assert told == {"result": shown}
    outcome = {"method": "readObject", "result": shown}
    await running.until(lambda: attributes(FREE).get("dlmsLastCall") == outcome)
    two = {"command": "readClock", "params": {"device": [FREE, LISTED]}}
    told = await running.platform.gateway_rpc("custom_readClock", two)
    accepted = {"accepted": [FREE, LISTED], "outcome": "client attribute dlmsLastCall"}
    assert told == {"result": accepted}
    everyone = await running.platform.gateway_rpc("custom_getRelayState")
    assert everyone["result"]["accepted"] == [FREE, LISTED, CLOSED]
    await running.until(
        lambda: all(
            attributes(name).get("dlmsLastCall", {}).get("method") == "getRelayState"
            for name in (FREE, LISTED, CLOSED)
        )
    )
    nobody = await running.platform.gateway_rpc("custom_readClock", {"device": "Nobody"})
    assert nobody == {"error": "this connector polls no device Nobody"}
    other = {"command": "readClock", "params": {"device": FREE}, "connectorId": "another"}
    refused = await running.platform.gateway_rpc("custom_readClock", other)
    assert refused == {"error": "no such connector: another"}
    wrong = await running.platform.gateway_rpc("custom_readObject", {"device": FREE})
    assert "`obis` is missing" in wrong["error"]
    closed = await running.platform.gateway_rpc("custom_disconnectRelay", {"device": CLOSED})
    assert "does not allow writing to 0-0:96.3.10" in closed["error"]
    ping = await running.platform.gateway_rpc("gateway_ping")
    assert ping == {"code": 200, "resp": "pong"}


async def test_the_form_gets_a_reply_before_it_gives_up(running: Site) -> None:
    """A meter that takes longer does not hold the gateway's connection to the platform."""
    attributes = running.platform.store.attributes
    meter(running).faults.set("delay", 4.8)
    try:
        form = {"command": "readObject", "params": {"device": FREE, **VOLTS}}
        slow = asyncio.create_task(running.platform.gateway_rpc("custom_readObject", form))
        await asyncio.sleep(0)
        assert "result" in await call(running, LISTED, "readClock")
        assert not slow.done()
        accepted = {"accepted": [FREE], "outcome": "client attribute dlmsLastCall"}
        assert await asyncio.wait_for(slow, 5.0) == {"result": accepted}
    finally:
        meter(running).faults.clear("delay")
    await running.until(
        lambda: attributes(FREE).get("dlmsLastCall", {}).get("method") == "readObject"
    )


async def test_a_meter_that_is_away_is_told_at_once(running: Site) -> None:
    await running.endpoints[1].stop()
    try:
        await running.until(lambda: running.states(LISTED)[-1] in ("offline", "backoff"))
        away = await call(running, LISTED, "readClock")
        assert re.search(r"Listed: the meter has not answered for \d+ s: ", away["error"])
    finally:
        await running.endpoints[1].start()
    await running.until(lambda: running.states(LISTED)[-1] == "online")
    assert "result" in await call(running, LISTED, "readClock")


async def test_values_stay_exact(running: Site) -> None:
    (number,) = [next(_numbers)]
    await send(running, FREE, number, "getVoltage")
    value = (await answer(running, FREE, number))["result"]
    assert isinstance(value, Decimal | int)
    assert -2 <= Decimal(value).as_tuple().exponent <= 0  # type: ignore[operator]


async def test_the_platform_lost_meanwhile(running: Site) -> None:
    """A call under way while the platform is cut off harms nothing; later calls work."""
    meter(running).faults.set("delay", 0.3)
    number, writes = next(_numbers), meter(running).seen["set"]
    await send(running, FREE, number, "setLimit", 4321)
    await watch(lambda: meter(running).seen["set"] > writes)
    session = running.platform.session
    running.platform.cut()
    meter(running).faults.clear("delay")
    await running.until(lambda: running.platform.sessions and running.platform.session != session)
    await running.until(lambda: FREE in running.platform.connected)
    await running.until(lambda: RPC in running.platform.session.filters)
    assert "result" in await call(running, FREE, "getVoltage")
    assert held(running) == 4321
    assert len(answers(running, number)) <= 1
