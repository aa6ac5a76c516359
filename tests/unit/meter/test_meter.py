"""One association with one meter: opened, kept, broken, mended and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from math import inf
from typing import Any, TypeVar

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import (
    ConnectError,
    DlmsError,
    DroppedError,
    LinkClosedError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    ServiceError,
)
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import wanted
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.data.axdr import Data
from dlms_connector.protocol.talk import Talk
from tests.support import fake_time
from tests.support.fake_meter import FakeLink, FakeMeter, client_of, device, ref

T = TypeVar("T")
LOG = logging.getLogger("test.meter")
CODES = ["1-0:1.8.0", "1-0:32.7.0", "1-0:31.7.0", "1-0:14.7.0", "1-0:1.7.0"]


class Bench:
    """A meter, its link and the fake behind it."""

    def __init__(self, configured: Device | None = None, *, shared: bool = False) -> None:
        self.device = configured or device("M1", *CODES)
        self.fake = FakeMeter()
        for n, code in enumerate(CODES):
            self.fake.give(code, 10_000 + n)
        self.link = FakeLink(self.fake)
        self.due = wanted(self.device)
        #: How far the host's clock has been set.
        self.clock_ms = 0
        self.meter = Meter(
            self.device,
            self.link,
            open_link=self.link.open,
            make_client=client_of(self.fake),
            now_ms=lambda: self.clock_ms + round(asyncio.get_running_loop().time() * 1000),
            log=LOG,
            shared=shared,
        )

    async def poll(self) -> Outcome:
        return await self.meter.poll(self.due)

    def gets(self) -> list[int]:
        return [len(refs) for _, verb, refs in self.fake.heard if verb == "get"]


def on(bench: Bench, test: Callable[[Bench], Awaitable[T]]) -> T:
    async def body() -> T:
        return await test(bench)

    return fake_time.run(body())


def read_keys(outcome: Outcome) -> set[str]:
    return {reading.key for reading in outcome.poll.readings}


def failed_keys(outcome: Outcome) -> set[str]:
    return {failure.key for failure in outcome.poll.failures}


def test_a_steady_cycle_is_one_round_trip() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.poll()
        assert not first.error
        assert bench.fake.verbs == ["connect", "get"]
        bench.fake.heard.clear()
        for _ in range(3):
            await bench.poll()
        assert bench.gets() == [5, 5, 5]
        assert bench.fake.verbs == ["get"] * 3

    on(Bench(), test)


def test_values_are_exact_and_stamped_when_their_reply_arrived() -> None:
    async def test(bench: Bench) -> None:
        outcome = await bench.poll()
        readings = {reading.key: reading for reading in outcome.poll.readings}
        assert readings["1-0:32.7.0"].value == Decimal("100.01")
        assert readings["1-0:32.7.0"].unit == "V"
        # Connect and the list took 0.1 s each.
        assert {reading.ts_ms for reading in readings.values()} == {200}

    on(Bench(), test)


def test_a_meter_without_lists_is_read_singly_and_each_value_has_its_own_instant() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        outcome = await bench.poll()
        assert bench.gets() == [1] * 10
        assert len({reading.ts_ms for reading in outcome.poll.readings}) == 5
        await bench.poll()
        assert bench.gets() == [1] * 15, "scalers are read once"

    on(Bench(), test)


def test_single_reads_can_be_configured() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        assert bench.gets() == [1] * 10

    on(Bench(device("M1", *CODES, workarounds={"singleReads": True})), test)


def test_a_refused_list_is_read_singly_and_the_lesson_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def test(bench: Bench) -> None:
        bench.fake.longest_list = 1
        for _ in range(6):
            outcome = await bench.poll()
            assert read_keys(outcome) == set(CODES)
            assert not outcome.poll.failures
            bench.fake.heard.clear()
        await bench.poll()
        assert bench.gets() == [1] * 5

    on(Bench(), test)
    assert "one by one" in caplog.records[-1].getMessage()
    assert all(record.levelno == logging.INFO for record in caplog.records)
    before = len(caplog.records)
    assert before <= 4


def test_a_limit_on_lists_is_found() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.longest_list = 5
        assert read_keys(await bench.poll()) == set(CODES)
        bench.fake.heard.clear()
        await bench.poll()
        assert bench.gets() == [5]

    on(Bench(), test)


def test_one_object_that_spoils_lists_is_read_alone() -> None:
    async def test(bench: Bench) -> None:
        spoiler = ref(CODES[2])
        bench.fake.refused_in_lists = {spoiler}
        del bench.fake.values[spoiler]
        outcome = await bench.poll()
        assert failed_keys(outcome) == {CODES[2]}
        assert len(read_keys(outcome)) == 4
        bench.fake.heard.clear()
        await bench.poll()
        assert bench.gets() == [4, 1]

    on(Bench(), test)


def test_a_failed_item_of_a_list_is_read_singly_once_more() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.wrong_in_lists = {ref(CODES[1]): 2}
        outcome = await bench.poll()
        assert read_keys(outcome) == set(CODES)
        bench.fake.heard.clear()
        await bench.poll()
        assert bench.gets() == [4, 1], "now it is known to be given only alone"

    on(Bench(), test)


def test_a_meter_that_is_busy_now_and_then_is_read_in_lists_for_ever() -> None:
    async def test(bench: Bench) -> None:
        for code in CODES:
            await bench.poll()
            bench.fake.longest_list = 1
            assert read_keys(await bench.poll()) == set(CODES)
            bench.fake.longest_list = 1000
            await bench.poll()
            bench.fake.wrong_in_lists = {ref(code): 2}
            assert read_keys(await bench.poll()) == set(CODES)
            bench.fake.wrong_in_lists = {}
        await bench.poll()
        bench.fake.heard.clear()
        await bench.poll()
        assert bench.gets() == [5]

    on(Bench(), test)


def test_what_a_meter_does_no_longer_is_learned_at_the_second_time() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.fake.wrong_in_lists = {ref(CODES[1]): 2}
        await bench.poll()
        await bench.poll()
        bench.fake.longest_list = 3
        await bench.poll()
        await bench.poll()
        bench.fake.heard.clear()
        assert read_keys(await bench.poll()) == set(CODES)
        assert bench.gets() == [2, 2, 1]

    on(Bench(), test)


def test_an_object_that_does_not_exist_costs_one_extra_request_once() -> None:
    async def test(bench: Bench) -> None:
        del bench.fake.values[ref(CODES[1])]
        outcome = await bench.poll()
        assert failed_keys(outcome) == {CODES[1]}
        assert isinstance(outcome.poll.failures[0].error, ObjectError)
        assert outcome.poll.failures[0].error.code == 4
        assert not outcome.error
        bench.fake.heard.clear()
        assert failed_keys(await bench.poll()) == {CODES[1]}
        assert bench.gets() == [5]

    on(Bench(), test)


def test_a_value_whose_scaler_is_refused_is_not_sent_wrong() -> None:
    async def test(bench: Bench) -> None:
        del bench.fake.values[ref(CODES[1], 3)]
        outcome = await bench.poll()
        assert failed_keys(outcome) == {CODES[1]}

    on(Bench(), test)


def test_a_configured_scaler_replaces_one_that_is_refused() -> None:
    items = [{"key": "voltage", "obis": CODES[1], "scaler": -1}]

    async def test(bench: Bench) -> None:
        del bench.fake.values[ref(CODES[1], 3)]
        (reading,) = (await bench.poll()).poll.readings
        assert reading.value == Decimal("1000.1")
        assert reading.unit is None

    on(Bench(device("M1", timeseries=items)), test)


def test_a_broken_kept_association_is_opened_anew_and_the_poll_goes_on() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.link.cut()
        outcome = await bench.poll()
        assert read_keys(outcome) == set(CODES)
        assert not outcome.error
        assert bench.meter.statistics.reconnects == 1
        assert bench.meter.statistics.polls_failed == 0
        assert bench.fake.verbs[-3:] == ["clear", "connect", "get"]

    on(Bench(), test)


def test_an_association_that_breaks_mid_poll_costs_only_the_object_that_broke_it() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        bench.fake.closes_on = {ref(CODES[1])}
        outcome = await bench.poll()
        assert read_keys(outcome) == set(CODES) - {CODES[1]}
        assert failed_keys(outcome) == {CODES[1]}
        assert not outcome.error
        bench.fake.heard.clear()
        outcome = await bench.poll()
        assert failed_keys(outcome) == {CODES[1]}
        assert bench.gets() == [1] * 4, "it is left alone for a while"

    on(Bench(), test)


def test_an_object_in_which_noise_broke_the_association_is_read_again_after_a_minute() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        bench.fake.closes_on = {ref(CODES[1])}
        await bench.poll()
        bench.fake.closes_on = set()
        assert failed_keys(await bench.poll()) == {CODES[1]}
        await asyncio.sleep(60)
        assert read_keys(await bench.poll()) == set(CODES)

    on(Bench(), test)


def test_an_object_that_breaks_the_association_each_time_is_soon_left_alone_for_an_hour() -> None:
    async def test(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        bench.fake.conformance = frozenset({"get"})
        bench.fake.closes_on = {ref(CODES[1])}
        await bench.poll()
        await bench.poll()  # in a new association
        asked = [0.0]
        while loop.time() < 5 * 3600:
            reconnects = bench.meter.statistics.reconnects
            assert read_keys(await bench.poll()) == set(CODES) - {CODES[1]}
            if bench.meter.statistics.reconnects > reconnects:
                asked.append(loop.time() / 60)
            await asyncio.sleep(10)
        rests = [round(later - sooner) for sooner, later in pairwise(asked)]
        assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    on(Bench(), test)


def test_a_clock_set_back_does_not_prolong_the_rest_of_an_object() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        bench.fake.closes_on = {ref(CODES[1])}
        bench.clock_ms = 1_000_000_000_000
        await bench.poll()
        bench.fake.closes_on = set()
        assert failed_keys(await bench.poll()) == {CODES[1]}
        bench.clock_ms = 0
        assert failed_keys(await bench.poll()) == set()

    on(Bench(), test)


def test_a_list_met_with_silence_is_read_singly_after_a_reconnect() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.mute_on_lists = True
        outcome = await bench.poll()
        assert read_keys(outcome) == set(CODES)
        assert bench.meter.statistics.retries == 1
        assert bench.meter.statistics.reconnects == 1

    on(Bench(), test)


#: Where a poll gets no second association.
HASTY = [
    ({"connection": {"retries": 0}}, False),
    ({"workarounds": {"quietAfterFailureMs": 15_000}}, True),
]


@pytest.mark.parametrize(("more", "shared"), [({}, False), *HASTY])
def test_lists_met_with_silence_are_given_up_for_good(more: dict[str, Any], shared: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.fake.mute_on_lists = True
        outcomes = [await bench.poll() for _ in range(8)]
        assert sum(outcome.error is not None for outcome in outcomes) <= 3
        bench.fake.heard.clear()
        for _ in range(3):
            assert read_keys(await bench.poll()) == set(CODES)
        assert bench.gets() == [1] * 15

    on(Bench(device("M1", *CODES, **more), shared=shared), test)


@pytest.mark.parametrize(("more", "shared"), [({}, False), *HASTY])
@pytest.mark.parametrize("mute", [False, True])
def test_an_object_that_breaks_the_association_costs_no_other_for_long(
    more: dict[str, Any], shared: bool, mute: bool
) -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        if mute:
            bench.fake.mute_on = {ref(CODES[0])}
        else:
            bench.fake.closes_on = {ref(CODES[0])}
        await bench.poll()
        for minute in range(130):
            outcome = await bench.poll()
            assert read_keys(outcome) == set(CODES[1:]), minute
            assert not outcome.error, minute
            await asyncio.sleep(60)
        bench.fake.mute_on = bench.fake.closes_on = set()
        await asyncio.sleep(3600)
        assert read_keys(await bench.poll()) == set(CODES)

    on(Bench(device("M1", *CODES, **more), shared=shared), test)


@pytest.mark.parametrize(("more", "shared"), [({}, False), *HASTY])
@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("bad", [2, 3])
def test_several_objects_that_break_the_association_cost_no_other_for_long(
    more: dict[str, Any], shared: bool, lists: bool, bad: int
) -> None:
    async def test(bench: Bench) -> None:
        if not lists:
            bench.fake.conformance = frozenset({"get"})
        bench.fake.longest_list = 1
        bench.fake.closes_on = {ref(code) for code in CODES[:bad]}
        for _ in range(3 * bad):
            await bench.poll()
        for _ in range(3):
            outcome = await bench.poll()
            assert read_keys(outcome) == set(CODES[bad:])
            assert failed_keys(outcome) == set(CODES[:bad])
            assert not outcome.error

    on(Bench(device("M1", *CODES, **more), shared=shared), test)


def test_a_list_with_an_object_that_breaks_the_association_is_read_without_it() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.fake.closes_on = {ref(CODES[2])}
        for _ in range(4):
            await bench.poll()
        bench.fake.heard.clear()
        assert read_keys(await bench.poll()) == set(CODES) - {CODES[2]}
        assert bench.gets() == [4]

    on(Bench(), test)


def test_a_dead_meter_fails_within_its_timeouts() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        outcome = await bench.poll()
        assert isinstance(outcome.error, LinkTimeoutError)
        assert not outcome.poll.readings
        assert set(outcome.unread) == set(bench.due)
        # DISC once, SNRM twice, one second each.
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)
        assert not bench.link.is_open
        assert bench.meter.statistics.polls_failed == 1

    on(Bench(), test)


def test_silence_after_good_answers_keeps_what_was_read() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        await bench.poll()

        async def die() -> None:
            await asyncio.sleep(0.25)
            bench.fake.silent = True

        dying = asyncio.ensure_future(die())
        outcome = await bench.poll()
        await dying
        assert len(outcome.poll.readings) == 3
        assert len(outcome.unread) == 2
        assert isinstance(outcome.error, LinkTimeoutError), "the reconnect failed: an outage"

    on(Bench(), test)


def test_an_unreachable_endpoint_is_told_as_such() -> None:
    async def test(bench: Bench) -> None:
        bench.link.reachable = False
        assert isinstance((await bench.poll()).error, ConnectError)

    on(Bench(), test)


def test_a_refusal_is_told_and_the_half_open_session_ended() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.refuses = True
        assert isinstance((await bench.poll()).error, RefusedError)
        assert bench.fake.verbs == ["connect", "clear"]
        assert not bench.link.is_open

    on(Bench(), test)


def test_a_meter_that_hangs_up_on_disc_is_reached_again() -> None:
    async def test(bench: Bench) -> None:
        bench.link.hangs_up_on = {"clear"}
        assert not (await bench.poll()).error
        for losses in (1, 2):
            bench.link.cut()
            assert not (await bench.poll()).error
            assert bench.link.opened == 2 + losses, "learned from the first loss"

    on(Bench(), test)


def test_after_a_clean_goodbye_no_disc_comes_first() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        await bench.meter.session.release()
        assert not bench.meter.session.is_open
        assert not bench.fake.associated
        await bench.poll()
        assert bench.fake.verbs == ["connect", "get", "release", "connect", "get"]
        assert bench.meter.statistics.reconnects == 0

    on(Bench(), test)


def test_a_refusal_over_an_idle_association_means_that_it_is_gone() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.fake.refuses_all = True
        asyncio.get_running_loop().call_later(0.15, setattr, bench.fake, "refuses_all", False)
        outcome = await bench.poll()
        assert read_keys(outcome) == set(CODES)
        assert bench.meter.learned.max_items == 32

    on(Bench(), test)


def test_an_object_always_answered_with_an_exception_does_not_cost_the_association() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        bench.fake.excepted = {ref(CODES[0])}
        await bench.poll()
        bench.fake.heard.clear()
        for _ in range(5):
            assert read_keys(await bench.poll()) == set(CODES[1:])
            await asyncio.sleep(5)
        assert bench.fake.verbs == ["get"] * 25
        assert bench.meter.statistics.reconnects == 0
        # Dropped by now, and all the more so if nothing else is asked for.
        bench.fake.refuses_all = True
        await bench.meter.poll(bench.due[:1])
        assert not bench.meter.session.is_open

    on(Bench(), test)


def test_what_another_meter_may_not_have_in_common_is_forgotten() -> None:
    async def test(bench: Bench) -> None:
        del bench.fake.values[ref(CODES[1])]
        await bench.poll()
        bench.fake.give(CODES[0], 10_000, power=1)
        bench.meter.forget()
        bench.fake.heard.clear()
        outcome = await bench.poll()
        (energy,) = [one for one in outcome.poll.readings if one.key == CODES[0]]
        assert energy.value == 100_000

    on(Bench(), test)


def test_scalers_are_read_again_when_they_are_in_doubt() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.fake.give(CODES[0], 10_000, power=1)
        bench.meter.doubt_scalers()
        (energy,) = [one for one in (await bench.poll()).poll.readings if one.key == CODES[0]]
        assert energy.value == 100_000

    on(Bench(), test)


def test_a_request_that_cannot_be_ciphered_is_an_error_of_the_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the disk is full no number can be kept, and without a number nothing is sent."""

    async def test(bench: Bench) -> None:
        await bench.poll()
        error = RefusedError("keeping the invocation counter", "No space left on device")
        monkeypatch.setattr(bench.meter.session, "ask", _raising(error))
        assert (await bench.poll()).error is error

    on(Bench(), test)


