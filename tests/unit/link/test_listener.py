from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dlms_connector.errors import AbsentError, ConnectError, LinkClosedError, ProtocolError
from dlms_connector.link.dial_in_link import MOST_TO_SAY, Call, DialInLink, plain
from dlms_connector.link.listener import Identify, Listener, room_for_strangers
from dlms_connector.link.tcp import TcpLink
from dlms_connector.meter.exchange import converse
from dlms_connector.protocol.talk import Talk


def by_address(address: str) -> Identify:
    async def identify(call: Call) -> str | None:
        return "meter" if call.peer == plain(address) else None

    return identify


HERE = by_address("127.0.0.1")


def soon(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


class House:
    """A listener with one link, and what it said of those it hung up."""

    def __init__(self, identify: Identify, **options: Any) -> None:
        self.link = DialInLink("meter", door="here:1", now=lambda: 0.0)
        self.arrivals: asyncio.Queue[None] = asyncio.Queue()
        self.link.arrived = lambda: self.arrivals.put_nowait(None)
        self.refused: asyncio.Queue[str] = asyncio.Queue()
        self.listener = Listener(
            {"meter": self.link},
            identify,
            host="127.0.0.1",
            port=0,
            greeting_s=options.pop("greeting_s", 0.01),
            hung_up=lambda address, reason: self.refused.put_nowait(f"{address}: {reason}"),
            **options,
        )

    def caller(self) -> TcpLink:
        return TcpLink("127.0.0.1", self.listener.port)


@asynccontextmanager
async def house(identify: Identify = HERE, **options: Any) -> AsyncIterator[House]:
    house = House(identify, **options)
    await house.listener.open()
    yield house
    await house.listener.close()


async def hears_the_end(caller: TcpLink) -> bool:
    with pytest.raises(LinkClosedError):
        await caller.receive(soon())
    await caller.close()
    return True


async def test_a_meter_calls_and_is_talked_to() -> None:
    async with house() as here:
        caller = here.caller()
        await caller.open()
        await here.arrivals.get()
        assert repr(here.link) == "<DialInLink meter held>"
        assert not here.link.is_open
        await here.link.open()
        here.link.send(b"hello")
        assert await caller.receive(soon()) == b"hello"
        caller.send(b"who")
        assert await here.link.receive(soon()) == b"who"
        assert (here.link.bytes_out, here.link.bytes_in) == (5, 3)
        assert repr(here.link) == "<DialInLink meter open>"
        await here.listener.close()
        assert await hears_the_end(caller)
        assert repr(here.link) == "<DialInLink meter waiting>"


@pytest.mark.parametrize("turns", range(5))
async def test_a_port_whose_opening_is_cancelled_is_free(turns: int) -> None:
    listener = House(HERE).listener
    opening = asyncio.ensure_future(listener.open())
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    if not opening.cancelled():
        await listener.close()
    gc.collect()  # a socket that nobody has closed is an error here


async def test_closing_lets_go_of_the_call_and_keeps_it() -> None:
    async with house() as here:
        caller = here.caller()
        await caller.open()
        await here.arrivals.get()
        for _ in range(9):
            await here.link.open()
            await here.link.open()  # it stays the same call
            await here.link.close()
            with pytest.raises(LinkClosedError):
                here.link.send(b"x")
        assert here.link.has_call
        await caller.close()


async def test_a_call_over_which_nothing_comes_is_hung_up() -> None:
    async with house() as here:
        caller = here.caller()
        await caller.open()
        await here.arrivals.get()
        for answers in (False, False, True, False, False, False):
            await here.link.open()
            here.link.send(b"x")
            if answers:
                caller.send(b"y")
                await here.link.receive(soon())
            await here.link.close()
        assert await caller.receive(soon()) == b"x" * 6
        assert await hears_the_end(caller)
        await caller.open()
        await here.arrivals.get()
        await here.link.open()
        await caller.close()


async def test_the_meter_has_not_called() -> None:
    async with house() as here:
        with pytest.raises(
            AbsentError,
            match=r"^the meter has not dialled in since 19(70|69)-.*:00, when the connector began "
            r"to wait for it \(meter at here:1\)$",
        ):
            await here.link.open()
        with pytest.raises(LinkClosedError):
            here.link.send(b"x")
        caller = here.caller()
        await caller.open()
        await here.arrivals.get()
        await here.link.open()
        await caller.close()
        with pytest.raises(LinkClosedError):
            await here.link.receive(soon())
        with pytest.raises(AbsentError, match=r"^the meter has not dialled in since \S+ \S+ \("):
            await here.link.open()


async def test_a_greeting_is_over_before_anybody_talks() -> None:
    async with house(greeting_s=0.05) as here:
        caller = here.caller()
        await caller.open()
        caller.send(b"+REG:")
        caller.send(b"12345\r\n")
        await here.arrivals.get()
        await here.link.open()
        caller.send(b"answer")
        assert await here.link.receive(soon()) == b"answer"
        await caller.close()


async def test_what_is_said_while_nobody_listens_is_handed_over() -> None:
    said: list[bytes] = []
    async with house(greeting_s=0.2) as here:
        here.link.said = said.append
        caller = here.caller()
        await caller.open()
        caller.send(b"a push at once")
        await here.arrivals.get()
        assert b"".join(said) == b"a push at once"
        said.clear()
        caller.send(b"a push in between")
        while b"".join(said) != b"a push in between":
            await asyncio.sleep(0.01)
            await here.link.open()
            await here.link.close()
        await caller.close()


async def test_a_new_call_ends_the_earlier() -> None:
    async with house() as here:
        first, second = here.caller(), here.caller()
        await first.open()
        await here.arrivals.get()
        await here.link.open()
        waiting = asyncio.ensure_future(here.link.receive(soon()))
        await second.open()
        await here.arrivals.get()
        with pytest.raises(LinkClosedError):
            await waiting
        assert await hears_the_end(first)
        assert here.link.has_call
        assert not here.link.is_open
        await here.link.open()
        here.link.send(b"hello")
        assert await second.receive(soon()) == b"hello"
        await second.close()


@pytest.mark.parametrize(("gap_s", "contested"), [(19.0, True), (31.0, False)])
async def test_calls_that_end_each_other_fast_are_contested(gap_s: float, contested: bool) -> None:
    told: list[tuple[str, str]] = []
    async with house(contested=lambda *news: told.append(news)) as here:
        callers = [here.caller() for _ in range(4)]
        for number, caller in enumerate(callers):
            here.link._now = lambda number=number: number * gap_s  # type: ignore[misc]
            assert not here.link.is_contested
            await caller.open()
            await here.arrivals.get()
        assert here.link.is_contested == contested
        await asyncio.gather(*(hears_the_end(caller) for caller in callers[:-1]))
        assert told == [("meter", "127.0.0.1")] * contested
        await callers[-1].close()


async def test_strangers_are_hung_up() -> None:
    async with house(by_address("10.0.0.1")) as here:
        caller = here.caller()
        await caller.open()
        assert await hears_the_end(caller)
        assert await here.refused.get() == "127.0.0.1: no configured meter calls from there"


async def test_networks_that_are_not_allowed() -> None:
    async with house(allow=["10.0.0.0/8", "::1/128"]) as here:
        caller = here.caller()
        await caller.open()
        assert await hears_the_end(caller)
        assert await here.refused.get() == "127.0.0.1: not allowed"


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        ({"most_strangers": 1}, "too many calls that are not identified yet"),
        ({"most_from_one": 1}, "too many calls from there that are not identified yet"),
    ],
)
async def test_too_many_strangers_at_once(bound: dict[str, int], reason: str) -> None:
    async with house(by_name, **bound) as here:
        first, second = here.caller(), here.caller()
        await first.open()
        assert await first.receive(soon()) == b"who?"
        await second.open()
        assert await hears_the_end(second)
        assert await here.refused.get() == f"127.0.0.1: {reason}"
        first.send(b"meter")
        await here.arrivals.get()
        await second.open()
        assert await second.receive(soon()) == b"who?"  # there is room again
        await second.close()
        await first.close()


