"""Profiles are read between polls: completely, also over kills, and at the cost of no poll."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.interpret import ScalerUnit
from dlms_connector.meter import Meter
from dlms_connector.records import Known, Records, Source
from tests.support import fake_time
from tests.support.fake_meter import device
from tests.support.history_line import EPOCH_S, HistoryLine, meter_for, on

QUARTER_S = 900
DAY_S = 86_400
LOAD = "1-0:99.1.0"


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    log = logging.getLogger("test.records")
    opened = Records.open(tmp_path / "records.sqlite", log, clock=lambda: EPOCH_S)
    yield opened
    opened.close()


def metering(name: str = "M1", *, backfill: str = "P2D", **more: Any) -> Device:
    """Return a device with a load profile, polled once a minute."""
    profiles = [{"obis": LOAD, "backfill": backfill}]
    settings: dict[str, Any] = {"pollPeriod": 60_000, "profiles": profiles}
    return device(name, **(settings | more))


def quarters(days: float, until_s: float = 0.0) -> list[int]:
    """Return the instants of the rows of the last days, in ms, up to a time of the bench."""
    first = -(-(EPOCH_S - int(days * DAY_S)) // QUARTER_S) * QUARTER_S
    return [at * 1000 for at in range(first, int(EPOCH_S + until_s) + 1, QUARTER_S)]


async def until_read(bench: HistoryLine, name: str = "M1", most_s: float = DAY_S) -> None:
    """Wait until nothing of a meter's past is unread."""
    loop = asyncio.get_running_loop()
    end = loop.time() + most_s
    while not 0 <= bench.unread(name) <= 1:
        assert loop.time() < end, f"{bench.unread(name)} intervals are still unread"
        await asyncio.sleep(1)