def _raising(error: DlmsError) -> Callable[..., Awaitable[None]]:
    async def ask(talk: Talk[Any], end: float) -> None:
        talk.close()
        raise error

    return ask


def test_pauses_and_quiet_are_kept() -> None:
    quirks = {"pauseAfterConnectMs": 500, "quietAfterFailureMs": 15_000}

    async def test(bench: Bench) -> None:
        await bench.poll()
        assert bench.fake.times("connect") == [0.5]
        bench.link.cut()
        before = asyncio.get_running_loop().time()
        outcome = await bench.poll()
        assert not outcome.error
        assert bench.fake.times("clear")[0] == pytest.approx(before + 15.5)

    on(Bench(device("M1", *CODES, workarounds=quirks)), test)


@pytest.mark.parametrize(
    ("connection", "interface", "shared", "kept"),
    [
        ({}, "HDLC", False, [True, True, False, False]),
        ({}, "WRAPPER", False, [True, True, True, False]),
        ({}, "HDLC", True, [False] * 4),
        ({"keepOpen": True}, "HDLC", True, [True] * 4),
        ({"keepOpen": False}, "WRAPPER", False, [False] * 4),
    ],
)
def test_keep_open(
    connection: dict[str, Any], interface: str, shared: bool, kept: list[bool]
) -> None:
    configured = device("M1", connection=connection, dlms={"interfaceType": interface})
    meter = Bench(configured, shared=shared).meter
    assert [meter.keeps(idle) for idle in (5, 100, 150, inf)] == kept


