"""Calls read as polls do: whatever way round a meter a poll has found, a call takes too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import ObjectError, ServiceError
from dlms_connector.protocol.data.cosem_time import DateTime
from tests.support.called_line import CalledLine, run
from tests.support.commands import Desk, MetersInMemory, device

LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
ITEMS = [
    {"key": "energy", "obis": "1-0:1.8.0"},
    {"key": "voltage", "obis": "1-0:32.7.0"},
    {"key": "clock", "obis": "0-0:1.0.0", "class": "clock"},
]
#: What a meter does, and how the device is configured.
WAYS: list[tuple[dict[str, float], dict[str, Any]]] = [
    ({"refuse-list": 1}, {}),
    ({"malformed-list": 1}, {}),
    ({"short-list": 1}, {}),
    ({"exception-to-attribute": 4}, {}),
    ({"double-wrapped-clock": 1}, {}),
    ({"no-deviation": 1}, {}),
    ({"no-deviation": 1}, {"workarounds": {"skipDateTimeFields": ["deviation"]}}),
    ({"one-invoke-id": 1}, {"workarounds": {"fixedInvokeId": 1}}),
    ({"refuse-list": 1}, {"workarounds": {"singleReads": True}}),
    ({"drop-after": 300}, {}),
    ({"longest-reply": 40}, {}),
    ({"stale-replies": 1}, {}),
]
CASES: list[tuple[str, dict[str, float], dict[str, Any]]] = [
    *((framing, *way) for framing in ("HDLC", "WRAPPER") for way in WAYS),
    ("WRAPPER", {"silent-to-list": 1}, {}),
]


def configured(framing: str = "HDLC", **keys: Any) -> Device:
    return device(
        pollPeriod=10_000,
        connection={"host": "h", "timeoutMs": 1000, "retries": 1},
        timeseries=ITEMS,
        dlms={"interfaceType": framing},
        serverSideRpc=[
            {"method": "getVoltage", "obis": "1-0:31.7.0"},
            {"method": "setLimit", "requestType": "set", **LIMIT},
        ],
        **keys,
    )


@pytest.mark.parametrize(("framing", "faults", "keys"), CASES)
def test_what_a_poll_reads_a_call_reads_too(
    framing: str, faults: dict[str, float], keys: dict[str, Any]
) -> None:
    async def test(bench: CalledLine) -> None:
        polled = {one.key for one in bench.sink.polls["M1"][-1][1].readings}
        assert polled == {"energy", "voltage", "clock"}
        for method, params in (
            ("readClock", None),
            ("readObject", {"obis": "1-0:31.7.0"}),
            ("readObject", {"obis": "1-0:32.7.0"}),
            ("getVoltage", None),
            ("getRelayState", None),
        ):
            answer = await bench.ask(method, params)
            assert "result" in answer, (method, answer)
            await asyncio.sleep(3)

    run((configured(framing, **keys),), test, faults=faults, settled_s=60)


@pytest.mark.parametrize(
    ("framing", "faults", "keys"),
    [one for one in CASES if "drop-after" not in one[1]],  # what was sent is not sent again
)
def test_what_a_poll_reads_a_call_changes_too(
    framing: str, faults: dict[str, float], keys: dict[str, Any]
) -> None:
    async def test(bench: CalledLine) -> None:
        meter = bench.meters["M1"]
        meter.clock_shift = 100.0
        assert (await bench.ask("syncClock", {"force": True}))["result"]["set"] is True
        assert abs(meter.clock_shift) < 2
        if "exception-to-attribute" not in faults:
            limit = await bench.ask("setLimit", 4321)
            assert limit == {"result": 4321}
        assert "result" in await bench.ask("disconnectRelay")
        assert meter.relay_state == 0

    run((configured(framing, **keys),), test, faults=faults, settled_s=60)


def test_a_list_that_no_poll_has_proved_is_not_asked_for() -> None:
    """It may break the association, which fails the call each time."""

    async def test(bench: CalledLine) -> None:
        bench.meters["M1"].faults.set("silent-to-list")
        answer = await bench.ask("readObject", {"obis": "1-0:31.7.0"})
        assert "result" in answer, answer

    run((device(pollPeriod=3_600_000, timeseries=ITEMS[:1]),), test)


def test_a_list_that_polls_have_proved_saves_a_request() -> None:
    async def test(bench: CalledLine) -> None:
        seen = bench.meters["M1"].seen
        before = seen["get-with-list"], seen["get"]
        assert "result" in await bench.ask("readObject", {"obis": "1-0:32.7.0"})
        assert (seen["get-with-list"], seen["get"]) == (before[0] + 1, before[1])

    run((configured(),), test, settled_s=5)


@pytest.mark.parametrize("obis", ["0-0:1.0.0", "0-1:1.0.0"])
async def test_the_clock_is_the_one_that_is_polled(obis: str) -> None:
    one = device(timeseries=[{**ITEMS[2], "obis": obis}], allowWrite=[obis])
    meters = MetersInMemory()
    clock = {"class": "clock", "attributes": {"2": {"error": 250}}}
    meters.add(one, overrides={obis: clock})
    desk = Desk((one,), meters=meters)
    for method, params in (("readClock", None), ("syncClock", {"force": True})):
        assert f"reading {obis} attribute 2 (class 8): other-reason" in await desk.error(
            method, params
        )
    other = {"obis": "0-5:1.0.0"}
    assert "reading 0-5:1.0.0 attribute 2" in await desk.error("readClock", other)
    assert "does not allow writing to 0-5:1.0.0" in await desk.error("syncClock", other)


async def test_a_clock_that_takes_no_deviation_is_set_without_one() -> None:
    desk = Desk((device(dlms={"timeZone": "Europe/Paris"}),))
    desk.meter.faults.set("no-deviation")
    desk.meter.clock_shift = -100.0
    outcome = await desk.result("syncClock", {"force": True})
    assert (outcome["set"], outcome["driftAfterSeconds"]) == (True, 0)
    assert desk.meter.clock() == desk.meter.true_time()
    assert [event.result for event in desk.events] == ["done"]


@pytest.mark.parametrize(
    ("refusal", "tries"),
    [
        (ObjectError("writing", 3), 1),
        (ObjectError("writing", 12), 2),
        (ServiceError("writing", "operation-not-possible"), 2),
    ],
)
async def test_only_a_refused_form_is_tried_in_another(refusal: Any, tries: int) -> None:
    desk = Desk((device(),))
    written: list[bytes] = []

    def refused(writes: Any) -> Any:
        yield from ()
        written.extend(data.value for _, data in writes)
        if isinstance(refusal, ServiceError):
            raise refusal
        return [refusal]

    desk.meters.links["M1"].client.set = refused  # type: ignore[method-assign]
    assert str(refusal) in await desk.error("syncClock", {"force": True})
    assert len(written) == tries
    told = [DateTime.parse(octets) for octets in written]
    assert [moment.deviation for moment in told] == [0, None][:tries]


# What follows a change


def test_the_polled_values_of_a_changed_object_follow_at_once() -> None:
    def polled(bench: CalledLine) -> dict[str, Any]:
        last = bench.sink.polls["M1"][-1][1]
        return {one.key: one.value for one in last.readings}

    async def test(bench: CalledLine) -> None:
        polls = bench.sink.polls["M1"]
        assert len(polls) == 1
        assert (await bench.ask("writeObject", {**LIMIT, "value": 4321}))["result"] == 4321
        await asyncio.sleep(2)
        assert polled(bench) == {"limit": 4321}
        await bench.ask("disconnectRelay")
        await asyncio.sleep(2)
        assert polled(bench) == {"relay": False}
        back = {"obis": "0-0:96.3.10", "class": 70, "method": 2}
        await bench.ask("invokeMethod", back)
        await asyncio.sleep(2)
        assert polled(bench) == {"relay": True}
        await bench.ask("syncClock", {"force": True})
        await asyncio.sleep(2)
        assert polled(bench).keys() == {"clock"}
        await bench.ask("writeObject", {**LIMIT, "value": 4.5})
        await asyncio.sleep(2)
        assert len(polls) == 5

    attributes = [
        {"key": "limit", **LIMIT},
        {"key": "relay", "obis": "0-0:96.3.10", "class": 70, "attribute": 2},
        ITEMS[2],
    ]
    run((device(pollPeriod=86_400_000, attributes=attributes),), test)
