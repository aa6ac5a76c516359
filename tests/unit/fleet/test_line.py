"""Meters on one endpoint take turns; silent ones cost the others little; jobs go ahead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.config.model import Device
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    UnkeptError,
)
from dlms_connector.fleet.line import Line
from dlms_connector.fleet.member import CallTimeoutError, UnavailableError
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk
from tests.support import fake_time
from tests.support.fake_meter import (
    FakeClient,
    FakeLink,
    FakeMeter,
    RecordingSink,
    client_of,
    device,
    ref,
)
from tests.support.simulated_line import SimulatedLine

T = TypeVar("T")
LOG = logging.getLogger("test.line")
ENERGY = ref("1-0:1.8.0")


class Bench:
    """A line with fake meters M1, M2 …"""

    def __init__(self, *devices: Device, open_s: float = 0.0) -> None:
        self.fakes = {one.device_name: FakeMeter(one.device_name) for one in devices}
        self.link = FakeLink(*self.fakes.values(), open_s=open_s)
        self.sink = RecordingSink()
        self.make: Callable[..., Client] = client_of(*self.fakes.values())
        self.line = Line(
            devices,
            self.sink,
            LOG,
            link=self.link,
            open_link=lambda link: link.open(),
            make_client=lambda configured, *rest: self.make(configured, *rest),
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
        )

    @property
    def fake(self) -> FakeMeter:
        return self.fakes["M1"]

    def read(self, name: str = "M1", timeout_s: float = 5.0) -> asyncio.Future[Any]:
        return self.line.submit(name, lambda client: client.get([ENERGY]), timeout_s=timeout_s)


def on(bench: Bench, test: Callable[[Bench], Awaitable[T]]) -> T:
    """Run a test beside the line; the line must not end by itself."""

    async def body() -> T:
        running = asyncio.ensure_future(bench.line.run())
        result = await test(bench)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
        assert bench.link.disturbances == []
        return result

    return fake_time.run(body())


def test_it_ends_also_in_the_very_moment_in_which_a_job_comes() -> None:
    async def body(turns: int) -> None:
        bench = Bench(device())
        running = asyncio.ensure_future(bench.line.run())
        await asyncio.sleep(12)  # it was polled, and rests
        assert bench.sink.times("M1")
        job = bench.read()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running}, timeout=60)
        assert running.cancelled()
        job.cancel()

    for turns in range(6):
        fake_time.run(body(turns))


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def test_a_meter_is_polled_on_its_grid() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(62)
        times = bench.sink.times("M1")
        assert len(times) >= 12
        assert gaps(times)[1:] == pytest.approx([5.0] * (len(times) - 2))
        assert bench.sink.state_names("M1") == ["online"]
        assert bench.fake.count("connect") == 1, "the association is kept"

    on(Bench(device()), test)


def test_an_association_not_worth_keeping_is_released_and_the_link_closed() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(1250)
        assert bench.fake.count("release") == bench.fake.count("connect") == 3
        assert not bench.link.is_open

    on(Bench(device(pollPeriod=600_000)), test)


def test_meters_on_one_line_take_turns_one_talker_at_a_time() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(120)
        for name, fake in bench.fakes.items():
            assert fake.count("release") >= 22
            assert 22 <= len(bench.sink.times(name)) <= 25

    on(Bench(*(device(f"M{n}") for n in range(1, 6))), test)


def test_an_overloaded_line_serves_all_meters_alike() -> None:
    async def test(bench: Bench) -> None:
        for fake in bench.fakes.values():
            fake.latency_s = 0.3
        await asyncio.sleep(300)
        polls = [len(bench.sink.times(f"M{n}")) for n in range(1, 21)]
        assert max(polls) <= 1.5 * min(polls)
        assert min(polls) >= 12

    on(Bench(*(device(f"M{n}") for n in range(1, 21))), test)


def test_a_meter_polled_often_does_not_starve_the_others() -> None:
    async def test(bench: Bench) -> None:
        for fake in bench.fakes.values():
            fake.latency_s = 0.3
        await asyncio.sleep(300)
        assert len(bench.sink.times("M2")) >= 55

    on(Bench(device("M1", pollPeriod=500), device("M2", pollPeriod=5000)), test)


def test_silent_meters_get_a_fifth_of_the_line_at_most() -> None:
    dead = ("M2", "M3", "M4")

    async def test(bench: Bench) -> None:
        for name in dead:
            bench.fakes[name].silent = True
        await asyncio.sleep(1000)
        # DISC once and connect twice, a second each.
        spent = sum(len(bench.fakes[name].heard) for name in dead)
        assert spent <= 0.25 * 1000
        assert len(bench.sink.times("M1")) >= 140
        late = gaps(bench.sink.times("M1")[20:])
        assert sorted(late)[len(late) // 2] == pytest.approx(5.0)

    on(Bench(*(device(f"M{n}") for n in range(1, 5))), test)


def test_an_unreachable_endpoint_is_not_tried_for_each_meter() -> None:
    async def test(bench: Bench) -> None:
        bench.link.reachable = False
        start = bench.link.opened
        await asyncio.sleep(30)
        assert bench.link.opened == start
        for n in range(1, 11):
            assert bench.sink.state_names(f"M{n}")[0] == "offline"
            assert isinstance(bench.sink.states[f"M{n}"][0][2], ConnectError)
        bench.link.reachable = True
        await asyncio.sleep(120)
        for n in range(1, 11):
            assert bench.sink.state_names(f"M{n}")[-1] == "online"

    on(Bench(*(device(f"M{n}") for n in range(1, 11)), open_s=2.0), test)


def test_back_off_and_the_way_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(1200)
        tries = bench.fake.times("clear")
        pauses = gaps(tries)
        assert pauses[0] <= 15
        assert all(10 < pause <= 22 for pause in pauses[3:]), "three periods, and its own time"
        assert bench.sink.state_names("M1") == ["offline", "backoff"]
        bench.fake.silent = False
        await asyncio.sleep(21)
        assert bench.sink.state_names("M1") == ["offline", "backoff", "online"]
        assert bench.sink.polls["M1"]

    on(Bench(device()), test)
    assert len(caplog.records) == 2, "one line per outage, one at its end"


def test_a_meter_that_was_exchanged_in_a_minute_is_read_with_its_own_scalers() -> None:
    """Found by simulation (seed 7): the values of the new meter were sent ten times too large."""

    async def test(bench: Bench) -> None:
        await asyncio.sleep(20)
        bench.link.reachable = False
        bench.link.cut()
        await asyncio.sleep(60)
        bench.fake.give("1-0:1.8.0", 5, power=3)
        bench.link.reachable = True
        await asyncio.sleep(60)
        last = bench.sink.polls["M1"][-1][1]
        assert [one.value for one in last.readings] == [5000]

    on(Bench(device()), test)


@pytest.mark.parametrize("period_s", [1, 5, 30, 60])
@pytest.mark.parametrize("meters", [1, 3])
def test_after_a_long_fault_a_meter_is_back_within_a_few_periods(
    period_s: int, meters: int
) -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(3 * period_s)
        for fake in bench.fakes.values():
            fake.silent = True
        await asyncio.sleep(max(82, 10 * period_s))
        back = asyncio.get_running_loop().time()
        for fake in bench.fakes.values():
            fake.silent = False
        await asyncio.sleep(5 * period_s)
        for name in bench.fakes:
            times = [at for at in bench.sink.times(name) if at > back]
            assert times[0] - back <= 4 * period_s + 4

    names = [f"M{n}" for n in range(1, meters + 1)]
    on(Bench(*(device(name, pollPeriod=period_s * 1000) for name in names)), test)


def test_after_a_long_fault_of_the_endpoint_its_meters_are_back_within_a_few_periods() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(3)
        bench.link.reachable = False
        await bench.link.close()
        await asyncio.sleep(300)
        back = asyncio.get_running_loop().time()
        bench.link.reachable = True
        await asyncio.sleep(10)
        for name in bench.fakes:
            times = [at for at in bench.sink.times(name) if at > back]
            assert times[0] - back <= 6

    on(Bench(*(device(f"M{n}", pollPeriod=1000) for n in range(1, 4))), test)


def test_a_meter_polled_once_an_hour_is_tried_again_before_the_hour_is_over() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(20)
        bench.fake.silent = False
        await asyncio.sleep(30)
        assert len(bench.sink.times("M1")) == 1

    on(Bench(device(pollPeriod=3_600_000)), test)


def test_daily_items_missed_in_an_outage_are_read_when_the_meter_is_back() -> None:
    items = [
        {"key": "energy", "obis": "1-0:1.8.0"},
        {"key": "daily", "obis": "1-0:1.8.0", "pollPeriod": 86_400_000},
    ]

    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(20)
        bench.fake.silent = False
        await asyncio.sleep(60)
        keys = [{reading.key for reading in poll.readings} for _, poll in bench.sink.polls["M1"]]
        assert keys[0] == {"energy", "daily"}
        assert all(later == {"energy"} for later in keys[1:])

    on(Bench(device(timeseries=items)), test)


def test_a_refusal_is_not_repeated_within_a_minute() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.refuses = True
        await asyncio.sleep(1000)
        assert bench.sink.state_names("M1") == ["refused"]
        assert min(gaps(bench.fake.times("connect"))) >= 60
        with pytest.raises(UnavailableError, match="authentication failure"):
            await bench.read()

    on(Bench(device(pollPeriod=1000)), test)


def test_a_meter_that_cannot_be_set_up_is_misconfigured_and_costs_the_others_nothing() -> None:
    async def test(bench: Bench) -> None:
        make = bench.make

        def fail(configured: Device, *_rest: object) -> Client:
            if configured.device_name == "M1":
                raise ConfigError("devices[0].dlms.password: required")
            return make(configured)

        bench.make = fail
        await asyncio.sleep(60)
        assert bench.sink.state_names("M1") == ["misconfigured"]
        assert len(bench.sink.times("M2")) >= 11

    on(Bench(device("M1"), device("M2")), test)


def test_a_fault_of_ours_in_one_meter_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def test(bench: Bench) -> None:
        make = bench.make

        class Faulty(FakeClient):
            def get(self, refs: Any) -> Talk[Any]:
                yield from self._exchange("get", *refs)
                now = asyncio.get_running_loop().time()
                raise ZeroDivisionError(f"our fault at {now}")

        bench.make = lambda configured, *_rest: (
            cast("Client", Faulty(bench.fakes["M1"]))
            if configured.device_name == "M1"
            else make(configured)
        )
        await asyncio.sleep(60)
        assert bench.sink.state_names("M1")[0] == "offline"
        assert len(bench.sink.times("M2")) >= 10

    on(Bench(device("M1"), device("M2")), test)
    (told,) = [one for one in caplog.records if one.getMessage().startswith("M1: ")]
    assert told.exc_info, "it is told once, with all that is known"


def test_a_sink_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(RecordingSink):
        def polled(self, *_: Any) -> None:
            raise ValueError("their fault")

    async def test(bench: Bench) -> None:
        await asyncio.sleep(30)
        assert bench.fake.count("get") >= 5

    bench = Bench(device())
    bench.line.members["M1"]._sink = Raising()
    on(bench, test)
    assert "could not be handed over" in caplog.text


def test_a_job_goes_ahead_of_queued_polls() -> None:
    async def test(bench: Bench) -> None:
        for fake in bench.fakes.values():
            fake.latency_s = 0.5
        await asyncio.sleep(60.2)
        start = asyncio.get_running_loop().time()
        await bench.read("M7", timeout_s=10)
        # The poll at hand, its goodbye, then connect and get.
        assert asyncio.get_running_loop().time() - start <= 0.5 * 6

    on(Bench(*(device(f"M{n}", pollPeriod=1000) for n in range(1, 21))), test)


def test_a_job_on_an_idle_line_takes_one_round_trip() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(7.5)
        start = asyncio.get_running_loop().time()
        (value,) = await bench.read()
        assert value.value == 23017
        assert asyncio.get_running_loop().time() - start == pytest.approx(0.1)

    on(Bench(device()), test)


def test_jobs_without_end_do_not_starve_the_polls() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(3)
        stop = asyncio.get_running_loop().time() + 60

        async def caller() -> None:
            while asyncio.get_running_loop().time() < stop:
                await bench.read(timeout_s=60)

        await asyncio.gather(*(caller() for _ in range(20)))
        times = [at for at in bench.sink.times("M2") if at < stop]
        assert len(times) >= 11

    on(Bench(device("M1"), device("M2")), test)


def test_a_series_of_jobs_shares_one_association() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(10)
        connects = bench.fake.count("connect")
        for _ in range(10):
            await bench.read()
            await asyncio.sleep(1)
        assert bench.fake.count("connect") == connects + 1
        await asyncio.sleep(5)
        assert not bench.fake.associated
        assert not bench.link.is_open

    on(Bench(device(pollPeriod=3_600_000)), test)


def test_a_job_tells_its_own_error() -> None:
    async def test(bench: Bench) -> None:
        def undefined(client: Client) -> Talk[None]:
            (result,) = yield from client.get([ref("9-9:9.9.9")])
            assert isinstance(result, ObjectError)
            raise result

        with pytest.raises(ObjectError, match="object-undefined"):
            await bench.line.submit("M1", undefined, timeout_s=5)
        assert bench.sink.state_names("M1") in ([], ["online"])

    on(Bench(device()), test)


def test_a_job_whose_time_is_over_is_told_and_never_run() -> None:
    async def test(bench: Bench) -> None:
        bench.fakes["M2"].latency_s = 0.9
        await asyncio.sleep(8)
        slow = bench.read("M2", timeout_s=10)
        await asyncio.sleep(0.01)
        gets = bench.fakes["M1"].count("get")
        with pytest.raises(CallTimeoutError, match=r"not done within 0\.5 s"):
            await bench.read("M1", timeout_s=0.5)
        await slow
        assert bench.fakes["M1"].count("get") == gets

    on(Bench(device("M1", pollPeriod=600_000), device("M2", pollPeriod=600_000)), test)


def test_a_job_with_less_time_than_a_reply_has_is_not_told_of_silence() -> None:
    """What helps where a meter is silent would send its owner after the wrong fault."""

    async def test(bench: Bench) -> None:
        await asyncio.sleep(8)
        bench.fake.latency_s = 0.9
        with pytest.raises(CallTimeoutError, match=r"not done within 0\.5 s$"):
            await bench.read(timeout_s=0.5)
        assert await bench.read(timeout_s=5)
        bench.fake.silent = True
        with pytest.raises(LinkTimeoutError, match="no complete reply") as caught:
            await bench.read(timeout_s=60)
        assert not isinstance(caught.value, CallTimeoutError)

    on(Bench(device("M1", pollPeriod=600_000)), test)


def test_a_call_to_a_meter_that_is_down_is_answered_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(200)
        start = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError, match=r"has not answered for \d+ s"):
            await bench.read()
        assert asyncio.get_running_loop().time() == start

    on(Bench(device()), test)


def test_reconnect_tries_an_endpoint_that_was_not_reached_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.link.reachable = False
        await asyncio.sleep(600)
        bench.link.reachable = True
        bench.line.reconnect("M2")
        await asyncio.sleep(1)
        assert len(bench.sink.times("M2")) == 1
        assert bench.sink.state_names("M2")[-1] == "online"

    on(Bench(device("M1"), device("M2")), test)


def test_reconnect_tries_a_meter_that_is_down_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(600)
        bench.fake.silent = False
        bench.line.reconnect("M1")
        await asyncio.sleep(1)
        assert bench.sink.state_names("M1")[-1] == "online"
        connects = bench.fake.count("connect")
        bench.line.reconnect("M1")
        await asyncio.sleep(1)
        assert bench.fake.count("connect") == connects + 1

    on(Bench(device()), test)


def test_a_meter_without_items_is_visited_once_and_does_jobs() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(1000)
        assert bench.fake.verbs == ["connect", "release"]
        assert bench.sink.state_names("M1") == ["online"]
        assert bench.sink.times("M1") == [], "there was nothing to read"
        await bench.read()
        bench.fake.refuses = True
        await asyncio.sleep(10)
        for error in (RefusedError, UnavailableError):
            with pytest.raises(error):
                await bench.read()
        bench.fake.refuses = False
        await asyncio.sleep(80)
        assert bench.sink.state_names("M1") == ["online", "refused", "online"]

    on(Bench(device(timeseries=[])), test)


def test_what_our_disk_refuses_is_tried_again_sooner_than_what_a_meter_does() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.refusal = UnkeptError("keeping the invocation counter", "no space")
        bench.fake.refuses = True
        await asyncio.sleep(3600)
        bench.fake.refuses = False
        asked = len(bench.fake.verbs)
        await asyncio.sleep(60)
        assert len(bench.fake.verbs) > asked
        assert "refused" not in bench.sink.state_names("M1")
        assert bench.sink.state_names("M1")[-1] == "online"

    on(Bench(device(pollPeriod=1000)), test)


def test_a_meter_without_items_is_visited_until_it_answers() -> None:
    async def test(bench: Bench) -> None:
        bench.fake.silent = True
        await asyncio.sleep(100)
        assert bench.sink.state_names("M1") == ["offline"]
        bench.fake.silent = False
        await asyncio.sleep(100)
        assert bench.sink.state_names("M1") == ["offline", "online"]

    on(Bench(device(timeseries=[])), test)


def test_a_meter_without_items_that_dials_in_is_visited_when_it_calls() -> None:
    async def test(bench: Bench) -> None:
        bench.link.reachable = False
        await asyncio.sleep(1)
        assert bench.sink.state_names("M1") == ["offline"]
        bench.link.reachable = True
        bench.line.called()
        await asyncio.sleep(1)
        assert bench.sink.state_names("M1") == ["offline", "online"]

    on(Bench(device(timeseries=[])), test)


def test_a_job_that_comes_during_a_goodbye_is_not_left_until_the_next_poll() -> None:
    async def test(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(10)
        await bench.read()
        released = bench.fake.count("release")
        await asyncio.sleep(2.05)  # it lingers for 2 s, and a goodbye takes 0.1 s
        assert bench.fake.count("release") == released + 1
        assert bench.fake.associated
        asked = loop.time()
        await bench.read()
        assert loop.time() - asked < 1.0

    on(Bench(device(pollPeriod=600_000)), test)


def test_the_farewell_ends_the_open_association() -> None:
    bench = Bench(device())

    async def body() -> list[bool]:
        running = asyncio.ensure_future(bench.line.run())
        await asyncio.sleep(7)
        before = bench.fake.associated
        running.cancel()
        await asyncio.wait({running})
        await bench.line.farewell()
        await bench.line.close()
        return [before, bench.fake.associated, bench.link.is_open]

    assert fake_time.run(body()) == [True, False, False]


def test_states_are_told_with_their_error_and_only_when_they_change() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(20)
        bench.link.reachable = False
        bench.link.cut()
        await asyncio.sleep(3)
        bench.link.reachable = True
        await asyncio.sleep(60)
        states: list[tuple[str, type[DlmsError] | None]] = [
            (state, type(error) if error else None) for _, state, error in bench.sink.states["M1"]
        ]
        assert states == [("online", None), ("offline", ConnectError), ("online", None)]

    on(Bench(device()), test)


def test_who_waits_for_a_call_when_the_line_ends_is_not_left_waiting() -> None:
    bench = Bench(device())

    async def body() -> list[bool]:
        running = asyncio.ensure_future(bench.line.run())
        await asyncio.sleep(7)
        bench.fake.latency_s = 0.9
        calls = [bench.read(), bench.read()]
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.wait({running})
        await bench.line.farewell()
        return [call.cancelled() for call in calls]

    assert fake_time.run(body()) == [True, True]


def _plant(fake: FakeMeter, link: FakeLink, fault: str) -> None:
    match fault:
        case "silent":
            fake.silent = True
        case "refuses":
            fake.refuses = True
        case "mute on one":
            fake.mute_on = {ENERGY}
        case "closes on one":
            fake.closes_on = {ENERGY}
        case "mute on lists":
            fake.mute_on_lists = True
        case "refuses lists":
            fake.longest_list = 1
        case "refuses all":
            fake.refuses_all = True
        case "slow":
            fake.latency_s = 0.9
        case "cut":
            link.cut()
        case "unreachable":
            link.reachable = False
            link.cut()


def _heal(fake: FakeMeter, link: FakeLink) -> None:
    fake.silent = fake.refuses = fake.mute_on_lists = fake.refuses_all = False
    fake.mute_on, fake.closes_on = set(), set()
    fake.longest_list, fake.latency_s, link.reachable = 1000, 0.1, True


FAULTS = (
    "silent", "refuses", "mute on one", "closes on one", "mute on lists", "refuses lists",
    "refuses all", "slow", "cut", "unreachable",
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(FAULTS), st.floats(0.1, 40)), max_size=8),
    st.booleans(),
)
def test_whatever_goes_wrong_all_meters_come_back(
    troubles: list[tuple[int, str, float]], shared: bool
) -> None:
    async def test(bench: Bench) -> None:
        for number, fault, seconds in troubles:
            name = f"M{number if shared else 1}"
            _plant(bench.fakes[name], bench.link, fault)
            await asyncio.sleep(seconds)
        for fake in bench.fakes.values():
            _heal(fake, bench.link)
        healed = asyncio.get_running_loop().time()
        # The longest back-off, and the rest of the polls at hand.
        await asyncio.sleep(400)
        for name in bench.fakes:
            assert bench.sink.state_names(name)[-1] == "online"
            late = [at for at in bench.sink.times(name) if at > healed + 350]
            assert len(late) >= 9
        for polls in bench.sink.polls.values():
            for _, poll in polls:
                assert all(reading.value == Decimal("230.17") for reading in poll.readings)

    items = ["1-0:1.8.0", "1-0:1.8.0"] if shared else ["1-0:1.8.0"]
    on(Bench(*(device(f"M{n}", *items) for n in range(1, 4 if shared else 2))), test)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
@pytest.mark.parametrize("after_s", [tenth / 10 for tenth in range(1, 20)])
def test_wherever_it_is_stopped_no_meter_is_left_associated(framing: str, after_s: float) -> None:
    """Some meters let nobody in before the last association was ended."""

    async def body() -> None:
        more: dict[str, Any] = {
            "dlms": {"interfaceType": framing},
            "connection": {"keepOpen": False},
            "workarounds": {"pauseBeforeDisconnectMs": 200},
        }
        line = SimulatedLine(device(pollPeriod=1000, **more), faults={"keeps-association": 1})
        running = asyncio.ensure_future(line.line.run())
        await asyncio.sleep(after_s + 0.05)
        running.cancel()
        await asyncio.wait({running})
        await line.line.farewell()
        assert not line.meters[0].association_held

    fake_time.run(body())


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_to_reconnect_ends_the_association_that_there_is(framing: str) -> None:
    async def body() -> None:
        dlms = {"interfaceType": framing}
        line = SimulatedLine(device(pollPeriod=5000, dlms=dlms), faults={"keeps-association": 1})
        running = asyncio.ensure_future(line.line.run())
        await asyncio.sleep(12)
        opened = line.link.opened
        line.line.reconnect("M1")
        await asyncio.sleep(12)
        assert line.link.opened == opened + 1
        assert line.spent() == (0, 0, 0)
        assert line.sink.state_names("M1") == ["online"]
        running.cancel()
        await asyncio.wait({running})

    fake_time.run(body())


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_an_association_that_was_left_behind_is_ended_where_a_new_one_is_refused(
    framing: str,
) -> None:
    async def body() -> None:
        dlms = {"interfaceType": framing}
        line = SimulatedLine(device(pollPeriod=5000, dlms=dlms), faults={"keeps-association": 1})
        running = asyncio.ensure_future(line.line.run())
        await asyncio.sleep(12)
        line.meters[0].faults.set("silence")
        await asyncio.sleep(10)
        line.meters[0].faults.clear("silence")
        await asyncio.sleep(160)
        assert line.sink.state_names("M1")[-1] == "online"
        running.cancel()
        await asyncio.wait({running})

    fake_time.run(body())


def test_a_connection_that_a_meter_closes_after_its_goodbye_costs_the_next_one_nothing() -> None:
    async def body() -> None:
        devices = [
            device(f"M{n}", dlms={"interfaceType": "WRAPPER", "logicalAddress": n})
            for n in (1, 2, 3)
        ]
        line = SimulatedLine(*devices, faults={"close-after-release": 1})
        running = asyncio.ensure_future(line.line.run())
        await asyncio.sleep(60)
        for one in devices:
            assert line.sink.state_names(one.device_name) == ["online"]
            assert line.spent(one.device_name).failed == 0
        running.cancel()
        await asyncio.wait({running})

    fake_time.run(body())
