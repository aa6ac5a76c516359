"""What a fleet tells of the history of its meters, and what it is told about it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dlms_connector.config.model import Device
from dlms_connector.fleet import Fleet
from dlms_connector.obis import Obis
from dlms_connector.records import Records, RecordsError, Source
from tests.support import fake_time
from tests.support.fake_meter import device
from tests.support.history_line import EPOCH_S, KeepingSink, meter_for, now_ms
from tests.support.links import SimulatedLink

LOG = logging.getLogger("test.fleet")
LOAD = Obis.parse("1-0:99.1.0")
METER = device(pollPeriod=60_000, profiles=[{"obis": str(LOAD), "backfill": "P1D"}])


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.sqlite", LOG, clock=lambda: EPOCH_S)
    yield opened
    opened.close()


def run(
    test: Callable[[Fleet, KeepingSink], Awaitable[None]],
    records: Records,
    *devices: Device,
    reads: bool = True,
) -> None:
    async def body() -> None:
        sink = KeepingSink(records)
        fleet = Fleet(
            devices or (METER,),
            sink,
            LOG,
            link_of=lambda one: SimulatedLink(meter_for(one)),
            now_ms=now_ms,
            records=records if reads else None,
        )
        running = asyncio.ensure_future(fleet.run())
        await test(fleet, sink)
        running.cancel()
        await asyncio.wait({running})

    fake_time.run(body())


def test_progress_is_told(records: Records) -> None:
    async def test(fleet: Fleet, sink: KeepingSink) -> None:
        assert fleet.history("M1") == ()
        assert fleet.statistics("M1").history_unread is None
        await sink.until(lambda: bool(sink.slices))
        (before,) = fleet.history("M1")
        assert before.profile == LOAD
        assert before.unread > 10
        assert before.oldest_ms is not None
        assert abs(before.oldest_ms - (EPOCH_S - 86_400) * 1000) < 3_600_000
        await asyncio.sleep(600)
        assert fleet.history("M1")[0].unread <= 1
        assert fleet.statistics("M1").telemetry()["dlmsHistoryUnread"] in (0, 1)
        assert fleet.history("M1")[0].shown().keys() == {"obis", "unread", "gaps", "from"}

    run(test, records)


def test_what_the_platform_lacks_is_read_again(records: Records) -> None:
    source = Source("M1", LOAD)

    async def test(fleet: Fleet, sink: KeepingSink) -> None:
        await asyncio.sleep(600)
        waiting = [entry.number for entry in records.pending()]
        assert records.confirmed(waiting) == len(waiting) > 90
        lost = sorted(ts_ms for _, ts_ms in sink.rows)[10:20]
        assert records.missing(source, lost) == 10
        before = len(sink.slices)
        fleet.reread(source)
        fleet.reread(Source("M9", LOAD))
        await asyncio.sleep(600)
        again = {ts_ms for _, part in sink.slices[before:] for ts_ms in part.rows_ms}
        assert again >= set(lost)
        assert sink.repeats == 10

    run(test, records)


def test_after_the_records_were_lost_all_is_read_again(records: Records) -> None:
    """What was only on the disk to be sent is gone with it."""

    async def test(fleet: Fleet, sink: KeepingSink) -> None:
        records.on_damage = fleet.reread_all
        await asyncio.sleep(600)
        before = {entry.ts_ms for entry in records.pending()}
        assert len(before) > 90
        with suppress(RecordsError), records._transaction("trying"):
            raise sqlite3.DatabaseError("database disk image is malformed")
        assert not records.pending()
        await asyncio.sleep(600)
        assert {entry.ts_ms for entry in records.pending()} >= before

    run(test, records)


def test_without_records_no_profile_is_read(records: Records) -> None:
    async def test(fleet: Fleet, sink: KeepingSink) -> None:
        await asyncio.sleep(600)
        assert sink.times("M1")
        assert not sink.slices
        assert fleet.history("M1") == ()
        assert "dlmsHistoryUnread" not in fleet.statistics("M1").telemetry()

    run(test, records, reads=False)


def test_only_meters_with_profiles_have_a_history(records: Records) -> None:
    async def test(fleet: Fleet, sink: KeepingSink) -> None:
        await asyncio.sleep(600)
        assert fleet.statistics("M1").history_unread is not None
        assert fleet.statistics("M2").history_unread is None
        assert {part.source.device for _, part in sink.slices} == {"M1"}

    run(test, records, METER, device("M2", host="h2"))
