"""Every fault of the simulated meter has an outcome: the values all the same, or a sentence."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import (
    LinkClosedError,
    ProtocolError,
    RefusedError,
    ServiceError,
    TooLargeError,
)
from dlms_connector.simulator import FAULTS, MeterOptions, simulate
from tests.matrix.configured import objects
from tests.matrix.needs import NEEDS
from tests.matrix.oddities import CIPHERED_DLMS, CIPHERED_OPTIONS, ODDITIES, OTHERS, Oddity
from tests.matrix.services import PROFILE, rows
from tests.support.meeting import NOW, Meeting, meeting, on_a_line
from tests.support.simulated_line import SimulatedLine, on

ITEMS = [
    {"key": "energy", "obis": "1-0:1.8.0"},
    {"key": "voltage", "obis": "1-0:32.7.0"},
    {"key": "clock", "obis": "0-0:1.0.0", "class": "clock"},
]
VALUES = {
    "energy": Decimal("240.17"),
    "voltage": Decimal("230.1"),
    "clock": "2026-09-21T14:13:20+00:00",
}
CASES = [(oddity, framing) for oddity in ODDITIES for framing in oddity.framings]


def options(framing: str, **more: Any) -> MeterOptions:
    """Return a meter whose time stands still."""
    return MeterOptions(
        framing="WRAPPER" if framing in ("WRAPPER", "udp") else "HDLC",
        referencing="SN" if framing == "SN" else "LN",
        hold_at=NOW,
        now=lambda: NOW,
        overrides=objects(1),
        **more,
    )


def device(framing: str, line: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a device as configured."""
    dlms = {
        "interfaceType": "WRAPPER" if framing in ("WRAPPER", "udp") else "HDLC",
        "referencing": "SN" if framing == "SN" else "LN",
    }
    return {
        "deviceName": "M1",
        "pollPeriod": 100,
        "timeseries": ITEMS,
        **sections,
        "connection": {**line, **sections.get("connection", {})},
        "dlms": {**dlms, **sections.get("dlms", {})},
    }


@pytest.mark.parametrize(
    ("oddity", "framing"), CASES, ids=[f"{one.name}-{framing}" for one, framing in CASES]
)
async def test_oddity(oddity: Oddity, framing: str, tmp_path: Path) -> None:
    meter = options(framing, faults=[oddity.fault], **oddity.options)
    async with on_a_line("udp" if framing == "udp" else "tcp", [meter]) as (line, meters):
        configured = device(
            framing,
            line,
            connection=oddity.connection,
            dlms=oddity.dlms,
            workarounds=oddity.workarounds,
        )
        async with meeting({"devices": [configured]}, tmp_path, meters) as met:
            # Much time passes between polls, and none within one, however busy the machine is.
            met.meter.options.monotonic = lambda: 1000.0 * len(met.sink.polls.get("M1", ()))
            if oddity.error:
                await _fails(met, oddity, oddity.error)
            else:
                await _serves(met)


async def _serves(met: Meeting) -> None:
    await met.polled(2)
    for poll in (0, 1):
        assert met.values(poll=poll) == VALUES
    assert met.sink.state_names("M1") == ["online"]


async def _fails(met: Meeting, oddity: Oddity, kind: type[Exception]) -> None:
    error = await met.state(oddity.state)
    assert isinstance(error, kind)
    assert oddity.says in f"{error} {error.hint}"
    assert met.sink.polls == {}
    assert met.sink.state_names("M1") == [oddity.state]


@pytest.mark.parametrize(
    "faults",
    [
        ["no-range"],
        ["no-entry"],
        ["compressed-rows"],
        ["no-range", "no-entry"],
        ["local-range"],
        ["few-rows=2"],
        ["wrong-order"],
        ["wrong-order", "no-range"],
        ["delta-rows"],
        ["lost-rows=3"],
        ["lost-rows=3", "no-range"],
        ["whole-objects"],
        ["index-255"],
        ["index-255", "no-range", "compressed-rows", "delta-rows"],
    ],
)
async def test_a_profile_comes_whatever_the_meter_selects(
    faults: list[str], tmp_path: Path
) -> None:
    meter = options("HDLC", faults=faults, profile_days=1)
    async with (
        on_a_line("tcp", [meter]) as (line, meters),
        meeting({"devices": [device("HDLC", line)]}, tmp_path, meters) as met,
    ):
        wanted = rows(met.meter, -6, -2)
        between = {"obis": PROFILE, "from": wanted[0]["time"], "to": wanted[-1]["time"]}
        assert await met.call("readProfile", between) == {"result": wanted}
        last = {"obis": PROFILE, "last": 4}
        assert await met.call("readProfile", last) == {"result": rows(met.meter, -4, None)}


async def test_a_clock_that_changes_with_the_season(tmp_path: Path) -> None:
    meter = options("HDLC", faults=["summer-time"], utc_offset_minutes=60)
    async with (
        on_a_line("tcp", [meter]) as (line, meters),
        meeting({"devices": [device("HDLC", line)]}, tmp_path, meters) as met,
    ):
        await met.polled()
        assert met.values()["clock"] == "2026-09-21T16:13:20+02:00"


