"""Meters that dial in, through the whole fleet, with simulated meters that call."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from dlms_connector.config.model import Device, DevicePush, ListenConnection
from dlms_connector.errors import AbsentError, ConnectError, LinkClosedError
from dlms_connector.fleet.dial_in import News, welcome
from dlms_connector.fleet.fleet import Fleet, UnavailableError
from dlms_connector.link.listener import EVERYBODY
from dlms_connector.link.tcp import TcpLink
from dlms_connector.simulator import Meter, MeterOptions, dial_in
from dlms_connector.simulator.serving import frame_notification
from tests.support import fake_time
from tests.support.fake_meter import RecordingSink, ref

LOG = logging.getLogger("test.dial_in")
HERE = "127.0.0.1"
NUMBER = "1-0:1.8.0"


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HERE, 0))
        return int(one.getsockname()[1])


class Site:
    """A fleet with one door."""

    def __init__(self) -> None:
        self.port = free_port()
        self.sink = RecordingSink()
        self.devices: list[Device] = []
        self._meters = AsyncExitStack()

    def expect(self, name: str, connection: dict[str, Any], **dlms: Any) -> None:
        door = {"type": "listen", "host": HERE, "port": self.port, "timeoutMs": 400}
        self.devices.append(
            Device.model_validate(
                {
                    "deviceName": name,
                    "pollPeriod": 200,
                    "connection": door | connection,
                    "dlms": dlms,
                    "timeseries": [{"key": "energy", "obis": NUMBER}],
                }
            )
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Fleet]:
        self.fleet = Fleet(self.devices, self.sink, LOG)
        running = asyncio.ensure_future(self.fleet.run())
        try:
            for _ in range(300):
                if self.fleet.reception.listeners:
                    break
                await asyncio.sleep(0.01)
            yield self.fleet
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def until_states(self, **states: str) -> None:
        await self.until(
            lambda: all(self.sink.state_names(n)[-1:] == [s] for n, s in states.items())
        )

    async def until_polled(self, *names: str, times: int = 1) -> None:
        before = {name: len(self.sink.times(name)) for name in names}
        await self.until(lambda: all(len(self.sink.times(n)) >= before[n] + times for n in names))

    async def until(self, condition: Any) -> None:
        await asyncio.wait_for(self.sink.until(condition), 30)


@pytest.fixture
def site() -> Site:
    return Site()


def call(site: Site, **options: Any) -> Any:
    greeting = options.pop("greeting", b"")
    return dial_in(MeterOptions(**options), HERE, site.port, greeting=greeting)


async def test_a_meter_is_offline_until_it_calls_and_after_it_hung_up(site: Site) -> None:
    site.expect("M", {"peer": HERE})
    async with site.running() as fleet:
        await site.until_states(M="offline")
        (_, _, error), *_ = site.sink.states["M"]
        assert isinstance(error, AbsentError)
        assert str(error).startswith("the meter has not dialled in since 2")
        failed = fleet.statistics("M").polls_failed
        with pytest.raises(UnavailableError, match="has not dialled in since"):
            await fleet.submit("M", lambda client: client.get([ref(NUMBER)]), timeout_s=5)
        await asyncio.sleep(0.5)
        assert fleet.statistics("M").polls_failed == failed, "nobody tries what cannot be"
        async with call(site, greeting=b"\x01+hello\r\n"):
            await site.until_states(M="online")
            await site.until_polled("M", times=3)
            assert fleet.statistics("M").reconnects == 0
        await site.until_states(M="offline")
        async with call(site):
            await site.until_states(M="online")
            (value,) = await fleet.submit(
                "M", lambda client: client.get([ref(NUMBER)]), timeout_s=5
            )
    assert not isinstance(value, Exception)
    assert site.sink.state_names("M") == ["offline", "online", "offline", "online"]


async def test_what_a_meter_pushes_when_it_calls(site: Site) -> None:
    site.expect("M", {"peer": HERE})
    names = ("0-0:1.0.0", "0-0:42.0.0", "1-0:1.8.0")
    layout = {"objects": [{"obis": name, "class": "data"} for name in names]}
    push = DevicePush.model_validate({"layouts": [layout]})
    site.devices = [site.devices[0].model_copy(update={"push": push})]
    greeting = frame_notification(Meter(MeterOptions()))
    async with site.running(), call(site, greeting=greeting):
        await site.until(
            lambda: any(
                str(reading.obis) == "0-0:42.0.0"
                for _, poll in site.sink.polls.get("M", ())
                for reading in poll.readings
            )
        )


async def test_two_meters_on_one_port_by_serial_number(site: Site) -> None:
    for number in (7, 8):
        site.expect(f"M{number}", {"serialNumber": f"{number:08}"}, interfaceType="WRAPPER")
    async with site.running():
        await site.until_states(M7="offline", M8="offline")
        async with call(site, framing="WRAPPER", serial=8):
            await site.until_states(M8="online")
            assert site.sink.state_names("M7") == ["offline"]
            async with call(site, framing="WRAPPER", serial=7, greeting=b"IMEI 4711\r\n"):
                await site.until_states(M7="online")
                await site.until_polled("M7", "M8", times=2)


async def test_callers_change_while_others_are_connected(site: Site) -> None:
    """Who has called stays connected; who is new is recognised, and who has left is hung up on."""

    def expect(*numbers: int, **more: Any) -> list[Device]:
        site.devices.clear()
        for number in numbers:
            site.expect(f"M{number}", {"serialNumber": f"{number:08}"} | more,
                        interfaceType="WRAPPER")  # fmt: skip
        return list(site.devices)

    expect(7, 8)
    async with site.running() as fleet, AsyncExitStack() as callers:
        seven, eight = [
            await callers.enter_async_context(call(site, framing="WRAPPER", serial=number))
            for number in (7, 8)
        ]
        await site.until_states(M7="online", M8="online")
        before, told = seven.seen["aarq"], len(site.sink.state_names("M7"))
        listener = fleet.reception.listeners[f"{HERE}:{site.port}"]
        fleet.change(expect(7, 9))
        await site.until_polled("M7", times=3)
        async with call(site, framing="WRAPPER", serial=9):
            await site.until_states(M9="online")
            await site.until_polled("M7", "M9", times=2)
        assert seven.seen["aarq"] == before
        assert site.sink.state_names("M7")[-1:] == ["online"]
        assert len(site.sink.state_names("M7")) == told
        assert fleet.reception.listeners[f"{HERE}:{site.port}"] is listener
        asked = eight.seen["get"]
        # In another configuration it is hung up on, and served when it calls again.
        fleet.change(expect(7, timeoutMs=800))
        async with call(site, framing="WRAPPER", serial=7):
            await site.until_polled("M7", times=2)
        assert eight.seen["get"] == asked
        # Nobody is expected there any more, and then somebody is again.
        fleet.change([])
        await asyncio.wait(fleet.reception._closing)
        with pytest.raises(ConnectError):
            await TcpLink(HERE, site.port).open()
        fleet.change(expect(8))
        for _ in range(3000):
            if fleet.reception.listeners:
                break
            await asyncio.sleep(0.01)
        async with call(site, framing="WRAPPER", serial=8):
            await site.until_polled("M8", times=2)


async def test_by_system_title(site: Site) -> None:
    secrets = {
        "authentication": "HIGH_GMAC",
        "security": "AUTHENTICATION_ENCRYPTION",
        "systemTitle": "4D4D4D0000BC614E",
        "authenticationKey": "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
        "blockCipherKey": "000102030405060708090A0B0C0D0E0F",
        "invocationCounter": "0-0:43.1.0",
        "clientAddress": 1,
    }
    titles = {"A": "53494D0000000001", "B": "53494D0000000002"}
    for name, title in titles.items():
        site.expect(name, {"systemTitle": title}, interfaceType="WRAPPER", **secrets)
    options = {
        "framing": "WRAPPER",
        "client_address": 1,
        "authentication": "HIGH_GMAC",
        "security": "AUTHENTICATION_ENCRYPTION",
        "client_title": bytes.fromhex("4D4D4D0000BC614E"),
    }
    async with site.running(), call(site, **options, system_title=bytes.fromhex(titles["B"])):
        await site.until_states(B="online", A="offline")
        await site.until_polled("B", times=2)


async def test_a_title_that_is_only_configured_proves_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    title = "53494D0000000001"
    site.expect("A", {"systemTitle": title}, interfaceType="WRAPPER", serverSystemTitle=title)
    async with site.running(), call(site, framing="WRAPPER"):
        await site.until_states(A="offline")
        for _ in range(300):
            if "hung up on" in caplog.text:
                break
            await asyncio.sleep(0.01)
    assert "hung up on" in caplog.text
    assert site.sink.state_names("A") == ["offline"]


async def test_different_passwords_are_shown_to_nobody(site: Site) -> None:
    """They are asked by the public client, so no meter sees the password of another."""
    for number in (1, 2):
        site.expect(
            f"M{number}",
            {
                "serialNumber": f"SIM{number:013}",
                "serialNumberObis": "0-0:42.0.0",
                "allow": ["127.0.0.0/8"],
            },
            clientAddress=1,
            authentication="LOW",
            password=f"secret {number}",
        )
    async with site.running():
        async with call(
            site, serial=2, client_address=1, authentication="LOW", password=b"secret 2"
        ) as meter:
            await site.until_states(M2="online")
        assert meter.seen["refused"] == 0
        assert site.sink.state_names("M1") == ["offline"]


async def test_strangers_and_the_silent_keep_nobody_waiting(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.expect("M", {"serialNumber": "5", "connectTimeoutMs": 60_000}, interfaceType="WRAPPER")
    async with site.running(), AsyncExitStack() as callers:
        for _ in range(20):
            silent = TcpLink(HERE, site.port)
            await silent.open()
            callers.push_async_callback(silent.close)
        async with call(site, framing="WRAPPER", serial=6):
            start = asyncio.get_running_loop().time()
            async with call(site, framing="WRAPPER", serial=5):
                await site.until_states(M="online")
                assert asyncio.get_running_loop().time() - start < 30
                await site.until(lambda: "hung up on" in caplog.text)
    told = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    # Of the meter itself it may be told twice that it has not dialled in: before, and afterwards.
    (refused,) = (one for one in told if not one.startswith("M: the meter has not dialled in"))
    assert refused.startswith(f"{HERE}:{site.port}: hung up on {HERE}: no configured meter: ")


@pytest.mark.parametrize("mark", [{"serialNumber": "5", "allow": ["10.0.0.0/8"]}, {"peer": "::1"}])
async def test_who_cannot_be_a_meter_is_not_listened_to(
    site: Site, caplog: pytest.LogCaptureFixture, mark: dict[str, Any]
) -> None:
    """Else strangers from anywhere would take the places of meters that are asked who they are."""
    site.expect("M", mark)
    caller = TcpLink(HERE, site.port)
    async with site.running():
        await caller.open()
        with pytest.raises(LinkClosedError):
            await caller.receive(asyncio.get_running_loop().time() + 5)
        await caller.close()
    assert f"hung up on {HERE}: not allowed" in caplog.text


def test_whose_calls_are_of_use() -> None:
    def networks(*marks: dict[str, Any]) -> tuple[str, ...]:
        connections = [ListenConnection.model_validate({"type": "listen"} | one) for one in marks]
        return welcome(connections)

    assert networks({"peer": "10.0.0.5"}, {"serialNumber": "1", "allow": ["10.1.0.0/16"]}) == (
        "10.0.0.5",
        "10.1.0.0/16",
    )
    assert networks({"peer": "10.0.0.5", "allow": ["10.0.0.0/8"]}) == ("10.0.0.0/8",)
    assert networks({"peer": "10.0.0.5"}, {"serialNumber": "1"}) == ("10.0.0.5", *EVERYBODY)


async def test_a_newer_call_wins(site: Site) -> None:
    site.expect("M", {"peer": HERE})
    async with site.running(), call(site) as first:
        await site.until_states(M="online")
        async with call(site) as second:
            await site.until_polled("M", times=3)
            assert second.seen["snrm"]
            assert first.connections == 0
    assert "backoff" not in site.sink.state_names("M")


async def test_two_callers_taken_for_one_meter_are_told_of(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind one address of a mobile network; each calls again when the other was let in."""
    site.expect("M", {"peer": HERE})
    callers = [TcpLink(HERE, site.port) for _ in range(6)]
    async with site.running():
        await callers[0].open()
        for earlier, caller in pairwise(callers):
            await caller.open()
            with suppress(LinkClosedError):
                while await earlier.receive(asyncio.get_running_loop().time() + 5):
                    pass
    for caller in callers:
        await caller.close()
    warnings = [one.getMessage() for one in caplog.records if "same meter" in one.getMessage()]
    (warning,) = warnings
    assert warning.startswith(
        f"{HERE}:{site.port}: the meter known by {HERE} calls again and again"
    )


