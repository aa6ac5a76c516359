"""Ending what an earlier session left open must never cost the meter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import LinkTimeoutError, RefusedError
from dlms_connector.meter.meter import Meter as PolledMeter
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import wanted
from dlms_connector.simulator import Meter, MeterOptions
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on
from tests.unit.meter.test_session import CODES

TIMEOUT_S = 2.0


class Bench:
    """A simulated meter, a link to it, and pollers of it: one for each process that there was."""

    def __init__(self, framing: Any, *faults: str, **options: Any) -> None:
        now = asyncio.get_running_loop().time
        self.meter = Meter(
            MeterOptions(framing=framing, faults=list(faults), monotonic=now, **options)
        )
        self.framing = framing
        self.link = SimulatedLink(self.meter)

    def poller(
        self, link: SimulatedLink | None = None, *, clear_first: str = "auto", **connection: Any
    ) -> PolledMeter:
        """Return a new process's view of the meter, over a link of its own."""
        self.link = link or SimulatedLink(self.meter)
        line = {"host": "h", "timeoutMs": TIMEOUT_S * 1000, "retries": 2} | connection
        device = Device.model_validate(
            {
                "deviceName": "M1",
                "connection": {key: value for key, value in line.items() if value is not None},
                "dlms": {"interfaceType": self.framing},
                "workarounds": {"clearFirst": clear_first},
                "timeseries": [{"key": code, "obis": code} for code in CODES],
            }
        )
        return meter_on(device, self.link)


async def poll(meter: PolledMeter) -> Outcome:
    return await meter.poll(wanted(meter.device))


def good(outcome: Outcome) -> bool:
    return not outcome.error and len(outcome.poll.readings) == len(CODES)


def test_nothing_is_ended_where_nothing_is_known_to_be_open() -> None:
    async def body() -> None:
        bench = Bench("HDLC")
        meter = bench.poller()
        for _ in range(3):
            assert good(await poll(meter))
            await meter.session.release()
            await bench.link.close()
        assert bench.meter.seen["disc"] == 3  # each a goodbye
        assert bench.meter.seen["connection"] == 3

    fake_time.run(body())


AT_DISC = ["deaf-after-dm", "deaf-after-disc", "close-on-disc"]


@pytest.mark.parametrize("faults", [[fault] for fault in AT_DISC], ids=AT_DISC)
def test_a_disc_without_a_session_does_not_cost_the_meter(faults: Sequence[str]) -> None:
    """Neither at the first poll, nor after the association broke."""

    async def body() -> None:
        bench = Bench("HDLC", *faults)
        meter = bench.poller()
        assert good(await poll(meter))
        for _ in range(3):
            await bench.link.close()  # as a modem that lost its network
            assert good(await poll(meter))
        # What it is like was learned from the first loss.
        assert bench.meter.seen["disc"] <= 1

    fake_time.run(body())


def test_a_disc_that_is_never_answered_does_not_take_all_the_time_of_each_turn() -> None:
    """Where others wait for the line, a turn has time for one silence only."""

    async def body() -> None:
        bench = Bench("HDLC", "deaf-after-disc")
        bench.meter.faults.set("delay", 0.2)
        meter = bench.poller()
        assert good(await poll(meter))
        for _ in range(3):
            await bench.link.close()
            turns = [await meter.poll(wanted(meter.device), hurried=True) for _ in range(2)]
            assert any(map(good, turns))

    fake_time.run(body())


def test_a_session_that_holds_a_meter_is_ended_although_others_wait_for_the_line() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "keeps-link")
        bench.meter.faults.set("delay", 0.2)
        meter = bench.poller()
        assert good(await poll(meter))
        bench.meter.faults.set("silence")
        for _ in range(5):
            await meter.poll(wanted(meter.device), hurried=True)
        bench.meter.faults.clear("silence")
        turns = [await meter.poll(wanted(meter.device), hurried=True) for _ in range(2)]
        assert any(map(good, turns))

    fake_time.run(body())


LEFT_OPEN = [
    ("HDLC", "keeps-link", ()),
    ("HDLC", "keeps-association", ()),
    ("HDLC", "keeps-link", ("keeps-association", "single-client")),
    ("WRAPPER", "keeps-association", ()),
]


@pytest.mark.parametrize(("framing", "fault", "more"), LEFT_OPEN)
def test_what_another_process_left_open_is_ended_within_one_poll(
    framing: str, fault: str, more: Sequence[str]
) -> None:
    async def body() -> None:
        bench = Bench(framing, fault, *more)
        assert good(await poll(bench.poller()))
        await bench.link.close()  # no goodbye
        assert good(await poll(bench.poller()))

    fake_time.run(body())


