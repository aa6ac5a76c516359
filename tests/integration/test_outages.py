"""Meters that do not answer, for a while or for ever, and what that costs the others."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from pathlib import Path

import pytest

from dlms_connector.simulator import MeterOptions
from tests.support.measured import measured
from tests.support.peers import free_port
from tests.support.site import START_S, Configuration, Site, black_hole, device, site

PERIOD_MS = 1000
SECONDS = 15
GOOD = 16

DEAD = {"Nobody", "Silent", "Black-Hole"}
REFUSING = "Refusing"


@pytest.mark.alone
@measured
async def test_dead_and_refusing_meters_cost_the_others_nothing(tmp_path: Path) -> None:
    """Of 20 meters 3 are dead and 1 refuses its password: the others keep their period."""
    silent = MeterOptions(serial=90, faults={"silence"})
    refusing = MeterOptions(serial=91, authentication="LOW", password=b"another")
    good = [
        MeterOptions(serial=number, framing="WRAPPER" if number % 2 else "HDLC")
        for number in range(1, GOOD + 1)
    ]
    with black_hole() as hole:

        def spoil(configuration: Configuration) -> None:
            *good, silent, refusing = configuration["devices"]
            silent_port, refusing_port = (one["connection"]["port"] for one in (silent, refusing))
            wrong = {"authentication": "LOW", "password": "12345678"}
            configuration["devices"] = [
                device("Nobody", free_port()),
                device("Silent", silent_port),
                device("Black-Hole", hole),
                device(REFUSING, refusing_port, dlms=wrong),
                *good,
            ]

        async with site(tmp_path, [*good, silent, refusing], spoil) as running:
            await running.until_polled(*good_ones(running))
            await asyncio.sleep(SECONDS)
            gaps = [gap for name in good_ones(running) for gap in gaps_of(running, name)]
            for name in good_ones(running):
                mean = statistics.mean(gaps_of(running, name))
                assert abs(mean - PERIOD_MS) < 0.05 * PERIOD_MS, (name, gaps_of(running, name))
            kept = [gap for gap in gaps if abs(gap - PERIOD_MS) < 0.05 * PERIOD_MS]
            assert len(kept) >= 0.95 * len(gaps), sorted(gaps)
            for name in (*DEAD, REFUSING):
                lines = running.log_lines(rf"\|(WARNING|ERROR)\| .*{name}")
                assert len(lines) == 1, lines
                assert running.polls(name) == 0
            assert {running.states(name)[-1] for name in DEAD} <= {"offline", "backoff"}
            assert running.states(REFUSING) == ["refused"]
            assert len(running.log_lines(r"\|(WARNING|ERROR)\| DLMS")) == len(DEAD) + 1
            # A meter that says no is not asked by the second: it would lock the client out.
            refused = running.endpoints[-1].meter
            assert refused.seen["aarq"] <= 3


def good_ones(running: Site) -> list[str]:
    return [name for name in running.devices if name.startswith("DLMS-Meter")]


def gaps_of(running: Site, name: str) -> list[int]:
    """Return the time between polls, in ms, the first apart: then scalers are read as well."""
    points = running.platform.telemetry(name, "active_power")[1:]
    assert len(points) >= SECONDS - 3
    return [later.ts - earlier.ts for earlier, later in itertools.pairwise(points)]


async def test_an_outage_that_ends(tmp_path: Path) -> None:
    """It is told once when it begins and once when it ends, in the log and at the platform."""
    name, other = "DLMS-Meter-01", "DLMS-Meter-02"
    async with site(tmp_path, [MeterOptions(serial=1), MeterOptions(serial=2)]) as running:
        await running.until_polled(times=2)
        await running.endpoints[0].stop()
        await running.until(lambda: running.states(name)[-1] != "online")
        assert running.platform.store.attributes(name)["dlmsLastError"]
        before, others = running.polls(name), running.polls(other)
        await running.until_polled(other, times=others + 4)
        # Disconnected, so that the platform does not take it for alive.
        await running.until(lambda: name not in running.platform.connected)
        assert running.polls(name) == before
        await running.endpoints[0].start()
        # The longer it was away the less often it is tried.
        await running.until(lambda: running.states(name)[-1] == "online", 4 * START_S)
        await running.until_polled(name, times=before + 2)
        assert name in running.platform.connected
        assert running.platform.store.attributes(name)["dlmsLastError"] == ""
        states = running.states(name)
        assert (states[0], states[-1]) == ("online", "online")
        assert states.count("online") == 2
        assert states[1] in ("offline", "backoff")
        assert len(running.log_lines(rf"\|WARNING\| DLMS \| {name}: ")) == 1
        assert len(running.log_lines(rf"{name}: answering again after")) == 1
        assert not running.log_lines(rf"\|WARNING\| DLMS \| {other}")
