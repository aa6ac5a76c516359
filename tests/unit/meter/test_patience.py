"""How long a silent meter may hold a line."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from math import inf

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import LinkTimeoutError
from dlms_connector.meter.exchange import converse
from dlms_connector.meter.patience import Patience
from dlms_connector.protocol.talk import Talk
from tests.support import fake_time
from tests.support.fake_meter import device
from tests.support.simulated_line import SimulatedLine, on


def patience(timeout_ms: int = 6000, retries: int = 2, *, hurried: bool = True) -> Patience:
    made = Patience(device(connection={"timeoutMs": timeout_ms, "retries": retries}))
    made.begin(hurried=hurried)
    return made


def test_all_silences_of_a_turn_are_one_timeout() -> None:
    one = patience()
    waits = []
    while not one.is_over:
        waits.append(one.reply_s)
        one.silent(one.reply_s)
    assert waits == [2, 2, 2]


@pytest.mark.parametrize(("slowest", "waits"), [(0.5, [2, 2, 2]), (1.2, [2.4, 3.6]), (4, [6])])
def test_a_slow_meter_gets_fewer_tries_and_more_time_for_each(
    slowest: float, waits: list[float]
) -> None:
    one, found = patience(), []
    one.heard(slowest)
    while not one.is_over:
        found.append(one.reply_s)
        one.silent(one.reply_s)
    assert found == pytest.approx(waits)


def test_where_nobody_waits_each_try_has_its_timeout() -> None:
    one = patience(hurried=False)
    for _ in range(10):
        assert one.reply_s == 6
        one.silent(6)
        assert not one.is_over


def test_a_short_timeout_is_one_try() -> None:
    one = patience(1000)
    assert one.reply_s == 1


def test_a_farewell_is_short() -> None:
    one = patience()
    one.silent(6)
    one.for_farewell()
    assert one.reply_s < 0.5


def test_a_talk_ends_when_patience_does() -> None:
    class Silent:
        is_open, bytes_in, bytes_out, sent = True, 0, 0, 0

        def send(self, data: bytes) -> None:
            self.sent += 1

        async def receive(self, deadline: float) -> bytes:
            await asyncio.sleep(deadline - asyncio.get_running_loop().time())
            return b""

    def stubborn() -> Talk[None]:
        while True:
            yield b"?"

    async def body() -> None:
        loop, link, one = asyncio.get_running_loop(), Silent(), patience()
        start = loop.time()
        with pytest.raises(LinkTimeoutError):
            await converse(stubborn(), link, timeout_s=6, patience=one)  # type: ignore[arg-type]
        assert loop.time() - start == pytest.approx(6)
        assert link.sent == 3
        assert one.reply_s == 0

    fake_time.run(body())
    assert inf > patience().reply_s


def of(number: int, framing: str) -> Device:
    return Device.model_validate(
        {
            "deviceName": f"M{number}",
            "pollPeriod": 1000,
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
            "connection": {"host": "h", "timeoutMs": 5000, "retries": 2},
            "dlms": {"interfaceType": framing, "physicalAddress": number, "logicalAddress": number},
        }
    )


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_silent_meter_on_a_shared_line_costs_its_neighbours_one_timeout(
    framing: str, from_the_start: bool
) -> None:
    async def test(bench: SimulatedLine) -> None:
        if not from_the_start:
            await asyncio.sleep(10)
        begin = asyncio.get_running_loop().time()
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(120)
        longest = 0.0
        for name in ("M2", "M3"):
            times = [begin, *(at for at in bench.sink.times(name) if at > begin)]
            longest = max(longest, *(b - a for a, b in pairwise(times)))
            assert len(times) > 20
        # One timeout, the farewell, and two turns of the others.
        assert longest <= 5 + 0.5 + 3.5
        bench.meters[0].faults.clear("silence")
        await asyncio.sleep(40)
        assert bench.sink.state_names("M1")[-1] == "online"

    on(lambda: SimulatedLine(*(of(n, framing) for n in (1, 2, 3))), test)


def test_a_meter_that_has_nothing_to_say_is_no_longer_waited_for_than_a_silent_one() -> None:
    """It acknowledges each poll of its answer, which never comes: as with a lost request."""

    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(10)
        begin = asyncio.get_running_loop().time()
        bench.meters[0].faults.set("silent-to-list")
        await asyncio.sleep(120)
        for name in ("M2", "M3"):
            times = [begin, *(at for at in bench.sink.times(name) if at > begin)]
            # At most a timeout of silence, and as long with nothing but acknowledgements.
            assert max(b - a for a, b in pairwise(times)) <= 2 * 5 + 0.5 + 3.5

    on(lambda: SimulatedLine(*(several(n) for n in (1, 2, 3))), test)


def several(number: int) -> Device:
    """Return a meter of which two values are asked for in a list."""
    made = of(number, "HDLC").model_dump(by_alias=True, exclude_unset=True)
    made["timeseries"] = [{"key": obis, "obis": obis} for obis in ("1-0:1.8.0", "1-0:2.8.0")]
    return Device.model_validate(made)


def test_a_meter_that_is_slow_is_waited_for_while_nobody_else_is_due() -> None:
    one = patience(hurried=False)
    one.put_off(29)
    assert not one.is_over
    one.begin(hurried=True)
    one.put_off(5.9)
    assert not one.is_over
    one.put_off(6)
    assert one.is_over


def test_a_meter_that_is_slow_for_ever_is_not() -> None:
    one = patience(hurried=False)
    one.put_off(60)
    assert one.is_over


def test_silent_meters_are_not_tried_one_after_another() -> None:
    async def test(bench: SimulatedLine) -> None:
        for silent in bench.meters[:3]:
            silent.faults.set("silence")
        await asyncio.sleep(60)
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(300)
        times = [at for at in bench.sink.times("M4") if at > begin]
        assert max(b - a for a, b in pairwise(times)) <= 5 + 0.5 + 3.5
        for silent in bench.meters[:3]:
            silent.faults.clear("silence")
        await asyncio.sleep(90)
        assert {bench.sink.state_names(f"M{n}")[-1] for n in (1, 2, 3)} == {"online"}

    on(lambda: SimulatedLine(*(of(n, "HDLC") for n in (1, 2, 3, 4))), test)


def test_a_lost_frame_is_repeated_within_the_turn() -> None:
    async def test(bench: SimulatedLine) -> None:
        await asyncio.sleep(10)
        bench.meters[0].faults.set("lose", 7)
        await asyncio.sleep(120)
        assert bench.statistics("M1").retries > 3
        assert bench.statistics("M1").polls_failed == 0
        assert bench.sink.state_names("M1") == ["online"]

    on(lambda: SimulatedLine(*(of(n, "HDLC") for n in (1, 2, 3))), test)