def test_a_session_that_is_known_to_be_open_is_ended_by_disc_first() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "keeps-link")
        meter = bench.poller()
        assert good(await poll(meter))
        await bench.link.close()
        start = asyncio.get_running_loop().time()
        assert good(await poll(meter))
        assert asyncio.get_running_loop().time() - start < TIMEOUT_S

    fake_time.run(body())


def test_a_meter_that_answers_snrm_behind_a_disc_only() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "wants-disc-first")
        meter = bench.poller()
        polls = [await poll(meter) for _ in range(3)]
        assert good(polls[-1])
        # Learned: no poll waits for it again.
        await meter.session.release()
        await bench.link.close()
        start = asyncio.get_running_loop().time()
        assert good(await poll(meter))
        assert asyncio.get_running_loop().time() - start < TIMEOUT_S

    fake_time.run(body())


class CallLink(SimulatedLink):
    """A call of the meter: to close it is to stop using it, and only the meter can call anew."""

    def __init__(self, *meters: Meter) -> None:
        super().__init__(*meters)
        self.calls = 0

    async def open(self) -> None:
        if self._connection is None:
            self.calls += 1
            await super().open()

    async def close(self) -> None:
        pass

    async def hang_up(self) -> None:
        await super().close()


def test_a_call_on_which_a_meter_went_deaf_is_ended() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "deaf-after-dm")
        call = CallLink(bench.meter)
        meter = bench.poller(call, type="listen", host=None, peer="10.0.0.1")
        assert good(await poll(meter))
        await call.hang_up()
        assert good(await poll(meter)), "no DISC is sent first where nothing else can follow"
        bench.meter.faults.set("silent-to-snrm")
        await call.hang_up()
        assert isinstance((await poll(meter)).error, LinkTimeoutError)
        assert not call.is_open, "the meter may call again"
        bench.meter.faults.clear("silent-to-snrm")
        assert good(await poll(meter))

    fake_time.run(body())


def test_the_workaround_ends_first_always() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "wants-disc-first")
        meter = bench.poller(clear_first="always")
        start = asyncio.get_running_loop().time()
        assert good(await poll(meter))
        assert asyncio.get_running_loop().time() - start < TIMEOUT_S

    fake_time.run(body())


def test_the_workaround_ends_first_always_over_the_wrapper() -> None:
    async def body() -> None:
        bench = Bench("WRAPPER", "keeps-association")
        assert good(await poll(bench.poller()))
        await bench.link.close()
        assert good(await poll(bench.poller(clear_first="always")))
        assert bench.meter.seen["refused"] == 0

    fake_time.run(body())


def test_the_workaround_ends_first_never() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "deaf-after-dm")
        meter = bench.poller(clear_first="never")
        for _ in range(3):
            assert good(await poll(meter))
            await bench.link.close()
        bench.meter.faults.set("silent-to-snrm")
        assert isinstance((await poll(meter)).error, LinkTimeoutError)
        assert bench.meter.seen["disc"] == 0

    fake_time.run(body())


def test_a_refusal_is_tried_a_second_time_once() -> None:
    """Meters lock out clients that try often."""

    async def body() -> None:
        bench = Bench("WRAPPER", "refuse-association=1")
        meter = bench.poller()
        for _ in range(3):
            assert isinstance((await poll(meter)).error, RefusedError)
        assert bench.meter.seen["aarq"] == 4

    fake_time.run(body())


def test_a_refused_password_is_not_tried_again() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "refuse-association=13")
        assert isinstance((await poll(bench.poller())).error, RefusedError)
        assert bench.meter.seen["aarq"] == 1

    fake_time.run(body())


def test_a_meter_that_is_not_there_costs_no_more_than_before() -> None:
    """SNRM with its repetitions, and one DISC."""

    async def body() -> None:
        bench = Bench("HDLC", "silence")
        meter = bench.poller()
        start = asyncio.get_running_loop().time()
        error = (await poll(meter)).error
        assert isinstance(error, LinkTimeoutError)
        assert "wrong address" in error.hint
        assert asyncio.get_running_loop().time() - start < 4 * TIMEOUT_S + 0.1

    fake_time.run(body())


def test_a_meter_that_answers_disc_and_no_snrm_is_not_at_a_wrong_address() -> None:
    async def body() -> None:
        bench = Bench("HDLC", "silent-to-snrm")
        error = (await poll(bench.poller())).error
        assert isinstance(error, LinkTimeoutError)
        assert "wrong address" not in error.hint
        assert "answers DISC" in error.hint
        assert "clearFirst" in error.hint

    fake_time.run(body())
