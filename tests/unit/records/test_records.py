"""The outbox and the ledger, as its users see them."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.obis import Obis
from dlms_connector.records import (
    DAY_MS,
    Entry,
    Records,
    RecordsError,
    Slice,
    Source,
)

_LOG = logging.getLogger(__name__)
_LOAD = Source("meter", Obis.parse("1-0:99.1.0"))
_EVENTS = Source("meter", Obis.parse("0-0:99.98.0"))
_POLLED = Source("meter")
_Q = 900_000
_START = 20_000 * DAY_MS
_NOW_S = (_START + 2 * DAY_MS) / 1000
_NOW_MS = _START + 2 * DAY_MS


def _open(path: Path) -> Records:
    return Records.open(path, _LOG, clock=lambda: _NOW_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "records.sqlite"


@pytest.fixture
def records(path: Path) -> Iterator[Records]:
    records = _open(path)
    yield records
    records.close()


def _entry(ts_ms: int, value: Any = 1.5, source: Source = _LOAD) -> Entry:
    return Entry(source, "meter type", ts_ms, {"load_active_energy": value})


def _part(first: int, after: int, lacking: tuple[int, ...] = (), source: Source = _LOAD) -> Slice:
    """Return the slice of the quarters from `first`, up to before `after`, of the first day."""
    rows = tuple(_START + at * _Q for at in range(first, after) if at not in lacking)
    return Slice(source, 900, _START + first * _Q, _START + after * _Q, rows)


def _kept(records: Records, part: Slice) -> tuple[Entry, ...]:
    return records.keep(part, [_entry(at, source=part.source) for at in part.rows_ms])


def test_what_is_kept_waits_until_it_is_confirmed(records: Records, path: Path) -> None:
    kept = _kept(records, _part(0, 96))
    assert len(kept) == 96
    assert records.pending() == kept
    numbers = [entry.number for entry in kept]
    assert numbers == sorted(set(numbers))
    assert max(numbers) < 1 << 53
    records.confirmed(numbers[:50])
    assert records.pending() == kept[50:]
    assert records.confirmed(numbers[:50]) == 0
    records.close()
    again = _open(path)
    assert again.pending() == kept[50:]
    (day,) = again.completeness(_LOAD, _START, _START + DAY_MS, timezone.utc)
    again.close()
    assert (day.expected, day.held, day.sent, day.confirmed) == (96, 96, 96, 50)
    assert day.missing == {"unconfirmed": 46}


def test_values_come_back_equal(records: Records) -> None:
    values = {"a": 230.17, "b": 7, "c": "text ü", "d": True, "e": None, "f": [1, {"x": 2.0}]}
    records.journal([Entry(_POLLED, "t", 5, values)])
    (entry,) = records.pending()
    assert entry.values == values
    assert [type(each) for each in entry.values.values()] == [
        float,
        int,
        str,
        bool,
        type(None),
        list,
    ]


def test_pending_entries_are_paged_and_of_some_devices(records: Records) -> None:
    other = Source("other", _LOAD.profile)
    kept = _kept(records, _part(0, 10))
    records.keep(Slice(other, 900, _START, _START + _Q, (_START,)), [_entry(_START, source=other)])
    assert records.pending(limit=4) == kept[:4]
    assert records.pending(after=kept[3].number, limit=2) == kept[4:6]
    assert records.pending(devices=["other"])[0].source == other
    assert records.devices_pending() == {"meter": 10, "other": 1}


def test_numbers_never_come_again(path: Path) -> None:
    now = [1_800_000_000.0]
    first = Records.open(path, _LOG, clock=lambda: now[0])
    (before,) = first.journal([_entry(1, source=_POLLED)])
    first.confirmed([before.number])
    first.close()
    now[0] -= 10 * 86_400  # a clock that is not set yet
    second = Records.open(path, _LOG, clock=lambda: now[0])
    (after,) = second.journal([_entry(1, source=_POLLED)])
    second.close()
    assert after.number > before.number
    path.unlink()
    now[0] += 11 * 86_400
    third = Records.open(path, _LOG, clock=lambda: now[0])
    (last,) = third.journal([_entry(1, source=_POLLED)])
    third.close()
    assert last.number > after.number


def test_a_gap_is_asked_for_again_and_then_absent(records: Records) -> None:
    _kept(records, _part(0, 96, lacking=(7, 8)))
    assert _missing(records) == {"not read yet": 2, "unconfirmed": 94}
    assert _kept(records, _part(7, 9, lacking=(8,)))[0].ts_ms == _START + 7 * _Q
    assert _missing(records) == {"the meter holds none": 1, "unconfirmed": 95}


def test_intervals_after_the_newest_row_are_not_given_up(records: Records) -> None:
    for _ in range(3):
        _kept(records, _part(0, 4, lacking=(2, 3)))
    assert _missing(records, 4) == {"not read yet": 2, "unconfirmed": 2}


def test_a_wider_slice_enters_nothing_again(records: Records) -> None:
    kept = _kept(records, _part(0, 96, lacking=(7, 8)))
    assert [entry.ts_ms for entry in _kept(records, _part(0, 12))] == [
        _START + 7 * _Q, _START + 8 * _Q,
    ]  # fmt: skip
    records.confirmed(entry.number for entry in kept)
    assert _kept(records, _part(0, 12)) == ()
    assert len(records.pending()) == 2


def test_an_interval_that_goes_on_gets_its_later_rows(records: Records) -> None:
    """A row off the grid, as meters write them when power fails, may follow in a known interval."""
    until = _START + _Q + 60_000
    records.keep(
        Slice(_LOAD, 900, _START, until, (_START, _START + _Q)),
        [_entry(_START), _entry(_START + _Q)],
    )
    assert records.known(_LOAD).opens == (until,)
    late = until + 5000
    rest = Slice(_LOAD, 900, until, _START + 3 * _Q, (late, _START + 2 * _Q))
    kept = records.keep(rest, [_entry(late), _entry(_START + 2 * _Q)])
    assert [entry.ts_ms for entry in kept] == [late, _START + 2 * _Q]
    assert records.known(_LOAD).opens == ()


def test_what_waits_is_replaced_by_what_is_newer(records: Records) -> None:
    lacking = Slice(_EVENTS, 0, _START, _START + DAY_MS, (_START + 5,))
    (first,) = records.keep(lacking, [_entry(_START + 5, 1, _EVENTS)])
    assert records.keep(lacking, [_entry(_START + 5, 2, _EVENTS)]) == ()
    assert records.missing(_EVENTS, [_START + 5]) == 0  # it waits
    records.confirmed([first.number])
    assert records.missing(_EVENTS, [_START + 5]) == 1
    (second,) = records.keep(lacking, [_entry(_START + 5, 2, _EVENTS)])
    assert records.pending() == (second,)


def test_irregular_rows_are_entered_once(records: Records) -> None:
    rows = (_START + 3, _START + 70_000)
    part = Slice(_EVENTS, 0, _START, _START + DAY_MS, rows)
    kept = records.keep(part, [_entry(at, at, _EVENTS) for at in rows])
    assert len(kept) == 2
    records.confirmed([kept[0].number])
    wider = Slice(_EVENTS, 0, _START, _START + 2 * DAY_MS, (*rows, _START + DAY_MS + 1))
    again = records.keep(wider, [_entry(at, at, _EVENTS) for at in wider.rows_ms])
    assert [entry.ts_ms for entry in again] == [_START + DAY_MS + 1]
    assert records.known(_EVENTS).covered == ((_START, _START + 2 * DAY_MS),)
    first, second = records.completeness(_EVENTS, _START, _START + 2 * DAY_MS, timezone.utc)
    assert (first.expected, first.confirmed, first.missing) == (2, 1, {"unconfirmed": 1})
    assert (second.expected, second.confirmed) == (1, 0)


def test_a_refused_interval_is_not_sent_again(records: Records) -> None:
    kept = _kept(records, _part(0, 4))
    records.refused([kept[1].number], "key is not allowed")
    assert _kept(records, _part(0, 4)) == ()
    (day,) = records.completeness(_LOAD, _START, _START + 4 * _Q, timezone.utc)
    assert day.missing == {"refused by the platform": 1, "unconfirmed": 3}
    assert day.why == "key is not allowed"


def test_rows_without_anything_to_send_are_told(records: Records) -> None:
    part = _part(0, 4)
    records.keep(part, [_entry(part.rows_ms[0])])
    assert _missing(records, 4) == {"unconfirmed": 1, "row without values": 3}


def test_what_the_platform_lacks_is_read_again(records: Records) -> None:
    kept = _kept(records, _part(0, 4))
    records.confirmed([entry.number for entry in kept[:3]])
    assert records.confirmed_instants(_LOAD, _START, _START + 3 * _Q, 900) == tuple(
        _START + at * _Q for at in range(3)
    )
    assert records.missing(_LOAD, [_START + _Q, _START + 3 * _Q]) == 1
    assert _missing(records, 4) == {"not read yet": 1, "unconfirmed": 1}
    assert [entry.ts_ms for entry in _kept(records, _part(0, 4))] == [_START + _Q]


def test_rows_of_a_device_that_the_platform_deleted_are_read_again(records: Records) -> None:
    kept = _kept(records, _part(0, 4))
    records.confirmed([entry.number for entry in kept[:3]])
    assert records.lost("another") == {}
    assert records.lost(_LOAD.device) == {_LOAD: 3}
    assert _missing(records, 4) == {"not read yet": 3, "unconfirmed": 1}
    assert records.lost(_LOAD.device) == {}
    assert len(_kept(records, _part(0, 4))) == 3


def test_events_of_a_device_that_the_platform_deleted_are_read_again(records: Records) -> None:
    stamps = (_START + 5_000, _START + DAY_MS + 7_000)
    part = Slice(_EVENTS, 0, _START, _START + 2 * DAY_MS, stamps)
    entries = [_entry(ts_ms, source=_EVENTS) for ts_ms in stamps]
    kept = records.keep(part, entries)
    records.confirmed([entry.number for entry in kept])
    assert not records.keep(part, entries)
    assert records.lost(_EVENTS.device) == {_EVENTS: 2}
    assert len(records.keep(part, entries)) == 2


def test_an_identity_of_another_object_is_not_another_meter(records: Records) -> None:
    """An association with other rights may show another one; the past is still this meter's."""
    assert not records.noted("meter", "0-0:42.0.0 KFM1001", _NOW_MS)
    _kept(records, _part(0, 4))
    assert not records.noted("meter", "0-0:96.1.0 1001", _NOW_MS)
    assert records.known(_LOAD).since_ms is None
    assert records.noted("meter", "0-0:96.1.0 1002", _NOW_MS)