async def test_several_meters_behind_one_caller(site: Site) -> None:
    """A modem with a line behind it: one talker at a time, and one of them may be dead."""
    for address in (1, 2, 3):
        site.expect(f"M{address}", {"peer": HERE}, physicalAddress=address)
    async with site.running(), call(site, physical_address=2):
        await site.until_states(M2="online")
        await site.until_polled("M2", times=2)


async def test_a_refused_meter_is_not_asked_at_each_call(site: Site) -> None:
    site.expect("M", {"peer": HERE}, authentication="LOW", password="wrong")
    options: dict[str, Any] = {"authentication": "LOW", "password": b"right"}
    async with site.running():
        async with call(site, **options):
            await site.until_states(M="refused")
        async with call(site, **options) as again:
            await asyncio.sleep(0.6)
            assert again.seen["snrm"] == 0


async def test_a_port_that_is_taken_is_tried_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.expect("M", {"peer": HERE})
    with socket.socket() as taken:
        taken.bind((HERE, site.port))
        taken.listen()
        fleet = Fleet(site.devices, site.sink, LOG)
        running = asyncio.ensure_future(fleet.run())
        await site.until_states(M="offline")
        running.cancel()
        await asyncio.wait({running})
    assert "no meter can dial in: cannot connect to" in caplog.text


