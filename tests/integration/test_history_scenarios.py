"""What loses data of the gateway itself loses no row of a load profile: each way, end to end.

The ways are those in which gateway 3.8.5 was measured to lose telemetry, with its storage in
memory and in SQLite. The platform acknowledges first and stores later, attributes sooner than
telemetry, as the real one does. How often rows were sent is noted as a property of each test.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.demo.platform_rules import Manners
from tests.support.history import followed, rows_sent
from tests.support.site import Site, watch

pytestmark = pytest.mark.asyncio

DAYS = 7
#: Rows that arrive, or wait, between two faults; all of them at the end.
SOME = 80

STORAGES: Mapping[str, Mapping[str, Any] | None] = {
    "memory": None,
    "sqlite": {
        "type": "sqlite",
        "messages_ttl_check_in_hours": 1,
        "messages_ttl_in_days": 7,
        "max_read_records_count": 1000,
    },
}

Cause = Callable[[Site], Awaitable[Mapping[str, int]]]


async def some_sent(running: Site) -> None:
    """Wait until some more rows are on their way, unless nothing is left to be read."""
    (device,) = running.devices
    goal = min(rows_sent(running, device) + SOME, DAYS * 96)
    await running.until(lambda: rows_sent(running, device) >= goal, 60)


def kept(running: Site) -> int:
    """Return how many entries wait on the disk, read beside the gateway."""
    paths = list(running.gateway.folder.rglob("records.sqlite"))
    if not paths:
        return 0
    try:
        with closing(sqlite3.connect(f"file:{paths[0]}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM outbox").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


def holds(running: Site, least: int) -> bool:
    """Return whether so many entries wait on the disk."""
    return kept(running) >= least


async def platform_stopped_and_link_stalled(running: Site) -> Mapping[str, int]:
    await some_sent(running)
    await running.platform.crash()
    await watch(lambda: kept(running) >= SOME, 60)
    await running.platform.go_online()
    await some_sent(running)
    running.platform.stall()
    await asyncio.sleep(3)  # the gateway counts a message as sent after a second
    running.platform.cut()
    running.platform.resume()
    return {"platform stopped": 1, "link stalled": 1}


async def gateway_killed(running: Site) -> Mapping[str, int]:
    for _ in range(3):
        await some_sent(running)
        await running.gateway.stop(signal.SIGKILL)
        await running.gateway.start()
    return {"gateway killed": 3}


async def gateway_killed_without_platform(running: Site) -> Mapping[str, int]:
    """Once after the connection was lost, once where there was none since the gateway began."""
    await some_sent(running)
    await running.platform.go_offline()
    for booted in (False, True):
        waiting = kept(running)
        if booted:
            await running.gateway.start()
        await watch(partial(holds, running, waiting + SOME), 60)
        await running.gateway.stop(signal.SIGKILL)
    await running.platform.go_online()
    await running.gateway.start()
    return {"gateway killed without platform": 2}


async def gateway_ended(running: Site) -> Mapping[str, int]:
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        await some_sent(running)
        await running.gateway.stop(how)
        await running.gateway.start()
    return {"gateway ended": 3}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("cause", "receipts"),
    [
        (platform_stopped_and_link_stalled, False),
        (gateway_killed, True),
        (gateway_killed_without_platform, False),
        (gateway_ended, True),
    ],
    ids=lambda one: one.__name__ if callable(one) else ("receipts" if one else "watermarks"),
)
async def test_no_row_is_lost(
    tmp_path: Path,
    cause: Cause,
    receipts: bool,
    storage: str,
    record_property: Callable[[str, object], None],
) -> None:
    if storage == "sqlite":  # each pair of a way and a storage has the other proof
        receipts = not receipts
    settings = STORAGES[storage]
    result = await followed(
        tmp_path,
        cause,
        days=DAYS,
        manners=Manners(telemetry_s=0.3, attributes_s=0.02, receipts=receipts),
        storage=settings and {**settings, "data_file_path": f"{tmp_path}/storage.db"},
        meter={"faults": {"delay": 0.03}},
        confirm="receipts" if receipts else "watermarks",
    )
    repeats = result.sent - result.expected
    record_property("repeats", repeats)
    print(f"{cause.__name__}, {storage}: {result.expected} rows, {repeats} sent again")
    assert result.expected >= (DAYS - 1) * 96 - 1
    assert not result.missing
    assert not result.wrong
    assert not result.foreign
    assert result.unconfirmed == 0