def test_the_gaps_of_a_meter_that_was_replaced_are_closed(records: Records) -> None:
    assert not records.noted("meter", "0-0:96.1.0 1001", _NOW_MS)
    _kept(records, _part(0, 96, lacking=(3,)))
    assert not records.noted("meter", "0-0:96.1.0 1001", _NOW_MS)
    assert records.noted("meter", "0-0:96.1.0 1002", _NOW_MS)
    known = records.known(_LOAD)
    assert (known.since_ms, known.serial) == (_START + DAY_MS, "0-0:96.1.0 1002")
    assert _missing(records) == {"meter replaced": 1, "unconfirmed": 95}


def test_the_journal_is_bounded(records: Records) -> None:
    records.journal([_entry(at, source=_POLLED) for at in range(100)])
    _kept(records, _part(0, 4))
    size = records.size()
    assert (size.journal_entries, size.history_entries, size.entries) == (100, 4, 104)
    assert records.trim(oldest_ms=10, most_bytes=1 << 30) == 10
    per_entry = size.journal_bytes // 100
    assert records.trim(oldest_ms=0, most_bytes=50 * per_entry + 1) == 40
    assert [entry.ts_ms for entry in records.pending()[:50]] == list(range(50, 100))
    assert records.trim(oldest_ms=1000, most_bytes=0) == 50
    assert records.size().journal_bytes == 0
    assert records.size().history_entries == 4