async def test_a_capture_period_from_the_configuration(tmp_path: Path) -> None:
    meter = options("HDLC", faults=["no-capture-period", "compressed-rows"], profile_days=1)
    profiles = [{"obis": PROFILE, "capturePeriod": 900}]
    async with (
        on_a_line("tcp", [meter]) as (line, meters),
        meeting({"devices": [device("HDLC", line, profiles=profiles)]}, tmp_path, meters) as met,
    ):
        last = {"obis": PROFILE, "last": 4}
        assert await met.call("readProfile", last) == {"result": rows(met.meter, -4, None)}


@pytest.mark.parametrize("fault", ["no-scaler=3", "no-scaler=11", "null-scaler"])
async def test_values_without_a_scaler(fault: str, tmp_path: Path) -> None:
    async with (
        on_a_line("tcp", [options("HDLC", faults=[fault])]) as (line, meters),
        meeting({"devices": [device("HDLC", line)]}, tmp_path, meters) as met,
    ):
        await met.polled()
        assert [failure.key for failure in met.failures()] == ["energy", "voltage"]
        assert all("set `scaler` and `unit`" in failure.error.hint for failure in met.failures())
        assert met.values() == {"clock": VALUES["clock"]}


async def test_a_meter_for_one_client_only(tmp_path: Path) -> None:
    async with simulate([options("WRAPPER", faults=["single-client"])]) as (endpoint,):
        _, other = await asyncio.open_connection(endpoint.host, endpoint.port)
        line = {"host": endpoint.host, "port": endpoint.port}
        document = {"devices": [device("WRAPPER", line)]}
        async with meeting(document, tmp_path, endpoint.meters) as met:
            error = await met.state("backoff")
            assert isinstance(error, LinkClosedError)
            assert "one client only" in error.hint
            other.close()
            await other.wait_closed()
            met.fleet.reconnect("M1")
            await met.state("online")
            assert met.values() == VALUES


async def test_a_counter_that_begins_anew_in_each_association(tmp_path: Path) -> None:
    """A number is never used twice with one key, even if the meter wants it."""
    meter = options("HDLC", faults=["counter-from-one"], **CIPHERED_OPTIONS)
    async with on_a_line("tcp", [meter]) as (line, meters):
        configured = device("HDLC", line, dlms=CIPHERED_DLMS, connection={"keepOpen": False})
        async with meeting({"devices": [configured]}, tmp_path, meters) as met:
            error = await met.state("refused")
            assert isinstance(error, RefusedError)
            assert met.sink.state_names("M1") == ["online", "refused"]
            assert met.values(poll=0) == VALUES


async def test_a_meter_that_knows_no_service(tmp_path: Path) -> None:
    async with (
        on_a_line("tcp", [options("HDLC", faults=["exception"])]) as (line, meters),
        meeting({"devices": [device("HDLC", line)]}, tmp_path, meters) as met,
    ):
        await met.polled()
        assert [failure.key for failure in met.failures()] == ["energy", "voltage", "clock"]
        assert all(isinstance(failure.error, ServiceError) for failure in met.failures())
        await met.state("online")


async def test_a_meter_that_gives_arrays_for_values(tmp_path: Path) -> None:
    async with (
        on_a_line("tcp", [options("HDLC", faults=["swollen"])]) as (line, meters),
        meeting({"devices": [device("HDLC", line)]}, tmp_path, meters) as met,
    ):
        await met.polled()
        assert [failure.key for failure in met.failures()] == ["energy", "voltage", "clock"]
        assert all(isinstance(failure.error, TooLargeError) for failure in met.failures())
        await met.state("online")


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_a_meter_that_drops_idle_associations_in_silence(framing: str) -> None:
    async def test(line: SimulatedLine) -> None:
        await asyncio.sleep(600)
        spent = line.spent()
        assert spent.reconnects == 2
        assert spent.failed == 0
        await asyncio.sleep(2700)
        assert line.spent() == spent

    configured = Device.model_validate(
        device(framing, {"host": "h", "keepOpen": True}, pollPeriod=60_000)
    )
    on(lambda: SimulatedLine(configured, faults={"inactivity": 30, "silent-once-dropped": 1}), test)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_text_on_the_call_of_a_meter_costs_no_value(framing: str, tmp_path: Path) -> None:
    async with on_a_line("listen", [options(framing, faults=["greeting"])]) as (line, meters):
        document = {"devices": [device(framing, line)]}
        async with meeting(document, tmp_path, meters) as met:
            await met.polled(2)
            assert met.values(poll=0) == met.values(poll=1) == VALUES


def test_a_meter_without_mode_e() -> None:
    async def test(line: SimulatedLine) -> None:
        await asyncio.sleep(60)
        error = line.sink.states["M1"][0][2]
        assert isinstance(error, ProtocolError)
        assert "/SIM5SIMULATED, which offers no mode E" in str(error)
        assert "the text" in str(error)

    configured = Device.model_validate(
        device(
            "HDLC",
            {"type": "serial", "port": "/dev/none"},
            dlms={"interfaceType": "HDLC_WITH_MODE_E"},
        )
    )
    on(lambda: SimulatedLine(configured, faults={"readout": 1}), test)


def test_every_fault_has_an_outcome() -> None:
    needed = {fault.partition("=")[0] for need in NEEDS for fault in need.options.get("faults", ())}
    assert {oddity.name for oddity in ODDITIES} | set(OTHERS) | needed == set(FAULTS)
