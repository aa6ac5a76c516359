"""Every workaround, with a meter that needs it: it fails without and serves with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.model import Device, Workarounds
from tests.matrix.configured import TEXT
from tests.matrix.needs import NEEDS, OTHERS, Need
from tests.matrix.test_oddities import ITEMS, VALUES, device, options
from tests.support.meeting import Meeting, meeting, on_a_line
from tests.support.simulated_line import SimulatedLine, on


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.name)
async def test_a_workaround_that_the_meter_needs(need: Need, tmp_path: Path) -> None:
    assert await _serves(need, {**need.others, need.key: need.value}, tmp_path)
    assert not await _serves(need, need.others, tmp_path)


async def _serves(need: Need, workarounds: Mapping[str, Any], folder: Path) -> bool:
    async with on_a_line("tcp", [options(need.framing, **need.options)]) as (line, meters):
        configured = device(
            need.framing,
            line,
            connection={"timeoutMs": 150, "retries": 0, **need.connection},
            dlms=need.dlms,
            timeseries=[*ITEMS, *need.items],
            workarounds=workarounds,
        )
        async with meeting({"devices": [configured]}, folder, meters) as met:
            await met.until(lambda: _ended(met))
            return _all_is_well(met, need) and await need.holds(met)


def _ended(met: Meeting) -> bool:
    failed = set(met.sink.state_names("M1")) - {"online"}
    return bool(failed) or len(met.sink.polls.get("M1", ())) >= 2


def _all_is_well(met: Meeting, need: Need) -> bool:
    wanted = {**VALUES, **({"message": TEXT} if need.items else {})}
    polls = len(met.sink.polls.get("M1", ()))
    good = [met.values(poll=poll) == wanted for poll in range(polls)]
    return len(good) >= 2 and all(good) and met.sink.state_names("M1") == ["online"]


async def test_windows_save_acknowledgements(tmp_path: Path) -> None:
    both = {"windowTransmit": 3, "windowReceive": 3}
    with_windows = await _octets_of_a_long_write(both, tmp_path)
    without = await _octets_of_a_long_write({}, tmp_path)
    assert with_windows[0] < without[0]
    assert with_windows[1] < without[1]


async def _octets_of_a_long_write(workarounds: dict[str, Any], folder: Path) -> tuple[int, int]:
    """Return the octets sent and received for a write of several frames that is read back."""
    async with on_a_line("tcp", [options("HDLC", window=3)]) as (line, meters):
        configured = device(
            "HDLC", line, workarounds=workarounds, allowWrite=True, pollPeriod=3_600_000
        )
        async with meeting({"devices": [configured]}, folder, meters) as met:
            text = TEXT[::-1]
            message = {"obis": "0-0:96.13.0", "class": "data", "value": text}
            assert await met.call("writeObject", message) == {"result": text}
            statistics = met.fleet.statistics("M1")
            return statistics.bytes_out, statistics.bytes_in


@pytest.mark.parametrize(("known", "lost"), [({"inactivityTimeoutMs": 30_000}, 0), ({}, 2)])
def test_idle_associations_are_ended_before_the_meter_drops_them(
    known: dict[str, Any], lost: int
) -> None:
    async def test(line: SimulatedLine) -> None:
        await asyncio.sleep(3000)
        assert line.spent().reconnects == lost
        assert not line.spent().failed

    configured = Device.model_validate(
        device("HDLC", {"host": "h"}, pollPeriod=60_000, workarounds=known)
    )
    on(lambda: SimulatedLine(configured, faults={"inactivity": 30.0}), test)


def test_every_workaround_is_proved() -> None:
    keys = {str(field.alias) for field in Workarounds.model_fields.values()}
    assert {need.key for need in NEEDS} | set(OTHERS) == keys
