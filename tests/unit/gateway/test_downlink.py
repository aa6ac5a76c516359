"""Between the gateway's threads and the meters' loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.dispatcher import STOPPED
from dlms_connector.simulator.encoding.data import octets
from tests.support.downlink import Bench

LIMIT = {"key": "limit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
VOLTS = {"obis": "1-0:32.7.0"}


async def test_a_call_and_its_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readObject", VOLTS, number=7)
    bench.call("readObject", VOLTS, number=7)
    assert bench.gateway.replies == []
    await bench.work()
    ((name, number, content),) = bench.gateway.replies
    assert (name, number) == ("M1", 7)
    assert isinstance(content["result"], float | int)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"device": "M1"},
        {"device": "M1", "data": None},
        {"device": "M1", "data": []},
        {"device": "M1", "data": {"id": 3}},
        {"device": "M1", "data": {"id": 3, "method": 5}},
        {"device": "M1", "data": {"id": 3, "method": None}},
        {"device": "M1", "data": {"method": "readClock"}},
        {"device": "M1", "data": {"method": "readClock", "id": "x"}},
        {"device": "M1", "data": {"method": "readClock", "id": True}},
        {"device": ["M1"], "data": {"method": "readClock", "id": 3}},
        {"device": {"a": 1}, "data": {"method": "readClock", "id": 3}},
    ],
)
async def test_nonsense_is_answered_where_it_can_be(tmp_path: Path, content: Any) -> None:
    bench = Bench(tmp_path)
    bench.downlink.device_call(content)
    await bench.work()
    data = content.get("data")
    known = isinstance(data, dict) and data.get("id") == 3
    assert len(bench.gateway.replies) == known
    assert all("error" in content for _, _, content in bench.gateway.replies)


async def test_huge_parameters(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readObject", {"obis": "9" * 1_000_000}, number=1)
    bench.call("x" * 1_000_000, None, number=2)
    bench.call("writeObject", {**VOLTS, "value": [[[]]] * 100_000}, number=3)
    await bench.work()
    assert all(len(str(content)) < 1000 for _, _, content in bench.gateway.replies)
    assert len(bench.gateway.replies) == 3


async def test_before_there_are_meters(tmp_path: Path) -> None:
    """What comes early waits: the caller waits too, and attributes are not sent again."""
    bench = Bench(tmp_path, starting=True, attributeUpdates=[LIMIT])
    bench.call("readClock")
    bench.downlink.online("M1")
    bench.downlink.attributes({"device": "M1", "data": {"limit": 4000, "other": 1}})
    bench.downlink.attributes({"device": "M9", "data": {"limit": 4000}})
    await bench.work()
    assert bench.gateway.replies == []
    bench.downlink.start(bench.meters, tmp_path)
    await bench.work()
    assert [(device, number) for device, number, _ in bench.gateway.replies] == [("M1", 1)]
    assert "result" in bench.gateway.replies[0][2]
    assert bench.attributes == [("M1", {"limit": 4000, "dlmsLastWriteError": ""})]


async def test_more_than_can_wait_for_meters(tmp_path: Path) -> None:
    bench = Bench(tmp_path, starting=True)
    for number in range(1002):
        bench.call("readClock", number=number)
    await bench.work()
    starting = {"error": "M1: the connector is starting; try again"}
    assert bench.gateway.replies == [("M1", 1000, starting), ("M1", 1001, starting)]


@pytest.mark.parametrize("started", [True, False])
async def test_what_is_still_to_be_written_goes_to_the_next(tmp_path: Path, started: bool) -> None:
    before = Bench(tmp_path, starting=not started, attributeUpdates=[LIMIT])
    before.meters.held = True
    before.downlink.attributes({"device": "M1", "data": {"limit": 4000}})
    await before.work()
    after = Bench(tmp_path, "M2", "M1", starting=True, attributeUpdates=[LIMIT])
    after.downlink.inherit(before.downlink)
    after.downlink.start(after.meters, tmp_path)
    await after.work()
    assert after.attributes == [("M1", {"limit": 4000, "dlmsLastWriteError": ""})]
    assert before.attributes == []


async def test_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readClock", number=1)
    bench.downlink.close()
    bench.downlink.close()
    bench.call("readClock", number=2)
    await bench.work()
    assert bench.gateway.replies == [
        ("M1", 1, {"error": STOPPED}),
        ("M1", 2, {"error": STOPPED}),
    ]
    bench.stopped = True
    stopped = {"error": "the connector is stopped"}
    assert bench.downlink.connector_call({"method": "custom_readClock"}) == stopped


async def test_without_a_loop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stopped = True
    bench.call("readClock")
    assert bench.gateway.replies == [("M1", 1, {"error": f"M1: {STOPPED}"})]


async def test_an_answer_that_the_platform_missed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, allowWrite=True)
    bench.gateway.broken, bench.gateway.online = True, False
    bench.call("disconnectRelay")
    await bench.work()
    bench.gateway.broken, bench.gateway.online = False, True
    bench.call("disconnectRelay")
    bench.call("disconnectRelay")
    assert len(bench.gateway.replies) == 1
    assert len(bench.meters.jobs) == 1


@pytest.mark.parametrize(("size", "fits"), [(5000, True), (25_000, False)])
async def test_a_long_answer_is_whole_or_refused(tmp_path: Path, size: int, fits: bool) -> None:
    bench = Bench(tmp_path)
    (link,) = bench.meters.links.values()
    link.meter.put(1, "0-0:96.1.0", 2, octets(b"\xff" * size))
    bench.call("readObject", {"obis": "0-0:96.1.0", "class": "data"})
    await bench.work()
    ((_, _, content),) = bench.gateway.replies
    assert (content.get("result") == "FF" * size) is fits
    assert ("too much for one message" in content.get("error", "")) is not fits


async def test_parameters_nested_too_deeply(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deep: Any = []
    for _ in range(100_000):  # more than any Python follows in C
        deep = [deep]
    for number, params in enumerate((deep, {"obis": deep}, {**VOLTS, "x": deep})):
        bench.call("readObject", params, number=number)
    await bench.work()
    errors = [content["error"] for _, _, content in bench.gateway.replies]
    assert len(errors) == 3
    assert "M1: the parameters are nested too deeply" in errors


async def test_an_answer_too_large_for_a_message(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readProfile", {"obis": "1-0:99.1.0", "last": 5000})
    await bench.work()
    ((_, _, content),) = bench.gateway.replies
    assert "too much for one message; ask for less" in content["error"]


@pytest.mark.parametrize(
    "content",
    [{}, {"device": "M1"}, {"data": {"limit": 1}}, {"device": "M1", "data": []},
     {"device": ["M1"], "data": {}}, {"device": "M1", "data": {}},
     {"device": "M9", "data": {"limit": 1}}, {"device": "M1", "data": {"deleted": ["limit"]}}],
)  # fmt: skip
async def test_shared_attributes_that_mean_nothing(tmp_path: Path, content: Any) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT])
    bench.downlink.attributes(content)
    await bench.work()
    assert bench.meters.jobs == []
    assert bench.attributes == []


async def test_shared_attributes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT], audit=True)
    assert bench.downlink.shared_keys("M1") == ["limit"]
    assert bench.downlink.shared_keys("renamed") == ["limit"]
    bench.downlink.attributes({"device": "M1", "data": {"limit": 4000, "other": 1}})
    await bench.work()
    assert bench.attributes == [("M1", {"limit": 4000, "dlmsLastWriteError": ""})]
    assert bench.telemetry == [
        (
            "dlmsAudit",
            "shared attribute limit: writing 0-0:17.0.0 attribute 4 (class 71): 9200 -> 4000: done",
        )
    ]


async def test_a_call_to_what_an_attribute_holds_lets_it_be_written_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT])
    wanted = {"device": "M1", "data": {"limit": 4000}}
    for step in (wanted, None, wanted):
        if step:
            bench.downlink.attributes(step)
        else:
            target = {"obis": "0-0:17.0.0", "class": 71, "attribute": 4}
            bench.call("writeObject", {**target, "value": 5})
        for job in bench.queued:
            job()
        bench.queued.clear()
        for _ in range(20):
            await asyncio.sleep(0)
    assert bench.meters.links["M1"].meter.value(71, b"\0\0\x11\0\0\xff", 4).value == 4000


async def test_a_flood_of_senseless_calls_is_a_line_and_a_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]

    bench = Bench(tmp_path)
    for number in range(1000):
        bench.downlink.device_call({"device": "M1", "data": {"id": number, "method": 5}})
    assert len(bench.gateway.replies) == 1000
    first = "a remote call makes no sense: a call needs `data.method`"
    assert warnings() == [first]
    bench.downlink.close()
    assert warnings() == [first, "a remote call makes no sense: 999 more of this kind since"]


async def test_a_call_that_came_long_ago_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop may have been held by something else."""
    bench = Bench(tmp_path)
    time = [1000.0]
    monkeypatch.setattr("dlms_connector.gateway.downlink.monotonic", lambda: time[0])
    bench.call("disconnectRelay", number=1)
    bench.call("disconnectRelay", {"timeout": 60}, number=2)
    time[0] += 6.0
    await bench.work()
    errors = {number: content.get("error", "") for _, number, content in bench.gateway.replies}
    assert "not begun within 5 s" in errors[1]
    assert "nothing was done" in errors[1]
    assert errors[2] == ""


async def test_a_written_value_is_reported_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT])
    target = {"obis": "0-0:17.0.0", "class": 71, "attribute": 4}
    bench.call("writeObject", {**target, "value": 5})
    await bench.work()
    assert bench.attributes == [("M1", {"limit": 5})]
    assert bench.meters.refreshed == [("M1", 71, "0-0:17.0.0")]
