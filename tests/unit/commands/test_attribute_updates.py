"""Shared attributes of the platform, written to simulated meters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from dlms_connector.commands.attribute_updates import ERROR_KEY, AttributeUpdates
from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    TEMPORARY_FAILURE,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
)
from dlms_connector.obis import Obis
from tests.support import fake_time
from tests.support.commands import LOG, Desk, device

LIMIT = {"key": "limit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
EMERGENCY = {"key": "emergency", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 5}
CALENDAR = {"key": "calendar", "obis": "0-0:13.0.0", "class": 20, "attribute": 6}
REF = AttributeRef(71, Obis.parse("0-0:17.0.0"), 4)
AWAY = LinkTimeoutError(3, 0)


class Bench:
    def __init__(self, *updates: dict[str, Any], **keys: Any) -> None:
        one = device(allowWrite=False, attributeUpdates=list(updates or (LIMIT,)), **keys)
        self.desk = Desk((one,))
        self.meters = self.desk.meters
        self.reports: list[Any] = []
        self.updates = AttributeUpdates(
            self.desk.contexts, self.meters, report=self.report, audit=self.desk.audit, log=LOG
        )

    def report(self, device: Device, values: Any) -> None:
        self.reports.append(dict(values))

    def update(self, **values: Any) -> None:
        self.updates.update("M1", values)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def audit(self) -> list[str]:
        return [event.sentence for event in self.desk.events]

    def held(self) -> Any:
        return self.desk.meter.value(71, REF.obis.octets, 4).value


Test = Callable[[], Coroutine[Any, Any, None]]


def told(test: Test) -> Callable[[], None]:
    """Run a test with a clock that jumps."""

    def run() -> None:
        fake_time.run(test())

    return run


@told
async def test_a_value_is_written_once_read_back_and_reported() -> None:
    bench = Bench()
    for _ in range(3):
        bench.update(limit=4000)
        await bench.settle()
    assert bench.held() == 4000
    assert bench.reports == [{"limit": 4000, ERROR_KEY: ""}]
    assert bench.audit == [
        "shared attribute limit: writing 0-0:17.0.0 attribute 4 (class 71): 9200 -> 4000: done"
    ]
    assert len(bench.meters.jobs) == 1


@told
async def test_a_value_that_the_meter_holds_is_not_written() -> None:
    bench = Bench()
    bench.update(limit=9200)
    await bench.settle()
    assert bench.reports == [{"limit": 9200, ERROR_KEY: ""}]
    assert bench.audit == []
    assert bench.desk.meter.seen["set"] == 0


@told
async def test_what_is_not_configured_is_none_of_ours() -> None:
    bench = Bench()
    bench.update(colour="red")
    bench.updates.update("M9", {"limit": 1})
    await bench.settle()
    assert bench.meters.jobs == []


@told
async def test_a_refused_value_is_reported_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.update(limit=4000.5)
        await bench.settle()
    (report,) = bench.reports
    assert report[ERROR_KEY].startswith("limit: 0-0:17.0.0 attribute 4 (class 71): 4000.5 cannot")
    assert len(bench.audit) == 1
    assert ": refused: " in bench.audit[0]
    bench.update(limit=4000)
    await bench.settle()
    assert bench.reports[1:] == [{"limit": 4000, ERROR_KEY: ""}]


@told
async def test_what_is_no_number_is_refused_and_not_tried_for_ever() -> None:
    bench = Bench()
    bench.update(limit=float("nan"))
    await bench.settle()
    assert bench.updates.wanted == {}
    assert len(bench.audit) == 1
    assert "nan is not a number" in bench.audit[0]


@told
async def test_a_refusal_stands_until_that_value_is_written() -> None:
    bench = Bench(LIMIT, EMERGENCY)
    bench.update(limit=-1)
    await bench.settle()
    bench.update(emergency=100)
    await bench.settle()
    bench.update(limit=100)
    await bench.settle()
    refusal, emergency, limit = bench.reports
    assert refusal[ERROR_KEY].startswith("limit: ")
    assert emergency == {"emergency": 100}
    assert limit == {"limit": 100, ERROR_KEY: ""}


@told
async def test_a_meter_that_is_away_gets_it_when_it_is_back() -> None:
    bench = Bench(LIMIT, EMERGENCY)
    bench.meters.down["M1"] = AWAY
    bench.update(limit=4000)
    await bench.settle()
    bench.update(limit=5000, emergency=100)
    await bench.settle()
    assert bench.reports == []
    bench.meters.down.clear()
    bench.updates.retry("M1")
    await bench.settle()
    assert bench.held() == 5000
    assert bench.reports == [{"limit": 5000, ERROR_KEY: ""}, {"emergency": 100}]


@told
async def test_a_line_that_was_only_busy_is_tried_again_by_itself() -> None:
    bench = Bench()
    bench.meters.down["M1"] = RefusedError("associating", "no")
    bench.update(limit=4000)
    await asyncio.sleep(9)
    bench.meters.down.clear()
    await asyncio.sleep(2)
    assert bench.held() == 4000


@told
async def test_tries_become_rarer() -> None:
    bench = Bench()
    bench.meters.down["M1"] = AWAY
    bench.update(limit=4000)
    await asyncio.sleep(3600)
    assert 10 <= len(bench.meters.jobs) <= 20


@told
async def test_a_write_of_which_nobody_knows_is_written_down() -> None:
    bench = Bench()
    client = bench.meters.links["M1"].client
    set_ = client.set

    def lost(writes: Any) -> Any:
        yield from set_(writes)
        client.set = set_  # type: ignore[method-assign]
        raise AWAY

    client.set = lost  # type: ignore[method-assign]
    bench.update(limit=4000)
    await asyncio.sleep(60)
    assert bench.desk.meter.seen["set"] == 1
    assert bench.reports == [{"limit": 4000, ERROR_KEY: ""}]
    assert bench.audit == [
        "shared attribute limit: writing 0-0:17.0.0 attribute 4 (class 71): 9200 -> 4000: "
        f"unknown: {AWAY}"
    ]


@told
async def test_a_meter_that_is_busy_is_asked_again() -> None:
    bench = Bench()
    bench.meters.down["M1"] = ObjectError("writing", TEMPORARY_FAILURE)
    bench.update(limit=4000)
    await asyncio.sleep(9)
    bench.meters.down.clear()
    await asyncio.sleep(2)
    assert bench.held() == 4000
    assert bench.reports == [{"limit": 4000, ERROR_KEY: ""}]


@told
async def test_the_latest_value_counts() -> None:
    bench = Bench()
    bench.meters.held = True
    for value in (1000, 2000, 3000):
        bench.update(limit=value)
        await bench.settle()
    bench.meters.release()
    await bench.settle()
    assert bench.held() == 3000
    assert [report["limit"] for report in bench.reports] == [1000, 3000]


@told
async def test_going_back_to_the_value_held_before_counts_too() -> None:
    bench = Bench()
    bench.update(limit=4000)
    await bench.settle()
    bench.meters.down["M1"] = AWAY
    for value in (5000, 4000):
        bench.update(limit=value)
        await bench.settle()
    bench.meters.down.clear()
    bench.updates.retry("M1")
    await bench.settle()
    assert bench.held() == 4000
    assert bench.desk.meter.seen["set"] == 1


@told
async def test_going_back_while_the_other_value_is_being_written() -> None:
    bench = Bench()
    bench.update(limit=4000)
    await bench.settle()
    bench.meters.held = True
    for value in (5000, 4000):
        bench.update(limit=value)
        await bench.settle()
    bench.meters.release()
    await bench.settle()
    assert bench.held() == 4000


@told
async def test_what_a_call_wrote_otherwise_is_written_again() -> None:
    bench = Bench()
    bench.update(limit=4000)
    await bench.settle()
    bench.desk.meter.put(71, "0-0:17.0.0", 4, bench.desk.meter.value(71, REF.obis.octets, 5))
    bench.update(limit=4000)
    await bench.settle()
    assert bench.held() == 4600
    bench.updates.wrote("M1", REF)
    bench.update(limit=4000)
    await bench.settle()
    assert bench.held() == 4000


@told
async def test_what_a_call_wrote_is_reported_at_once() -> None:
    bench = Bench()
    bench.update(limit=4000)
    await bench.settle()
    bench.desk.meter.put(71, "0-0:17.0.0", 4, bench.desk.meter.value(71, REF.obis.octets, 5))
    bench.updates.wrote("M1", REF)
    await bench.settle()
    assert bench.reports[-1] == {"limit": 4600}
    bench.meters.down["M1"] = AWAY
    bench.updates.wrote("M1", REF)
    await bench.settle()
    assert bench.reports[-1] == {"limit": 4600}


@told
async def test_a_readable_form() -> None:
    bench = Bench(CALENDAR)
    bench.update(calendar="winter")
    await bench.settle()
    assert bench.reports == [{"calendar": "winter", ERROR_KEY: ""}]


@told
async def test_what_the_meter_does_not_say_is_empty() -> None:
    bench = Bench({"key": "begin", "obis": "0-0:13.0.0", "class": 20, "attribute": 10})
    for begin in ("2026-10-01T00:00:00+00:00", None):
        bench.update(begin=begin)
        await bench.settle()
    assert [report["begin"] for report in bench.reports] == ["2026-10-01T00:00:00+00:00", ""]


@told
async def test_the_meters_refusal() -> None:
    bench = Bench({"key": "volts", "obis": "1-0:32.7.0"})
    bench.update(volts=230)
    await bench.settle()
    assert "read-write-denied (3)" in bench.reports[0][ERROR_KEY]


def test_a_fault_of_ours_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        bench = Bench()

        def broken(*args: Any, **keys: Any) -> Any:
            raise ZeroDivisionError

        submit, bench.meters.submit = bench.meters.submit, broken  # type: ignore[method-assign]
        bench.update(limit=1)
        await bench.settle()
        bench.meters.submit = submit  # type: ignore[method-assign]
        bench.update(limit=4000)
        await bench.settle()
        assert bench.held() == 4000

    fake_time.run(run())
    assert "a shared attribute could not be written" in caplog.text


@told
async def test_what_is_wanted_of_a_device_that_is_another() -> None:
    """What it holds is not known any more; what is still to be written to it stays so."""
    bench = Bench(LIMIT, EMERGENCY)
    bench.update(limit=4000)
    await bench.settle()
    bench.meters.down["M1"] = AWAY
    bench.update(limit=5000, emergency=1)
    await bench.settle()
    (context,) = bench.desk.contexts.values()
    changed = replace(context, device=context.device.model_copy(
        update={"attribute_updates": context.device.attribute_updates[:1]}))  # fmt: skip
    bench.updates.serve({"M1": changed})
    assert bench.updates.wanted == {"M1": {"limit": 5000}}
    del bench.meters.down["M1"]
    bench.updates.retry("M1")
    await bench.settle()
    assert bench.held() == 5000
    bench.updates.serve({"M1": context})
    bench.update(limit=5000)
    assert bench.updates.wanted == {"M1": {"limit": 5000}}, "it is compared with the meter again"
    await bench.settle()
    bench.updates.serve({"M1": context})
    bench.update(limit=5000)
    assert bench.updates.wanted == {}, "nothing has changed"
    bench.meters.down["M1"] = AWAY
    bench.update(limit=6000)
    await bench.settle()
    bench.updates.serve({})
    bench.updates.retry("M1")
    await asyncio.sleep(600)
    assert bench.updates.wanted == {}