def test_a_job_runs_within_the_association_and_is_not_repeated() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        got = await bench.meter.run(lambda client: client.get([ref(CODES[0])]), timeout_s=5)
        assert len(got) == 1
        assert bench.fake.count("connect") == 1
        bench.fake.silent = True
        with pytest.raises(LinkTimeoutError):
            await bench.meter.run(lambda client: client.get([ref(CODES[0])]), timeout_s=5)
        assert bench.fake.count("connect") == 1
        assert not bench.meter.session.is_open

    on(Bench(), test)


@pytest.mark.parametrize(
    "says", [ServiceError("reading", "service-not-allowed"), DroppedError("exchanging")]
)
def test_a_job_finds_an_idle_association_ended_and_opens_another(says: DlmsError) -> None:
    async def test(bench: Bench) -> None:
        bench.fake.strict, bench.fake.stranger = True, says
        await bench.poll()
        await asyncio.sleep(60)
        bench.fake.associated = False
        got = await bench.meter.run(lambda client: client.get([ref(CODES[0])]), timeout_s=5)
        assert isinstance(got[0], Data)
        assert bench.fake.count("connect") == 2

    on(Bench(), test)


@pytest.mark.parametrize("changes", [False, True])
def test_a_job_finds_the_meter_hang_up_after_a_while(changes: bool) -> None:
    def job(client: Client) -> Talk[list[Data | ObjectError]]:
        client.changes += changes
        return (yield from client.get([ref(CODES[0])]))

    async def test(bench: Bench) -> None:
        await bench.poll()
        await asyncio.sleep(60)
        bench.link.cut()
        if changes:
            with pytest.raises(LinkClosedError):
                await bench.meter.run(job, timeout_s=5)
        else:
            assert isinstance((await bench.meter.run(job, timeout_s=5))[0], Data)
        assert bench.fake.count("connect") == 1 + (not changes)

    on(Bench(), test)


