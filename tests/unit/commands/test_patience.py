"""A change is not begun when its caller must have given up, wherever it waits meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dlms_connector.commands.image_calls import image_methods
from dlms_connector.commands.image_file import Image
from dlms_connector.commands.image_jobs import ImageJobs
from dlms_connector.commands.kept import Kept
from dlms_connector.config.model import Device
from tests.support import called_line, fake_time
from tests.support.called_line import CalledLine
from tests.support.commands import LOG, Desk, MetersInMemory
from tests.support.commands import device as writable

LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4, "value": 4321}
CHANGES = [
    ("writeObject", LIMIT),
    ("set", "obis=0-0:17.0.0;class=71;attribute=4;value=4321;"),
    ("setLimit", 4321),
    ("invokeMethod", {"obis": "0-0:96.3.10", "class": 70, "method": 1}),
    ("disconnectRelay", None),
    ("syncClock", {"force": True}),
    ("verifyImage", None),
]
OWN = {"method": "setLimit", "requestType": "set", **{k: LIMIT[k] for k in LIMIT if k != "value"}}


def device(name: str, **keys: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": name,
            "allowWrite": True,
            "pollPeriod": 100_000,
            "connection": {"host": "h", "timeoutMs": 30_000, "retries": 0},
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
            "serverSideRpc": [OWN],
            **keys,
        }
    )


def run(test: Callable[[CalledLine], Awaitable[None]]) -> None:
    """Run a test beside two meters on one line."""
    called_line.run((device("M1"), device("M2", dlms={"physicalAddress": 2})), test)


def built_in(changes: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [one for one in changes if one[0] != "verifyImage"]


@pytest.mark.parametrize(("method", "params"), built_in(CHANGES))
def test_a_turn_on_the_line_that_comes_too_late(method: str, params: Any) -> None:
    async def test(bench: CalledLine) -> None:
        bench.slow("M2", 9.0)
        before = bench.changes()
        read = {"obis": "1-0:1.8.0", "timeout": 60}
        other = bench.call("readObject", read, "M2")
        await asyncio.sleep(1)
        after_s, answer = await bench.call(method, params)
        assert after_s == pytest.approx(5.0)
        assert "not begun within 5 s, when the caller has given up" in answer["error"]
        assert "; nothing was done; give the call a longer `timeout`" in answer["error"]
        assert "failed: " in bench.events[-1].sentence
        assert "nothing was done" in bench.events[-1].sentence
        await other
        await asyncio.sleep(60)
        assert bench.changes() == before

    run(test)


@pytest.mark.parametrize(("method", "params"), built_in(CHANGES))
def test_a_change_whose_turn_comes_in_time_is_made(method: str, params: Any) -> None:
    async def test(bench: CalledLine) -> None:
        bench.slow("M2", 0.3)
        before = bench.changes()
        other = bench.call("readObject", {"obis": "1-0:1.8.0"}, "M2")
        _, answer = await bench.call(method, params)
        assert "result" in answer, answer
        await other
        assert bench.changes() == before + 1

    run(test)


def test_an_association_that_takes_too_long_to_open() -> None:
    async def test(bench: CalledLine) -> None:
        bench.slow("M1", 4.0)
        before = bench.changes()
        after_s, answer = await bench.call("disconnectRelay")
        assert after_s == pytest.approx(5.0)
        assert "nothing was done" in answer["error"]
        await asyncio.sleep(60)
        assert bench.changes() == before
        bench.slow("M1", 0.1)
        assert "result" in (await bench.call("readObject", {"obis": "1-0:1.8.0"}))[1]

    run(test)


def test_a_reading_before_the_change_that_takes_too_long() -> None:
    async def test(bench: CalledLine) -> None:
        await bench.call("readClock")
        bench.slow("M1", 5.5)
        before = bench.changes()
        _, answer = await bench.call("disconnectRelay", {"obis": "0-0:96.3.10"})
        assert "nothing was done" in answer["error"]
        await asyncio.sleep(60)
        assert bench.changes() == before

    run(test)


def test_a_change_that_is_begun_in_time_ends_in_its_own_time() -> None:
    async def test(bench: CalledLine) -> None:
        await bench.call("readClock")
        bench.slow("M1", 2.0)
        after_s, answer = await bench.call("writeObject", LIMIT)
        assert after_s > 5
        assert answer == {"result": 4321}

    run(test)


@pytest.mark.parametrize(("timeout", "done"), [(2, False), (30, True), ("30", True)])
def test_the_call_may_say_how_long_its_caller_waits(timeout: Any, done: bool) -> None:
    async def test(bench: CalledLine) -> None:
        bench.slow("M2", 3.0)
        before = bench.changes()
        other = bench.call("readObject", {"obis": "1-0:1.8.0", "timeout": 60}, "M2")
        await asyncio.sleep(0.5)
        after_s, answer = await bench.call("writeObject", {**LIMIT, "timeout": timeout})
        assert ("result" in answer) is done, answer
        assert done or after_s == pytest.approx(timeout)
        await other
        await asyncio.sleep(60)
        assert bench.changes() == before + done

    run(test)


def test_readings_wait_as_ever() -> None:
    async def test(bench: CalledLine) -> None:
        bench.slow("M2", 1.7)
        other = bench.call("readObject", {"obis": "1-0:1.8.0", "timeout": 60}, "M2")
        after_s, answer = await bench.call("readClock")
        assert 5 < after_s < 9
        assert "result" in answer
        await other

    run(test)


def test_what_the_connector_does_itself_is_not_begun_late_either() -> None:
    async def slow_disk(folder: Any, name: str, identifier: str | None) -> Image:
        await asyncio.sleep(7)
        return Image(name, b"x", b"firmware")

    async def test() -> None:
        meters = MetersInMemory()
        kept = Kept(None, "image-transfers.json", LOG)
        jobs = ImageJobs(
            None,  # type: ignore[arg-type]
            meters,
            kept,
            LOG,
            tell_state=lambda *said: None,
            tell_progress=lambda *said: None,
            read=slow_disk,
        )
        desk = Desk((writable(),), meters=meters, more=image_methods(jobs))
        error = await desk.error("startImageTransfer", {"file": "v2.bin"})
        assert "transferring v2.bin: not begun within 5 s" in error
        await asyncio.sleep(60)
        assert jobs.last("M1") is None
        assert meters.jobs == []
        started = desk.request("startImageTransfer", {"file": "v2.bin", "timeout": 10})
        assert (await started)["result"]["state"] == "started"

    fake_time.run(test())


@pytest.mark.parametrize(("method", "params"), CHANGES)
def test_every_change_is_asked_just_before_it_is_sent(method: str, params: Any) -> None:
    """However long the readings before it took."""

    async def test() -> None:
        meters = MetersInMemory(held=True)
        kept = Kept(None, "image-transfers.json", LOG)
        jobs = ImageJobs(
            None,  # type: ignore[arg-type]
            meters, kept, LOG, tell_state=lambda *said: None, tell_progress=lambda *said: None,
        )  # fmt: skip
        desk = Desk((writable(serverSideRpc=[OWN]),), meters=meters, more=image_methods(jobs))
        seen = desk.meter.seen
        before = seen["set"] + seen["action"]
        answer = desk.request(method, params)
        await asyncio.sleep(1)
        client = meters.links["M1"].client
        get = client.get

        def slowly(refs: Any) -> Any:
            fake_time.skip(10.0)
            return (yield from get(refs))

        client.get = slowly  # type: ignore[method-assign]
        if method in ("invokeMethod", "verifyImage"):  # nothing is read before
            fake_time.skip(10.0)
        meters.release()
        said = await answer
        assert "nothing was done" in said["error"], said
        assert seen["set"] + seen["action"] == before

    fake_time.run(test())
