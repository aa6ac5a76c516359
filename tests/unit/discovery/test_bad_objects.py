"""Meters with objects that are silent, malformed or cost the association, and lists that lie."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.discovery import Discovery, Pace, Request, Wanted, discover
from dlms_connector.simulator import Endpoint, MeterOptions, simulate
from tests.support.commands import Desk

FAST = Pace(timeout_s=0.04, per_second=1000, settle_s=0.01, reopen_s=0)
OTHERS = {"voltage_l1", "voltage_l3", "current_l1", "active_energy"}


async def look(server: Endpoint, **wanted: Any) -> Discovery:
    """Discover the meter of an endpoint; an answer is waited for a tenth of a second."""
    section = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 100}
    known = Wanted(**{"clients": (16,), **wanted})
    return await discover(Request(connection=section, wanted=known, pace=FAST))


def keys(found: Discovery) -> set[str]:
    assert found.entry is not None, found
    return {item["key"] for item in found.entry.get("timeseries", ())}


def problem(found: Discovery, key: str) -> str:
    assert found.description is not None
    return next(one.problem for one in found.description.objects if one.key == key)


@pytest.mark.parametrize("referencing", ["LN", "SN"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
@pytest.mark.parametrize("fault", ["malformed-object", "silent-object", "killing-object"])
async def test_a_bad_object_costs_itself_and_no_other(
    fault: str, framing: Any, referencing: Any
) -> None:
    options = MeterOptions(framing=framing, referencing=referencing, faults={fault: 52})
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=(framing,))
    assert keys(found) > OTHERS
    assert "voltage_l2" not in keys(found)
    assert found.description is not None
    skipped = {str(ref.obis) for ref, _ in found.description.skipped}
    assert skipped
    assert all(code.startswith("1-0:52") for code in skipped)
    assert problem(found, "voltage_l2").startswith("skipped")


async def test_several_bad_objects_are_all_skipped() -> None:
    faults = {"malformed-object": 52, "silent-object": 31, "killing-object": 14}
    async with simulate([MeterOptions(faults=faults)]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert {"voltage_l1", "active_energy", "current_l2"} < keys(found)
    assert not {"voltage_l2", "current_l1", "frequency"} & keys(found)


async def test_a_meter_without_lists_goes_on_too() -> None:
    options = MeterOptions(
        without=frozenset({"multiple-references"}), faults={"killing-object": 52}
    )
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert keys(found) > OTHERS


@pytest.mark.parametrize("referencing", ["LN", "SN"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_list_that_announces_more_than_it_has_is_read(
    framing: Any, referencing: Any
) -> None:
    options = MeterOptions(framing=framing, referencing=referencing, faults={"long-list": 7})
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=(framing,))
    assert keys(found) > OTHERS
    (note,) = [note for note in found.notes if "announces" in note]
    assert note.startswith("the object list announces ")


async def test_a_meter_that_is_gone_for_good_ends_the_survey_and_what_was_read_is_kept() -> None:
    options = MeterOptions(faults={"drop-after": 1500})
    async with simulate([options]) as (server,):

        def read(done: int, total: int) -> None:
            server.meter.faults.set("silence")

        section = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 50}
        known = Wanted(clients=(16,), interfaces=("HDLC",))
        request = Request(connection=section, wanted=known, pace=FAST)
        server.meter.faults.clear()
        found = await discover(request, reading=read)
    assert found.description is not None
    assert any(one.is_read for one in found.description.objects)
    assert any(note.startswith("not all objects were read") for note in found.notes)


async def test_the_platform_gets_the_other_objects_too() -> None:
    desk = Desk()
    (link,) = desk.meters.links.values()
    link.meter.faults.set("malformed-object", 52)
    result = await desk.result("discover")
    listed = {item["key"] for item in result["entry"]["timeseries"]}
    assert listed > OTHERS
    assert "voltage_l2" not in listed


@pytest.mark.parametrize("faults", [(), ("whole-list-only",)], ids=["by class", "whole list only"])
@pytest.mark.parametrize("referencing", ["LN", "SN"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_of_a_list_that_breaks_off_each_time_what_had_come_is_read(
    framing: Any, referencing: Any, faults: tuple[str, ...]
) -> None:
    octets = {"LN": 2200, "SN": 700}[referencing]
    options = MeterOptions(
        framing=framing,
        referencing=referencing,
        max_pdu=200,
        faults=[f"drop-after={octets}", *faults],
    )
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=(framing,))
    assert "voltage_l1" in keys(found)
    assert found.description is not None
    if not faults:  # profiles stand behind the break
        assert any(one.listed.class_id == 7 for one in found.description.objects)
    assert any("breaks off after" in note for note in found.notes)