def test_a_job_that_has_begun_is_not_repeated() -> None:
    def twice(client: Client) -> Talk[None]:
        yield from client.get([ref(CODES[0])])
        bench.fake.associated = False
        yield from client.get([ref(CODES[0])])

    async def test(bench: Bench) -> None:
        bench.fake.strict = True
        await bench.poll()
        await asyncio.sleep(60)
        before = bench.fake.count("get")
        with pytest.raises(ServiceError):
            await bench.meter.run(twice, timeout_s=5)
        assert bench.fake.count("get") == before + 2

    bench = Bench()
    on(bench, test)


def test_a_jobs_service_error_leaves_the_association_alone() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        bench.fake.refuses_all = True
        with pytest.raises(ServiceError):
            await bench.meter.run(lambda client: client.get([ref(CODES[0])]), timeout_s=5)
        assert bench.meter.session.is_open

    on(Bench(), test)


def test_a_meter_that_never_gets_done_does_not_hold_the_line_for_ever() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.conformance = frozenset({"get"})
        bench.fake.latency_s = 0.999
        await bench.poll()
        bench.fake.latency_s = 100_000.0
        start = asyncio.get_running_loop().time()
        await bench.poll()
        assert asyncio.get_running_loop().time() - start <= 61

    on(Bench(), test)


def test_bytes_are_counted_per_meter() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        statistics = bench.meter.statistics
        assert statistics.bytes_out == bench.link.bytes_out > 0
        assert statistics.bytes_in == bench.link.bytes_in > 0
        assert statistics.poll_ms == 200
        assert statistics.polls_ok == 1

    on(Bench(), test)


def test_a_goodbye_after_a_cut_off_conversation_is_a_disc() -> None:
    async def test(bench: Bench) -> None:
        await bench.poll()
        polling = asyncio.ensure_future(bench.poll())
        await asyncio.sleep(0.05)
        polling.cancel()
        await asyncio.wait({polling})
        await bench.meter.session.release()
        assert bench.fake.verbs[-1] == "clear"
        assert not bench.fake.associated

    on(Bench(), test)
