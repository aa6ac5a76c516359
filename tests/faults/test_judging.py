"""The judge of the cells tells what is lost, what is wrong, and what was never tried."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from dlms_connector.obis import Obis
from dlms_connector.reading import Poll, Reading
from tests.faults import forging, test_faults
from tests.faults.cells import Cell
from tests.faults.forgeries import Forgery
from tests.faults.forms import forms
from tests.faults.proxy import Proxy
from tests.faults.running import Result, Victim, undisturbed
from tests.faults.victims import EPOCH, HERE, PERIOD_S, keys_of
from tests.support import fake_time

_CELL = Cell("drop", "HDLC", "plain", "list")
_SNRM = bytes.fromhex("7ea0080203219386677e")


def _poll(victim: Victim, *, short_of: int = 0, wrong_by: int = 0) -> Poll:
    """Return a poll of a list as the meter would answer it, or without some, or wrong."""
    now = asyncio.get_running_loop().time()
    held = victim.serial * 100_000 + int(now) + wrong_by
    keys = sorted(keys_of(victim.cell))
    return Poll(
        readings=tuple(
            Reading(
                key=key,
                kind="timeseries",
                obis=Obis.parse(key.removeprefix("energy")),
                class_id=3,
                attribute=2,
                value=Decimal(number * 100_000_000 + held).scaleb(-2),
                unit="Wh",
                ts_ms=round((EPOCH + now) * 1000),
            )
            for number, key in enumerate(keys[: len(keys) - short_of], 1)
        )
    )


def test_a_poll_is_good_if_all_of_it_is_there() -> None:
    async def judged() -> Victim:
        victim = Victim(_CELL, 1, 1)
        victim.polled(_poll(victim))
        victim.polled(_poll(victim, short_of=1))
        return victim

    victim = fake_time.run(judged())
    assert victim.result.problems == []
    assert [one.error.partition(" ")[0] for one in victim.attempts] == ["", "only"]


@pytest.mark.parametrize(
    ("pause_s", "short_of", "wrong_by", "told"),
    [(60, 0, 0, ""), (60, 0, 40, "and not"), (60, 1, 0, "only"), (90, 0, 0, "a gap of 90")],
)
def test_healthy_meters_are_judged(pause_s: int, short_of: int, wrong_by: int, told: str) -> None:
    async def judged() -> Result:
        healthy = Victim(_CELL, 1, 1)
        healthy.polled(_poll(healthy))
        await asyncio.sleep(pause_s)
        healthy.polled(_poll(healthy, short_of=short_of, wrong_by=wrong_by))
        return undisturbed([healthy], asyncio.get_running_loop().time())

    problems = " ".join(fake_time.run(judged()).problems)
    assert told in problems
    assert bool(told) == bool(problems)


def test_a_healthy_meter_that_is_never_polled_is_told() -> None:
    async def judged() -> Result:
        return undisturbed([Victim(_CELL, 1, 1)], 10 * PERIOD_S)

    assert fake_time.run(judged()).problems


async def test_a_fault_has_met_nothing_until_it_acts() -> None:
    """An answer that never comes cannot be spoilt: such a cell hangs, and is red."""
    asked = asyncio.Event()

    async def meter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(_SNRM))
        asked.set()
        await reader.readexactly(len(_SNRM))
        writer.write(_SNRM)  # any frame will do
        await reader.read()
        writer.close()

    acts: list[str] = []
    async with await asyncio.start_server(meter, HERE, 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = Proxy(
            "HDLC", ("snrm",), lambda pipe, frame: acts.append(frame.what), port, Random(1)
        )
        await proxy.start()
        proxy.arm()
        _, writer = await asyncio.open_connection(HERE, proxy.port)
        writer.write(_SNRM)
        await asked.wait()
        assert (proxy.hits, acts) == (0, [])
        writer.write(_SNRM)
        await proxy.changed.wait()
        assert (proxy.hits, len(acts)) == (1, 1)
        writer.close()
        await proxy.stop()


def test_what_is_judged_is_the_attempt_that_the_fault_met() -> None:
    async def judged() -> str:
        victim = Victim(_CELL, 1, 1)
        proxy = Proxy("HDLC", ("snrm",), lambda pipe, frame: None, 0, Random(1))
        struck = asyncio.ensure_future(victim.struck(proxy))
        await asyncio.sleep(1)
        victim.attempted()  # it passed before the fault acted
        await asyncio.sleep(1)
        proxy.act(None, None)  # type: ignore[arg-type]
        await asyncio.sleep(1)
        victim.attempted("ProtocolError")
        return await struck

    assert fake_time.run(judged()) == "ProtocolError"


def test_a_forgery_that_was_never_sent_is_red(tmp_path: Path) -> None:
    nothing = Forgery("nothing", "nothing", lambda heard, request, reply: None, beside=True)
    attempt = forging.Attempt(nothing, forms()[0])
    found = forging.problems(attempt, forging.run(attempt, 1, tmp_path, 1))
    assert "it was never sent" in found


def test_where_healthy_meters_suffered_all_cells_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def suffering(wanted: list[Cell], folder: Path, seed: int) -> dict[str, Result]:
        tried.append(len(wanted))
        return {}

    monkeypatch.setattr(test_faults, "run", suffering)
    monkeypatch.setattr(test_faults, "red", lambda wanted, results: {"healthy": ["a gap"]})
    with pytest.raises(AssertionError, match="a gap"):
        test_faults.test_no_cell_is_red(tmp_path)
    assert len(set(tried)) == 1
