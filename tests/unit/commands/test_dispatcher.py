"""Calls among each other: queued, bounded, failed, stopped."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.dispatcher import MOST_WAITING, STOPPED, UNCERTAIN
from dlms_connector.commands.image_calls import image_methods
from dlms_connector.commands.image_jobs import ImageJobs
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.work import Local, Method
from dlms_connector.errors import CommandError, ConnectError, DlmsError, LinkTimeoutError
from dlms_connector.fleet import ProfileProgress
from dlms_connector.fleet.member import CallTimeoutError, UnavailableError
from dlms_connector.obis import Obis
from tests.support.commands import Desk, MetersInMemory, device
from tests.support.places import DOCS

VOLTS = {"obis": "1-0:32.7.0"}
LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4, "value": 7}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_methods_that_need_no_meter() -> None:
    desk = Desk()
    assert await desk.result("reconnect") == "reconnecting"
    assert desk.meters.reconnected == ["M1"]
    counted = await desk.result("getStatistics")
    assert counted["dlmsPollsOk"] == 7
    assert "profiles" not in counted
    assert desk.meters.jobs == []


async def test_statistics_tell_how_far_the_history_is() -> None:
    desk = Desk()
    load = Obis.parse("1-0:99.1.0")
    desk.meters.progress = (ProfileProgress(load, 5, 1, 1_790_000_000_000, "refused"),)
    assert (await desk.result("getStatistics"))["profiles"] == [
        {
            "obis": "1-0:99.1.0",
            "unread": 5,
            "gaps": 1,
            "from": 1_790_000_000_000,
            "problem": "refused",
        }
    ]


async def test_an_unknown_method_names_those_there_are() -> None:
    own = device(serverSideRpc=[{"method": "mine", "obis": "1-0:1.8.0"}])
    desk = Desk((own,))
    error = await desk.error("nope")
    assert error.startswith("M1: no such method; there are mine, get, set, readObject, ")
    assert desk.events == []


async def test_a_device_of_somebody_else() -> None:
    desk = Desk()
    assert await desk.ask("readClock", device="M9") == {
        "error": "M9: this connector polls no such device"
    }


async def test_a_configured_method_goes_before_a_built_in_one() -> None:
    own = device(serverSideRpc=[{"method": "readClock", "obis": "1-0:32.7.0"}])
    assert isinstance(await Desk((own,)).result("readClock"), float | int)


async def test_an_absent_meter_is_told_with_what_to_try() -> None:
    desk = Desk()
    desk.meters.down["M1"] = UnavailableError(42.4, LinkTimeoutError(3, 0))
    error = await desk.error("readObject", VOLTS)
    assert error.startswith("M1: the meter has not answered for 42 s: no complete reply")
    assert "; silence usually means a wrong address" in error
    await desk.error("writeObject", LIMIT)
    assert "failed: the meter has not answered for 42 s" in desk.events[0].sentence


async def test_so_many_calls_wait_and_no_more() -> None:
    desk = Desk()
    desk.meters.held = True
    waiting = [desk.request("readObject", VOLTS, id=number) for number in range(MOST_WAITING)]
    await settle()
    assert await desk.ask("readObject", VOLTS) == {
        "error": "M1: 100 calls are waiting already; try again later"
    }
    assert "are waiting already" in await desk.error("disconnectRelay")
    (event,) = desk.events
    assert event.sentence.startswith("call 1 disconnectRelay: not carried out: refused: 100 calls")
    desk.meters.release()
    answers = await asyncio.gather(*waiting)
    assert all("result" in answer for answer in answers)
    assert "result" in await desk.ask("readObject", VOLTS)


async def test_a_call_that_is_cancelled_is_answered() -> None:
    desk = Desk()
    desk.meters.held = True
    reading, writing = desk.request("readObject", VOLTS), desk.request("writeObject", LIMIT)
    await settle()
    for job in desk.meters.jobs:
        job.future.cancel()
    assert await reading == {"error": f"M1: {STOPPED}"}
    assert await writing == {"error": f"M1: {STOPPED}"}
    assert [event.result for event in desk.events] == [f"unknown: {STOPPED}"]


async def test_a_fault_of_ours_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    def broken(context: Any, arguments: Any) -> Local:
        raise ZeroDivisionError

    desk = Desk(more={"broken": Method(broken)})
    assert await desk.error("broken") == "M1: a fault of the connector; see its log"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_what_cannot_be_sent_is_refused() -> None:
    def odd(context: Any, arguments: Any) -> Local:
        async def run() -> Any:
            raise CommandError("too large")

        return Local(run=run, what="odd", changes=True)

    desk = Desk(more={"odd": Method(odd, changes=True)})
    assert await desk.error("odd") == "M1: too large"
    assert desk.events[0].sentence == "call 1 odd: odd: failed: too large"


async def test_calls_to_several_meters_do_not_mix() -> None:
    desk = Desk((device("M1"), device("M2")))
    first = desk.request("writeObject", LIMIT, device="M1")
    second = desk.request("readObject", {**LIMIT, "value": 1}, device="M2")
    assert await first == {"result": 7}
    assert "unknown parameter `value`" in (await second)["error"]


async def test_what_hangs_is_given_up() -> None:
    def hanging(context: Any, arguments: Any) -> Local:
        async def run() -> Any:
            await asyncio.Event().wait()

        return Local(run=run, what="waiting for a disk")

    desk = Desk(more={"hang": Method(hanging)})
    sentence = "M1: waiting for a disk: not done within 0.01 s"
    assert await desk.error("hang", {"timeout": 0.01}) == sentence


async def test_silence_does_not_tell_whether_it_was_done() -> None:
    desk = Desk()
    desk.meters.lost["M1"] = LinkTimeoutError(3, 0)
    error = await desk.error("writeObject", LIMIT)
    assert error.startswith("M1: writing 0-0:17.0.0 attribute 4 (class 71): no complete reply, ")
    assert error.endswith(UNCERTAIN)
    assert ": unknown: no complete reply, asked 3 times" in desk.events[0].sentence
    assert (await desk.error("disconnectRelay")).endswith(UNCERTAIN)
    error = await desk.error("readObject", VOLTS)
    assert error.startswith("M1: reading 1-0:32.7.0 attribute 2 (class 3): no complete reply, ")
    assert UNCERTAIN not in error


@pytest.mark.parametrize(
    "outage",
    [LinkTimeoutError(3, 0), ConnectError("h:1", "refused"), CallTimeoutError(9.0, begun=False)],
)
async def test_before_the_meter_is_told_to_change_nothing_is_uncertain(outage: DlmsError) -> None:
    desk = Desk()
    desk.meters.down["M1"] = outage
    error = await desk.error("writeObject", LIMIT)
    assert error.startswith(f"M1: writing 0-0:17.0.0 attribute 4 (class 71): {outage}; ")
    assert UNCERTAIN not in error
    assert f": failed: {outage}" in desk.events[0].sentence


async def test_a_read_that_fails_before_a_write_leaves_nothing_uncertain() -> None:
    desk = Desk()
    client = desk.meters.links["M1"].client

    def silent(refs: Any) -> Any:
        yield from ()
        raise LinkTimeoutError(3, 0)

    client.get = silent  # type: ignore[method-assign]
    assert UNCERTAIN not in await desk.error("writeObject", LIMIT)
    assert ": failed: no complete reply" in desk.events[0].sentence


async def test_every_method_is_documented(tmp_path: Path) -> None:
    jobs = ImageJobs(
        tmp_path,
        MetersInMemory(),
        Kept(None, "x", logging.getLogger()),
        logging.getLogger(),
        tell_state=print,
        tell_progress=print,
    )
    text = (DOCS / "commands.md").read_text("utf-8")
    desk = Desk(more=image_methods(jobs))
    names = (await desk.error("nope")).partition("there are ")[2].split(", ")
    assert len(names) > 15
    assert [name for name in names if f"`{name}`" not in text] == []
