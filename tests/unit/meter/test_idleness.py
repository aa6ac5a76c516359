"""Associations that a meter drops when they are idle: learned, kept in mind, put to the test."""

from __future__ import annotations

import asyncio
import logging
from math import inf
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, DroppedError, ServiceError
from dlms_connector.meter.idleness import IdleLimit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import Data, DataType
from tests.support.fake_meter import device, ref
from tests.support.simulated_line import SimulatedLine, on

LOG = logging.getLogger("test.idleness")
HOUR = 3600.0
ZONE = AttributeRef(8, Obis.parse("0-0:1.0.0"), 3)
MINUTES = Data(DataType.LONG, 60)
FRAMINGS = ("HDLC", "WRAPPER")


def limit(**more: Any) -> IdleLimit:
    return IdleLimit(device(**more), LOG)


def learned(*deaths: float) -> IdleLimit:
    one = limit()
    for minute, idle_s in enumerate(deaths):
        one.died(idle_s, 60.0 * minute)
    return one


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({}, 120),
        ({"dlms": {"interfaceType": "WRAPPER"}}, 180),
        ({"connection": {"keepOpen": True}}, inf),
        ({"workarounds": {"inactivityTimeoutMs": 10_000}}, 10),
        ({"workarounds": {"inactivityTimeoutMs": 0}}, inf),
        (
            {"connection": {"keepOpen": True}, "workarounds": {"inactivityTimeoutMs": 300_000}},
            300,
        ),
    ],
)
def test_what_is_told_and_what_is_usual(more: dict[str, Any], seconds: float) -> None:
    assert limit(**more).seconds == seconds


def test_two_deaths_in_a_row_teach_and_the_shorter_silence_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert learned(60).seconds == 120
    assert learned(60, 50).seconds == 45
    assert learned(50, 60, 50, 60).seconds == 45
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == ["M1", "M1"]


def test_a_silence_that_was_survived_clears_the_suspicion() -> None:
    one = learned(60)
    one.survived(59.9)
    one.died(60, 60.0)
    assert one.seconds == 120


def test_deaths_in_one_burst_of_noise_teach_nothing() -> None:
    one = limit()
    for second in (0, 5, 10, 29):
        one.died(5, float(second))
    assert one.seconds == 120
    one.died(5, 30.0)
    assert one.seconds == 4.5


def test_a_shorter_silence_that_was_survived_does_not() -> None:
    one = learned(60)
    one.survived(20)
    one.died(60, 60.0)
    assert one.seconds == 54


def test_nothing_dies_of_so_short_a_silence() -> None:
    assert learned(1, 1, 1, 1.9).seconds == 120


def test_a_lesson_is_put_to_the_test_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = learned(60, 60)
    now = 60.0
    for hours in (1, 2, 4):
        now += hours * HOUR
        one.review(now - 1)
        assert one.seconds == 54
        one.review(now)
        assert one.seconds == 120
        one.died(60, now)
        assert one.seconds == 54, "one death is enough now"
    assert len(caplog.records) == 1
    one.review(now + 8 * HOUR)
    one.survived(60)
    one.died(60, now + 8 * HOUR)
    assert one.seconds == 120, "it was an accident, or another meter hangs there now"


def minutely(framing: str = "HDLC", **more: Any) -> Device:
    dlms = {"interfaceType": framing, **more.pop("dlms", {})}
    return device("M1", "1-0:1.8.0", "1-0:32.7.0", pollPeriod=60_000, dlms=dlms, **more)


