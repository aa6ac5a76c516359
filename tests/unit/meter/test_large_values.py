"""Values that are too large to be sent: not interpreted, and no trouble for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import TooLargeError
from dlms_connector.interpret import attributes
from dlms_connector.meter import outcome as outcome_module
from dlms_connector.meter.exchange import converse, in_slices
from dlms_connector.meter.outcome import Answer, outcomes
from dlms_connector.meter.plan import wanted
from dlms_connector.protocol.data import Data, DataType, array, structure
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import LARGEST_VALUE, Poll
from dlms_connector.simulator import Meter as SimulatedMeter
from dlms_connector.simulator import MeterOptions
from tests.support import fake_time
from tests.support.fake_meter import device
from tests.support.links import FakeLink, SimulatedLink
from tests.support.polled import meter_on
from tests.support.simulated_line import SimulatedLine, on
from tests.support.talks import Script

MOMENT = Data(DataType.OCTET_STRING, bytes.fromhex("07EA060101 0A000000 8000 00"))
CODES = ("1-0:1.8.0", "1-0:32.7.0", "1-0:31.7.0")


def one_of_each() -> Device:
    return Device.model_validate(
        {
            "deviceName": "M1",
            "timeseries": [
                {"key": "log", "obis": "0-0:96.1.1", "class": 1},
                {"key": "number", "obis": "0-0:96.1.0", "class": 1},
            ],
            "connection": {"host": "h"},
        }
    )


def worked(data: Data, **more: Any) -> tuple[Any, int]:
    """Return the outcome of a poll, and after how many breaks it was there."""
    due = wanted(one_of_each())
    answers = {due[0].value: Answer(data, 0), due[1].value: Answer(Data(DataType.UNSIGNED, 7), 0)}
    breaks, work = 0, outcomes(due, answers, {}, broken=None, down=False, **more)
    try:
        while True:
            next(work)
            breaks += 1
    except StopIteration as done:
        return done.value, breaks


@pytest.mark.parametrize(
    "data",
    [
        array(*[MOMENT] * 8000),
        array(*[Data(DataType.UNSIGNED, 1)] * 5500),
        structure(array(*[MOMENT] * 3000), array(*[MOMENT] * 3000)),
    ],
    ids=["dates", "numbers", "nested"],
)
def test_it_is_not_interpreted(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[Data] = []

    def examine(ref: Any, data: Data, *rest: Any) -> Any:
        examined.append(data)
        return attributes.examine(ref, data, *rest)

    monkeypatch.setattr(outcome_module, "examine", examine)
    result, _ = worked(data)
    (failure,) = result.poll.failures
    assert isinstance(failure.error, TooLargeError)
    assert failure.key == "log"
    assert f"{LARGEST_VALUE['timeseries']} bytes" in str(failure.error)
    assert examined == [Data(DataType.UNSIGNED, 7)]
    assert [reading.key for reading in result.poll.readings] == ["number"]


def test_what_may_be_sent_is_interpreted_and_others_run_after_it() -> None:
    result, breaks = worked(array(*[MOMENT] * 500))
    assert len(result.poll.readings) == 2
    assert breaks == 1


def test_a_converter_of_ones_own_may_take_more() -> None:
    result, breaks = worked(array(*[MOMENT] * 6000), largest=None)
    assert len(result.poll.readings) == 2
    assert breaks == 1


@pytest.mark.parametrize("converter", [None, "OfTheUser"])
def test_a_buffer_is_read_whole_for_a_converter_of_ones_own(converter: str | None) -> None:
    """It may send what is in a load profile in its own way; ours can only send all of it."""
    configured = Device.model_validate(
        {
            "deviceName": "M1",
            "timeseries": [{"key": "rows", "obis": "1-0:99.1.0", "class": 7}],
            "connection": {"host": "h"},
            "dlms": {"interfaceType": "WRAPPER"},
            "uplinkConverter": converter,
        }
    )

    async def body() -> Poll:
        link = SimulatedLink(SimulatedMeter(MeterOptions(framing="WRAPPER", profile_days=60)))
        meter = meter_on(configured, link)
        return (await meter.poll(wanted(configured))).poll

    poll = fake_time.run(body())
    assert len(poll.readings) == (converter is not None)
    assert [type(failure.error) for failure in poll.failures] == (
        [] if converter else [TooLargeError]
    )


async def test_others_run_between_slices() -> None:
    ran: list[str] = []

    async def other() -> None:
        for _ in range(3):
            ran.append("other")
            await asyncio.sleep(0)

    def work() -> Generator[None, None, str]:
        for _ in range(3):
            ran.append("slice")
            yield
        return "done"

    def talk() -> Talk[str]:
        for _ in range(3):
            ran.append("slice")
            assert (yield Breath()) == b""
        return "done"

    link = FakeLink(Script([]))
    for long in (partial(in_slices, work()), partial(converse, talk(), link, timeout_s=1)):
        ran.clear()
        beside = asyncio.ensure_future(other())
        assert await long() == "done"
        await beside
        assert ran == ["slice", "other"] * 3


@pytest.mark.parametrize("fault", ["swollen", "crowded-list"])
def test_a_meter_that_says_too_much_is_polled_on(fault: str) -> None:
    async def test(bench: SimulatedLine) -> None:
        def last() -> Poll:
            return bench.sink.polls["M1"][-1][1]

        await asyncio.sleep(21)
        assert len(bench.sink.polls["M1"]) >= 2
        if fault == "crowded-list":
            assert {one.key for one in last().readings} == set(CODES)
        else:
            assert {type(one.error) for one in last().failures} == {TooLargeError}
        assert bench.spent().failed == 0
        assert bench.spent().reconnects == 0
        bench.meters[0].faults.clear(fault)
        await asyncio.sleep(6)
        assert {one.key for one in last().readings} == set(CODES)

    on(lambda: SimulatedLine(device("M1", *CODES), faults={fault: 200}), test)
