"""The ledger: local days, reasons, changes of the capture period, and totals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dlms_connector.obis import Obis
from dlms_connector.records import (
    DAY_MS,
    DailyTotals,
    Day,
    Entry,
    Known,
    Records,
    RecordsError,
    Slice,
    Source,
    all_slots,
    reading,
)
from dlms_connector.records.completeness import day_counts

_LOG = logging.getLogger(__name__)
_LOAD = Source("meter", Obis.parse("1-0:99.1.0"))
_BERLIN = ZoneInfo("Europe/Berlin")
_Q = 900_000
_DAY = 20_000


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "count"), [("2026-03-29", 92), ("2026-10-25", 100), ("2026-05-01", 96)]
)
def test_days_on_which_the_clocks_change(day: str, count: int) -> None:
    start = _ms(f"{day}T12:00:00+00:00") - 20 * 3_600_000
    counts = day_counts(
        Known(_LOAD), {}, 900, (start, start + 3 * DAY_MS), _BERLIN, start + 9 * DAY_MS
    )
    (found,) = (each for each in counts if each.day == date.fromisoformat(day))
    assert found.expected == count
    assert found.missing == {"not read yet": count}


def test_each_interval_has_one_reason() -> None:
    sets = Day(
        sent=0b1, confirmed=0b10, empty=0b100, asked=0b1000, absent=0b10000, refused=0b100000
    )
    known = Known(_LOAD, {(_DAY, 900): sets})
    start = _DAY * DAY_MS
    (count,) = day_counts(known, {}, 900, (start, start + 7 * _Q), timezone.utc, start + DAY_MS)
    assert (count.expected, count.held, count.sent, count.confirmed) == (7, 4, 3, 1)
    assert count.missing == {
        "not read yet": 2, "the meter holds none": 1, "refused by the platform": 1,
        "unconfirmed": 1, "row without values": 1,
    }  # fmt: skip
    assert count.expected == count.confirmed + count.gaps


def test_intervals_of_today_are_expected_when_they_are_over() -> None:
    start = _DAY * DAY_MS
    now = start + 4 * _Q + 5
    (count,) = day_counts(Known(_LOAD), {}, 900, (start, start + DAY_MS), timezone.utc, now)
    assert count.expected == 4


def test_what_the_meter_no_longer_holds_and_what_another_one_held() -> None:
    start = _DAY * DAY_MS
    span, now = (start, start + DAY_MS), start + 2 * DAY_MS
    (old,) = day_counts(Known(_LOAD, horizon_ms=start + 10 * _Q), {}, 900, span, timezone.utc, now)
    assert old.missing == {"not read yet": 86, "the meter holds none": 10}
    (new,) = day_counts(Known(_LOAD, since_ms=start + 10 * _Q), {}, 900, span, timezone.utc, now)
    assert new.missing == {"not read yet": 86, "meter replaced": 10}


def test_a_changed_capture_period_counts_as_it_was() -> None:
    start = _DAY * DAY_MS
    first_half = (1 << 12) - 1
    known = Known(
        _LOAD,
        {
            (_DAY, 3600): Day(confirmed=first_half),
            (_DAY, 900): Day(confirmed=all_slots(900) & ~((1 << 48) - 1)),
        },
    )
    (count,) = day_counts(known, {}, 900, (start, start + DAY_MS), timezone.utc, start + 2 * DAY_MS)
    assert (count.expected, count.confirmed, count.missing) == (12 + 48, 60, {})


def _filled(path: Path, now_s: float) -> Records:
    records = Records.open(path, _LOG, clock=lambda: now_s)
    start = _DAY * DAY_MS
    rows = tuple(start + at * _Q for at in range(96))
    kept = records.keep(
        Slice(_LOAD, 900, start, start + DAY_MS, rows),
        [Entry(_LOAD, "type", at, {"key": 1}) for at in rows],
    )
    records.confirmed(entry.number for entry in kept[:90])
    return records


def test_totals_are_told_when_they_change(tmp_path: Path) -> None:
    now = (_DAY + 1) * DAY_MS + 3_600_000
    records = _filled(tmp_path / "records.sqlite", now / 1000)
    told: list[tuple[str, int, Mapping[str, int]]] = []

    def send(device: str, ts_ms: int, values: Mapping[str, int]) -> bool:
        told.append((device, ts_ms, values))
        return True

    totals = DailyTotals(records, lambda device: timezone.utc, send)
    assert totals.tell(["meter", "other"], now) == 3
    assert told[-1] == (
        "meter", _DAY * DAY_MS,
        {"dlmsIntervalsExpected": 96, "dlmsIntervalsConfirmed": 90, "dlmsIntervalsMissing": 6},
    )  # fmt: skip
    assert totals.tell(["meter"], now) == 0
    records.confirmed(entry.number for entry in records.pending())
    assert totals.tell(["meter"], now) == 1
    assert told[-1][2]["dlmsIntervalsMissing"] == 0
    records.close()


def test_the_ledger_is_read_beside_a_gateway_and_without_one(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    with pytest.raises(RecordsError, match="there are none"), reading(path):
        pass
    now_s = (_DAY + 2) * 86_400
    records = _filled(path, now_s)
    start = _DAY * DAY_MS
    for _ in range(2):  # the second time the gateway has ended
        with reading(path, clock=lambda: now_s) as ledger:
            assert ledger.sources() == (_LOAD,)
            assert ledger.begins(_LOAD) == start
            (count,) = ledger.completeness(_LOAD, start, start + DAY_MS, timezone.utc)
            assert count.confirmed == 90
        records.close()
    path.write_bytes(b"not a database, but something else" * 9)
    with pytest.raises(RecordsError, match="not a database"), reading(path):
        pass
    assert path.exists()