def test_strangers_leave_most_files_to_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, room in ((1024, 256), (4, 2), (1 << 20, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert room_for_strangers() == room


def ask_name() -> Talk[bytes]:
    return (yield b"who?")


async def by_name(call: Call) -> str | None:
    await call.open()
    name = await converse(ask_name(), call, timeout_s=5)
    if name == b"fault":
        raise ZeroDivisionError("ours")
    if name == b"nonsense":
        raise ProtocolError("identifying", "nonsense")
    return name.decode()


async def test_a_first_talk_tells_who_calls() -> None:
    async with house(by_name) as here:
        caller = here.caller()
        await caller.open()
        assert await caller.receive(soon()) == b"who?"
        caller.send(b"meter")
        await here.arrivals.get()
        assert (here.link.bytes_out, here.link.bytes_in) == (4, 5)
        await caller.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"nobody", "unknown: nobody"),
        (b"nonsense", "identifying: nonsense"),
        (b"fault", "a fault of the connector: ZeroDivisionError('ours')"),
    ],
)
async def test_a_first_talk_that_leads_nowhere(answer: bytes, reason: str) -> None:
    async with house(by_name) as here:
        caller = here.caller()
        await caller.open()
        await caller.receive(soon())
        caller.send(answer)
        assert await here.refused.get() == f"127.0.0.1: {reason}"
        await caller.close()