def test_old_days_and_devices_that_are_gone_are_dropped(records: Records) -> None:
    old = Source("old meter", _LOAD.profile)
    records.keep(Slice(old, 900, _START, _START + _Q, (_START,)), [_entry(_START, source=old)])
    _kept(records, _part(0, 4))
    now_ms = int(_NOW_S * 1000)
    assert records.tidy(["meter", "old meter"], now_ms).devices == ()
    late = now_ms
    for _ in range(50):  # day after day
        late += 2 * DAY_MS
        _kept(records, Slice(_LOAD, 900, late, late + _Q, (late,)))
        dropped = records.tidy(["meter"], late)
        if dropped.devices:
            break
    assert dropped.devices == ("old meter",)
    assert dropped.entries == 1
    assert records.sources() == (_LOAD,)
    far = late + 900 * DAY_MS
    _kept(records, Slice(_LOAD, 900, far, far + _Q, (far,)))
    assert records.tidy(["meter"], far).days > 0
    assert min(day for day, _ in records.known(_LOAD).days) >= far // DAY_MS - 800


def test_a_clock_that_jumps_ahead_drops_nothing(records: Records) -> None:
    _kept(records, _part(0, 4))
    records.tidy(["meter"], int(_NOW_S * 1000))
    dropped = records.tidy([], int(_NOW_S * 1000) + 5000 * DAY_MS)
    assert (dropped.days, dropped.devices) == (0, ())


def test_only_the_owner_may_read_the_files(records: Records, path: Path) -> None:
    _kept(records, _part(0, 4))
    files = [each for each in path.parent.iterdir() if each.is_file()]
    assert {each.name for each in files} >= {"records.sqlite", "records.sqlite-wal"}
    for each in files:
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each.name


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_file_that_others_may_read_is_closed_to_them(path: Path) -> None:
    _open(path).close()
    path.chmod(0o644)
    _open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_closed_records_say_so(records: Records) -> None:
    records.close()
    records.close()
    with pytest.raises(RecordsError, match="records are closed"):
        records.size()


def test_local_days_have_as_many_intervals_as_their_hours(records: Records) -> None:
    zone = timezone(timedelta(hours=2))
    _kept(records, _part(0, 96))
    counts = records.completeness(_LOAD, _START - 2 * 3_600_000, _START + DAY_MS, zone)
    assert [count.expected for count in counts] == [96, 8]
    assert [count.sent for count in counts] == [88, 8]


def _missing(records: Records, quarters: int = 96) -> dict[str, int]:
    (day,) = records.completeness(_LOAD, _START, _START + quarters * _Q, timezone.utc)
    assert day.expected == day.confirmed + day.gaps
    return dict(day.missing)
