"""Readings are kept until the platform has stored them: the whole way, with the real gateway.

Every reading that the connector has taken from a meter, and kept, must be in the platform's
table at the end. Which those were is told by the meters' own count of answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.simulator import MeterOptions
from tests.support.site import START_S, Configuration, Site, site, watch

METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER")]
#: Telemetry is stored later than attributes, as on the real platform.
SLOW: dict[str, Any] = {"telemetry_s": 0.3, "attributes_s": 0.02}

#: The gateway's storage of the other kind, with the settings that it ships.
SQLITE: dict[str, Any] = {
    "type": "sqlite",
    "messages_ttl_check_in_hours": 1,
    "messages_ttl_in_days": 7,
    "max_read_records_count": 1000,
}


def keeping(confirm: str = "auto") -> Callable[[Configuration], None]:
    def configure(configuration: Configuration) -> None:
        configuration |= {"journal": {}, "confirm": confirm, "confirmPeriod": 1000}

    return configure


def records(running: Site) -> Path:
    (path,) = running.gateway.folder.rglob("records.sqlite")
    return path


def waiting(running: Site) -> list[int]:
    """The numbers in the outbox, read beside the gateway."""
    with sqlite3.connect(f"file:{records(running)}?mode=ro", uri=True) as database:
        found = database.execute("SELECT number FROM outbox ORDER BY number").fetchall()
    database.close()
    return [number for (number,) in found]


async def until_confirmed(running: Site) -> None:
    """Wait until all that is kept by now is confirmed; polls go on meanwhile."""
    last = max(await watch(lambda: waiting(running)))
    await watch(lambda: min(waiting(running), default=last + 1) > last, 2 * START_S)


def attributes_of(running: Site, name: str) -> list[Any]:
    return [
        packet.json[device][name]
        for packet in running.published("v1/gateway/attributes")
        for device in packet.json
        if name in packet.json[device]
    ]


async def test_receipts_where_the_rule_chain_answers(tmp_path: Path) -> None:
    manners = Manners(**SLOW, receipts=True)
    async with site(tmp_path, METERS, keeping(), manners=manners) as running:
        await running.until_polled(times=4)
        await until_confirmed(running)
        assert attributes_of(running, "dlmsReceiptProbe")
        assert not attributes_of(running, "dlmsWatermark")
        for name in running.devices:
            assert not running.platform.telemetry(name, "dlmsReceipt")
        assert not running.log_lines(r"Traceback|\|ERROR\|")


@pytest.mark.parametrize(
    ("receipts", "storage"), [(True, None), (False, SQLITE)], ids=["receipts", "watermarks-sqlite"]
)
async def test_nothing_kept_is_lost_with_the_link_the_platform_or_the_gateway(
    tmp_path: Path, receipts: bool, storage: dict[str, Any] | None
) -> None:
    """The link stalls and breaks, the platform is killed, the gateway too while that is away."""
    manners = Manners(**SLOW, receipts=receipts)
    kept: set[tuple[str, str, int]] = set()
    if storage is not None:
        storage = {**storage, "data_file_path": f"{tmp_path}/storage.db"}
    async with site(tmp_path, METERS, keeping(), manners=manners, storage=storage) as running:
        await running.until_polled(times=2)
        async with watched(running, kept):
            running.platform.stall()
            await asyncio.sleep(3)
            running.platform.cut()
            running.platform.resume()
            await running.until_connected_anew(session=2)
            await running.platform.crash()
            await asyncio.sleep(2)
            await running.platform.go_online()
            await running.until_connected_anew(session=3)
            await running.platform.crash()
            await watch(lambda: len(waiting(running)) > 6 * len(running.devices), START_S)
            await running.gateway.stop(signal.SIGKILL)
            kept |= in_outbox(running)
        await running.platform.go_online()
        await running.gateway.start()
        await running.until(lambda: not missing(running, kept), 4 * START_S)
        assert len(kept) > 6
        assert bool(attributes_of(running, "dlmsWatermark")) != receipts
        for name in running.devices:  # the numbers are no key of a device
            assert not running.platform.telemetry(name, "dlmsReceipt")


@contextlib.asynccontextmanager
async def watched(running: Site, kept: set[tuple[str, str, int]]) -> AsyncIterator[None]:
    """Note all that is ever kept: also what is confirmed meanwhile, rightly or wrongly."""

    async def note() -> None:
        while True:
            kept.update(in_outbox(running))
            await asyncio.sleep(0.1)

    noting = asyncio.create_task(note())
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)


def in_outbox(running: Site) -> set[tuple[str, str, int]]:
    """The values that wait: device, key and instant."""
    with sqlite3.connect(f"file:{records(running)}?mode=ro", uri=True) as database:
        found = database.execute(
            "SELECT device.name, ts_ms, body FROM outbox JOIN source ON source.id = source "
            "JOIN device ON device.id = source.device"
        ).fetchall()
    database.close()
    return {(name, key, ts) for name, ts, text in found for key in json.loads(text)}


def missing(running: Site, kept: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    there = {
        (name, key, point.ts)
        for name, key in {(name, key) for name, key, _ in kept}
        for point in running.platform.telemetry(name, key)
    }
    return kept - there