async def steady(bench: SimulatedLine, cycles: int) -> float:
    """Let cycles pass in which nothing may be wasted; return the round trips of one."""
    before, sent = bench.spent(), bench.link.sent
    polls = len(bench.sink.polls["M1"])
    await asyncio.sleep(60 * cycles)
    assert bench.spent() == before
    assert len(bench.sink.polls["M1"]) == polls + cycles
    assert all(len(poll.readings) == 2 for _, poll in bench.sink.polls["M1"])
    return (bench.link.sent - sent) / cycles


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_meter_that_drops_idle_associations_wastes_two_polls_and_no_more(
    framing: str, silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    faults = {"inactivity": 30.0} | ({"silent-once-dropped": 1} if silent else {})

    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(190)
        retries, reconnects, failed = bench.spent()
        assert (reconnects, failed) == (2, 0)
        assert bool(retries) == silent
        # SNRM, AARQ, the list, and DISC or RLRQ: the goodbye is part of it.
        assert await steady(bench, 50) == {"HDLC": 4, "WRAPPER": 3}[framing]
        # Put to the test after 1, 2, 4 and 8 hours.
        await asyncio.sleep(86_400)
        assert bench.spent().reconnects == 6
        assert bench.spent().failed == 0

    on(lambda: SimulatedLine(minutely(framing), faults=faults), test)
    (lesson,) = [one for one in caplog.records if "drops associations" in one.getMessage()]
    assert lesson.levelno == logging.INFO


def test_without_retries_an_idle_association_that_is_gone_is_no_outage() -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(190)
        assert bench.spent().failed == 0
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(60)
        assert bench.spent().failed == 1
        assert bench.sink.state_names("M1") == ["online", "offline"]

    faults = {"inactivity": 30.0, "silent-once-dropped": 1}
    on(lambda: SimulatedLine(minutely(connection={"retries": 0}), faults=faults), test)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_meter_known_to_drop_idle_associations_wastes_nothing(framing: str) -> None:
    quirk = {"inactivityTimeoutMs": 30_000}

    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(70)
        await steady(bench, 100)
        assert bench.spent() == (0, 0, 0)

    faults = {"inactivity": 31.0, "silent-once-dropped": 1}
    on(
        lambda: SimulatedLine(minutely(framing, workarounds=quirk), faults=faults),
        test,
    )


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_meter_that_keeps_them_is_read_in_one_round_trip(framing: str) -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(130)
        assert await steady(bench, 100) == 1

    on(lambda: SimulatedLine(minutely(framing)), test)


def test_accidents_teach_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Answers get lost, the session breaks, the power fails, now and then."""
    caplog.set_level(logging.INFO)

    async def test(bench: SimulatedLine) -> None:
        faults = bench.meters[0].faults
        await asyncio.sleep(130)
        for fault, lasting_s in (("silence", 10), ("dm-at", 1), ("silence", 600), ("frmr-at", 1)):
            faults.set(fault)
            await asyncio.sleep(60 + lasting_s)
            faults.clear(fault)
            await asyncio.sleep(600)
        assert await steady(bench, 10) == 1

    on(lambda: SimulatedLine(minutely()), test)
    assert "drops associations" not in caplog.text


def test_calls_cut_short_teach_nothing() -> None:
    """The callers have less patience than the meter needs for an answer."""

    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(70)
        for _ in range(20):
            await asyncio.sleep(30)
            call = bench.line.submit("M1", lambda c: c.get([ref("1-0:1.8.0")]), timeout_s=0.2)
            with pytest.raises(DlmsError):
                await call
            await asyncio.sleep(30)
        assert bench.line.members["M1"].meter.session.inactivity_s == 120

    on(lambda: SimulatedLine(minutely(), faults={"delay": 0.5}), test)


def test_calls_alone_teach_as_well() -> None:
    """Calls come every 50 s, and there are no polls to find out."""

    async def test(bench: SimulatedLine) -> None:
        failed = 0
        await asyncio.sleep(70)
        for _ in range(20):
            call = bench.line.submit("M1", lambda c: c.get([ref("1-0:1.8.0")]), timeout_s=10)
            try:
                await call
            except DlmsError:
                failed += 1
            await asyncio.sleep(50)
        assert failed <= 2

    faults = {"inactivity": 20.0, "silent-once-dropped": 1}
    hourly: dict[str, Any] = {"connection": {"keepOpen": True}, "pollPeriod": 3_600_000}
    on(lambda: SimulatedLine(device("M1", "1-0:1.8.0", **hourly), faults=faults), test)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_call_over_an_association_that_was_dropped_is_carried_out_once(framing: str) -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(65)
        seen = bench.meters[0].seen
        # Half a minute and more after the last poll.
        await asyncio.sleep(40)
        write = bench.line.submit("M1", lambda c: c.set([(ZONE, MINUTES)]), timeout_s=10)
        assert await write == [None]
        assert seen["set"] == 1
        await asyncio.sleep(60)
        read = bench.line.submit("M1", lambda c: c.get([ZONE, ZONE]), timeout_s=10)
        assert await read == [MINUTES, MINUTES]
        assert bench.spent().failed == 0

    on(lambda: SimulatedLine(minutely(framing), faults={"inactivity": 30}), test)


def test_a_call_that_met_silence_is_not_repeated() -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(65)
        faults, seen = bench.meters[0].faults, bench.meters[0].seen
        await asyncio.sleep(40)
        faults.set("lose", 1)
        call = bench.line.submit("M1", lambda c: c.set([(ZONE, MINUTES)]), timeout_s=10)
        # Carried out; the answer is lost, and then the session is.
        asyncio.get_running_loop().call_later(0.5, faults.set, "inactivity", 0.6)
        asyncio.get_running_loop().call_later(0.5, faults.clear, "lose")
        with pytest.raises(DroppedError):
            await call
        assert seen["set"] == 1

    on(lambda: SimulatedLine(minutely()), test)


def test_a_call_that_is_refused_all_the_same_is_refused() -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(65)
        bench.meters[0].faults.set("exception")
        await asyncio.sleep(20)
        for _ in range(3):
            with pytest.raises(ServiceError):
                await bench.line.submit("M1", lambda c: c.get([ZONE]), timeout_s=10)
        bench.meters[0].faults.clear("exception")
        assert await bench.line.submit("M1", lambda c: c.get([ZONE]), timeout_s=10)
        assert bench.spent().reconnects == 1

    on(lambda: SimulatedLine(minutely()), test)


def test_an_object_answered_with_an_exception_is_no_sign_of_a_dropped_association() -> None:
    """The only object that is polled gets an exception each time; the others as well at first."""

    async def test(bench: SimulatedLine) -> None:
        meter = bench.meters[0]
        meter.faults.set("exception")
        await asyncio.sleep(130)
        assert bench.line.members["M1"].meter.session.inactivity_s == 120
        meter.faults.clear("exception")
        await asyncio.sleep(130)
        assert bench.sink.polls["M1"][-1][1].readings
        assert bench.line.members["M1"].meter.session.inactivity_s == 120

    on(lambda: SimulatedLine(minutely(), faults={"inactivity": 100}), test)