async def ask_for_ever(call: Call) -> str | None:
    call.send(b"who?")
    while True:
        await call.receive(soon())


@pytest.mark.parametrize("greets", [True, False])
async def test_a_caller_that_babbles_is_not_heard_to_the_end(greets: bool) -> None:
    async with house(ask_for_ever, greeting_s=5 if greets else 0.01) as here:
        babbler = here.caller()
        await babbler.open()
        if not greets:
            assert await babbler.receive(soon()) == b"who?"
        babbler.send(bytes(2 * MOST_TO_SAY))
        assert (await here.refused.get()).endswith("octets told nothing")
        await babbler.close()


async def test_a_caller_that_says_nothing() -> None:
    async with house(by_name, identify_within_s=0.05) as here:
        caller = here.caller()
        await caller.open()
        assert await here.refused.get() == "127.0.0.1: nobody knows it after 0.05 s"
        await caller.close()


async def test_a_caller_that_hangs_up() -> None:
    async with house(by_name) as here:
        caller = here.caller()
        await caller.open()
        await caller.close()
        assert "the peer closed the connection" in await here.refused.get()


async def test_a_call_that_is_over_cannot_be_opened() -> None:
    with pytest.raises(ConnectError, match="hung up"):
        await Call(lambda call: None).open()


async def test_closing_hangs_up_everybody() -> None:
    async with house(by_name) as here:
        identified, unknown = here.caller(), here.caller()
        await identified.open()
        assert await identified.receive(soon()) == b"who?"
        identified.send(b"meter")
        await here.arrivals.get()
        await unknown.open()
        assert await unknown.receive(soon()) == b"who?"
        await here.listener.close()
        assert await hears_the_end(identified)
        assert await hears_the_end(unknown)


async def test_a_port_in_use() -> None:
    async with house() as here:
        other = Listener({}, HERE, host="127.0.0.1", port=here.listener.port)
        with pytest.raises(ConnectError, match="cannot listen"):
            await other.open()
        assert other.port == here.listener.port
        await other.close()


async def test_addresses_of_a_socket_for_both_families() -> None:
    call = Call(lambda call: None)
    assert await by_address("10.0.0.1")(call) is None
    call.stream.peer = "::ffff:10.0.0.1"
    assert await by_address("10.0.0.1")(call) == "meter"
    call.stream.peer = "fe80::1%eth0"
    assert await by_address("fe80::0001")(call) == "meter"