def messages(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    return [one for one in caplog.messages if part in one]


def missing(bench: HistoryLine, days: float, until_s: float = 0.0, name: str = "M1") -> set[int]:
    return set(quarters(days, until_s)) - set(bench.rows(name))


def test_months_are_read_while_polls_keep_their_period(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def test(bench: HistoryLine) -> None:
        await until_read(bench)
        assert not missing(bench, 60)
        assert bench.sink.repeats == 0
        assert bench.sink.rows["M1", quarters(1)[0]].keys() >= {"load_active_energy"}
        times = bench.sink.times("M1")
        late = [gap for gap in (b - a for a, b in pairwise(times)) if gap > 1.1]
        assert len(late) <= 2, "when the layout was read, which takes longer than a period"
        assert max(late, default=0.0) < 3
        newest = bench.sink.slices[0][1]
        assert newest.end_ms >= EPOCH_S * 1000, "the newest rows come first"
        assert bench.line.members["M1"].meter.statistics.polls_failed == 0
        assert bench.link.opened == 1, "all within the association of the polls"
        assert len(messages(caplog, "days are to be read")) == 1
        assert len(messages(caplog, "the past is read")) == 1

    on(
        lambda: HistoryLine(
            metering(backfill="P60D", pollPeriod=1000), records=records, profile_days=90
        ),
        test,
    )


def test_new_rows_are_read_as_they_come(records: Records) -> None:
    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(6 * 3600)
        assert not missing(bench, 2, 6 * 3600 - 60)
        newest = [(at, part) for at, part in bench.sink.slices if len(part.rows_ms) == 1][-10:]
        for at, part in newest:
            assert EPOCH_S + at - part.rows_ms[0] / 1000 < 60

    on(lambda: HistoryLine(metering(), records=records), test)


def test_after_a_long_time_without_room_the_new_rows_are_soon_there(records: Records) -> None:
    """A meter that fails is spared for hours; a disk that was full is not."""

    async def test(bench: HistoryLine) -> None:
        bench.sink.refuses = "disk full"
        await asyncio.sleep(DAY_S / 2)
        assert not bench.rows()
        bench.sink.refuses = ""
        await asyncio.sleep(2000)
        assert bench.rows()
        await asyncio.sleep(7200)
        assert not missing(bench, 1.9)

    on(lambda: HistoryLine(metering(pollPeriod=10_000), records=records), test)


def test_kills_lose_nothing_and_repeat_nothing(records: Records) -> None:
    rng = Random(9)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    repeats = 0

    async def body() -> None:
        nonlocal repeats
        for life in range(40):
            bench = HistoryLine(
                metering(backfill="P20D", pollPeriod=2000), records=records, profile_days=40
            )
            bench.sink.rows = rows
            running = asyncio.ensure_future(bench.line.run())
            await asyncio.sleep(DAY_S / 10 if life == 39 else rng.uniform(0, 12))
            running.cancel()
            await asyncio.wait({running})
            repeats += bench.sink.repeats
        assert not missing(bench, 20, asyncio.get_running_loop().time() - 60)

    fake_time.run(body())
    assert repeats == 0


def test_a_slice_that_is_not_kept_is_read_again(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: HistoryLine) -> None:
        bench.sink.refuses = "disk full"
        await asyncio.sleep(600)
        assert not bench.rows()
        history = bench.line.members["M1"].history
        assert history is not None
        assert history.progress()[0].problem == "disk full"
        assert len(messages(caplog, "could not be kept: disk full")) == 1
        bench.sink.refuses = ""
        await asyncio.sleep(7200)
        assert not missing(bench, 1.9)
        assert history.progress()[0].problem == ""

    on(lambda: HistoryLine(metering(), records=records), test)


def test_a_full_outbox_pauses_reading(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    async def test(bench: HistoryLine) -> None:
        bench.sink.refuses = "full"
        await asyncio.sleep(60)
        before = bench.sink.refused
        assert before
        await asyncio.sleep(3600)
        assert bench.sink.refused - before <= 20
        assert len(messages(caplog, "history is not read on")) == 1
        assert not bench.rows()
        bench.sink.refuses = ""
        await until_read(bench)
        assert not missing(bench, 2)
        assert bench.line.members["M1"].meter.statistics.polls_failed == 0

    on(lambda: HistoryLine(metering(), metering("M2", dlms={"physicalAddress": 2}),
                           records=records), test)  # fmt: skip


def test_a_silent_meter_is_told_once_and_loses_nothing(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(30)  # in the middle of its past
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(DAY_S)
        assert len(messages(caplog, "no complete reply")) == 1
        assert not messages(caplog, "cannot be read")
        bench.meters[0].faults.clear("silence")
        await until_read(bench)
        assert not missing(bench, 30, DAY_S)
        assert bench.sink.state_names("M1").count("online") == 2

    on(
        lambda: HistoryLine(
            metering(backfill="P30D", pollPeriod=60_000), records=records, profile_days=50
        ),
        test,
    )


def test_a_meter_that_falls_silent_while_its_past_is_read_is_polled_at_once(
    records: Records,
) -> None:
    async def test(bench: HistoryLine) -> None:
        await bench.sink.until(lambda: len(bench.sink.slices) > 3)
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(30)
        assert bench.sink.state_names("M1")[-1] != "online", "its next poll is in an hour"

    on(
        lambda: HistoryLine(metering(backfill="P60D", pollPeriod=3_600_000), records=records),
        test,
    )


def test_two_meters_on_a_line_get_like_shares(records: Records) -> None:
    devices = [
        metering(f"M{n}", backfill="P30D", pollPeriod=5000, dlms={"physicalAddress": n})
        for n in (1, 2)
    ]

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(200)
        done = [len(bench.rows(name)) for name in ("M1", "M2")]
        assert min(done) > 100
        assert max(done) < 2 * min(done)
        for name in ("M1", "M2"):
            await until_read(bench, name)
            assert not missing(bench, 30, name=name)
            gaps = [b - a for a, b in pairwise(bench.sink.times(name))]
            assert max(gaps) < 10, "a poll may be late, not left out"

    on(lambda: HistoryLine(*devices, records=records), test)


def test_a_line_that_polls_never_leave_alone_is_shared_nine_to_one(records: Records) -> None:
    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(800)
        polls = bench.sink.times("M1")
        in_visits = sum(gap - 0.8 for gap in (b - a for a, b in pairwise(polls)))
        assert len(bench.rows()) > 40
        assert in_visits < 0.2 * 800

    on(
        lambda: HistoryLine(metering(pollPeriod=300, backfill="P10D"), records=records, delay=0.4),
        test,
    )


def test_a_call_waits_for_a_short_visit_only(records: Records) -> None:
    async def test(bench: HistoryLine) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(60)
        waits = []
        rng = Random(1)
        for _ in range(50):
            await asyncio.sleep(rng.uniform(0, 2))
            start = loop.time()
            await bench.line.submit("M1", lambda client: client.get([]), timeout_s=30)
            waits.append(loop.time() - start)
        assert max(waits) < 3
        assert bench.unread() > 100, "it was read all the time"

    on(
        lambda: HistoryLine(
            metering(backfill="P200D", pollPeriod=60_000), records=records, profile_days=300
        ),
        test,
    )


def test_another_meter_at_the_same_address_is_noticed(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    one = metering(backfill="P20D", pollPeriod=2000)

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(15)
        assert 0 < len(bench.rows()) < 1000
        before = min(bench.rows())
        running = asyncio.ensure_future(asyncio.sleep(0))
        await running
        bench.meters[0].faults.set("silence")
        await asyncio.sleep(1800)
        bench.link.replace(meter_for(one, serial=77, profile_days=50))
        await asyncio.sleep(7200)
        assert len(messages(caplog, "another meter answers")) == 1
        assert min(bench.rows()) == before, "the past of the new meter is not that of the old one"
        assert 0 <= bench.unread() <= 1

    on(lambda: HistoryLine(one, records=records, serial=1, profile_days=50), test)


def test_another_meter_is_read_with_its_own_scalers(records: Records) -> None:
    """It came between two polls, so that nothing but its identity tells that it is another."""
    one = metering(backfill="P1D", pollPeriod=1_800_000)

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(3600)
        meter = bench.line.members[one.device_name].meter
        assert isinstance(meter, Meter)
        learned = meter.learned
        known = dict(learned.scalers)
        assert known
        bench.link.replace(meter_for(one, serial=77))
        learned.scalers.update(dict.fromkeys(known, ScalerUnit(9, "Wh")))
        await asyncio.sleep(DAY_S + 3600)
        assert learned.scalers == known

    on(lambda: HistoryLine(one, records=records, serial=1), test)


def test_a_profile_that_the_meter_does_not_have_is_told_once(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    profiles = [{"obis": "1-0:99.77.0"}, {"obis": LOAD, "backfill": "P2D"}]

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(DAY_S)
        told = messages(caplog, "1-0:99.77.0 cannot be read")
        assert len(told) == 1
        assert "check its OBIS code" in told[0]
        assert not missing(bench, 2, DAY_S - 60)

    on(lambda: HistoryLine(metering(profiles=profiles), records=records), test)


def test_a_profile_at_which_the_meter_hangs_up_is_told_once_and_polls_go_on(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(DAY_S / 4)
        assert len(messages(caplog, "1-0:99.1.0 cannot be read")) == 1
        assert len(bench.sink.times("M1")) > DAY_S / 4 / 60 * 0.95
        assert bench.sink.state_names("M1") == ["online"]
        bench.meters[0].faults.clear("killing-object")
        await asyncio.sleep(DAY_S / 2)
        assert not missing(bench, 1, DAY_S / 2)

    on(lambda: HistoryLine(metering(), records=records, faults={"killing-object": 99}), test)


def test_a_meter_without_items_is_read(records: Records) -> None:
    async def test(bench: HistoryLine) -> None:
        await until_read(bench)
        await asyncio.sleep(3600)
        assert not missing(bench, 2, 3600 - 60)
        assert bench.link.opened < 12, "an association is kept over the slices of a backfill"
        assert not bench.link.is_open

    on(lambda: HistoryLine(metering(timeseries=[]), records=records), test)


def test_rows_of_a_clock_that_is_behind_are_waited_for(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(4 * 3600)
        assert len(messages(caplog, "its clock is 360")) == 1
        assert not missing(bench, 2, 3 * 3600 - 60)
        source = Source("M1", bench.line.members["M1"].device.profiles[0].obis)
        assert not any(day.absent for day in records.known(source).days.values())

    on(lambda: HistoryLine(metering(), records=records, ahead_s=-3600.0), test)


class BrokenRecords:
    """Records on a disk that fails."""

    def __init__(self, records: Records) -> None:
        self._records, self.broken = records, True

    def _check(self) -> None:
        if self.broken:
            raise OSError("records.sqlite: the disk is gone")

    def known(self, source: Source) -> Known:
        self._check()
        return self._records.known(source)

    def noted(self, device: str, serial: str, now_ms: int) -> bool:
        self._check()
        return self._records.noted(device, serial, now_ms)

    def held_from(self, source: Source, oldest_ms: int) -> None:
        self._check()
        self._records.held_from(source, oldest_ms)


def test_without_records_polls_go_on_and_history_waits(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    broken = BrokenRecords(records)

    def bench() -> HistoryLine:
        made = HistoryLine(metering(), records=records)
        made.archive.records = broken
        return made

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(3600)
        assert len(messages(caplog, "the disk is gone")) == 1
        assert len(bench.sink.times("M1")) > 55
        broken.broken = False
        await until_read(bench)
        assert not missing(bench, 1.9)

    on(bench, test)


def test_events_and_billing_values_are_read_besides(records: Records) -> None:
    profiles = [
        {"obis": "0-0:98.1.0", "backfill": "P400D"},
        {"obis": "0-0:99.98.0", "backfill": "P100D"},
        {"obis": LOAD, "backfill": "P5D"},
    ]

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(7200)
        assert not missing(bench, 5, 7200 - 60)
        keys = {key for row in bench.sink.rows.values() for key in row}
        assert {"billing_active_energy", "event", "load_active_energy"} <= keys
        months = [row for row in bench.sink.rows.values() if "billing_active_energy" in row]
        assert len(months) == 13
        events = {at for (_, at), row in bench.sink.rows.items() if "event" in row}
        assert len(events) > 5
        now = asyncio.get_running_loop().time()
        bench.meters[0].events.append((EPOCH_S + now, 77))
        await asyncio.sleep(7200)
        codes = [row["event"] for row in bench.sink.rows.values() if "event" in row]
        assert "77" in codes
        assert bench.sink.repeats == 0

    on(lambda: HistoryLine(metering(profiles=profiles), records=records), test)


@pytest.mark.parametrize("faults", [{"no-range": 1}, {"no-range": 1, "no-entry": 1}])
def test_meters_that_do_not_select_by_range_are_read(
    records: Records, faults: dict[str, float]
) -> None:
    async def test(bench: HistoryLine) -> None:
        await until_read(bench)
        assert not missing(bench, 8)

    on(
        lambda: HistoryLine(
            metering(backfill="P8D"), records=records, faults=faults, profile_days=10
        ),
        test,
    )


class FaultyRecords(BrokenRecords):
    """Records whose answers are of no use."""

    def known(self, source: Source) -> Known:
        return object()  # type: ignore[return-value]


def test_a_fault_of_ours_in_reading_history_costs_no_poll(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    def bench() -> HistoryLine:
        made = HistoryLine(metering(), records=records)
        made.archive.records = FaultyRecords(records)
        return made

    async def test(bench: HistoryLine) -> None:
        await asyncio.sleep(3600)
        assert len(bench.sink.times("M1")) > 55
        assert bench.sink.state_names("M1") == ["online"]
        assert len([one for one in caplog.records if one.exc_info]) <= 2

    on(bench, test)
