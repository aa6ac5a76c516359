"""The call that asks how complete a profile is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from dlms_connector.obis import Obis
from dlms_connector.records import Entry, Records, Slice, Source
from tests.support.commands import Desk
from tests.support.simulated import NOW

_Q = 900_000
_LOAD = Source("M1", Obis.parse("1-0:99.1.0"))
_ASKED = {"obis": "1-0:99.1.0", "from": "2026-05-01", "to": "2026-05-03"}
_START = 1_777_593_600_000


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    path, log = tmp_path / "records.sqlite", logging.getLogger(__name__)
    records = Records.open(path, log, clock=lambda: NOW)
    yield records
    records.close()


def _desk(records: Records | None) -> Desk:
    desk = Desk()
    for name, context in desk.contexts.items():
        desk.contexts[name] = replace(context, intervals=records)
    return desk


async def test_intervals_are_counted_by_day(records: Records) -> None:
    rows = tuple(_START + at * _Q for at in range(100))
    kept = records.keep(
        Slice(_LOAD, 900, _START, _START + 100 * _Q, rows),
        [Entry(_LOAD, "type", at, {"key": 1}) for at in rows],
    )
    records.confirmed(entry.number for entry in kept[:96])
    result = await _desk(records).result("getCompleteness", _ASKED)
    assert result["confirmed"] == 96
    assert result["days"][0] == {
        "day": "2026-05-01", "expected": 96, "held": 96, "sent": 96, "confirmed": 96,
    }  # fmt: skip
    assert result["days"][1]["missing"]["unconfirmed"] == 4
    assert result["expected"] == result["confirmed"] + sum(result["missing"].values())


async def test_the_last_days_are_the_default(records: Records) -> None:
    result = await _desk(records).result("getCompleteness", {"obis": "1-0:99.1.0"})
    assert result["days"][-1]["day"] == datetime.fromtimestamp(NOW, timezone.utc).date().isoformat()
    assert len(result["days"]) == 8


async def test_what_makes_no_sense_is_refused(records: Records) -> None:
    desk = _desk(records)
    assert "`to` lies before `from`" in await desk.error(
        "getCompleteness", _ASKED | {"to": "2026-04-01"}
    )
    assert "at most 366 days" in await desk.error(
        "getCompleteness", _ASKED | {"from": "2020-04-01"}
    )
    assert "no records are kept" in await _desk(None).error("getCompleteness", _ASKED)


async def test_records_that_cannot_be_read_are_told(records: Records) -> None:
    desk = _desk(records)
    records.close()
    assert "the records cannot be read: " in await desk.error("getCompleteness", _ASKED)