async def test_closing_the_fleet_hangs_up(site: Site) -> None:
    site.expect("M", {"peer": HERE})
    caller = TcpLink(HERE, site.port)
    async with site.running():
        await caller.open()
    caller.drain()
    with pytest.raises(LinkClosedError):
        await caller.receive(asyncio.get_running_loop().time() + 5)
    await caller.close()


def test_refused_callers_are_named_once_and_not_all(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        news = News("door", LOG)
        for number in range(300):
            for _ in range(2):
                news.refused(f"10.0.0.{number}", "not allowed")
        await asyncio.sleep(90_000)
        news.refused("10.0.0.1", "not allowed")

    fake_time.run(body())
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings[0] == "door: hung up on 10.0.0.0: not allowed"
    assert len(warnings) == 202
    assert warnings[-1] == "door: hung up on 10.0.0.1: not allowed"
    assert "not named any more" in warnings[-2]


async def test_reading_once_waits_for_the_call(site: Site) -> None:
    from dlms_connector.cli.read import read_once

    site.expect("M", {"serialNumber": "5"}, interfaceType="WRAPPER")
    site.expect("absent", {"serialNumber": "6", "connectTimeoutMs": 900}, interfaceType="WRAPPER")
    outcomes: dict[str, Any] = {}
    reading = asyncio.ensure_future(
        read_once(site.devices, lambda device, got: outcomes.update({device.device_name: got}))
    )
    await asyncio.sleep(0.1)
    async with call(site, framing="WRAPPER", serial=5):
        await asyncio.wait_for(reading, 30)
    assert outcomes["M"].error is None
    assert len(outcomes["M"].poll.readings) == 1
    assert isinstance(outcomes["absent"].error, AbsentError)
