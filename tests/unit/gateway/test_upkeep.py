"""Totals of the days and housekeeping, in pieces."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.gateway.upkeep import Upkeep
from dlms_connector.obis import Obis
from dlms_connector.records import DAY_MS, Entry, Records, Slice, Source

_LOG = logging.getLogger(__name__)
_OBIS = Obis.parse("1-0:99.1.0")
_DAY = 20_000


class _Time:
    now = 1000.0

    def clock(self) -> float:
        return self.now

    def now_s(self) -> float:
        return (_DAY + 1) * 86_400 + self.now


def _device(name: str) -> Device:
    keys: dict[str, Any] = {"deviceName": name, "connection": {"host": "h"}}
    return Device.model_validate(keys | {"profiles": [{"obis": str(_OBIS)}]})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records.open(tmp_path / "records.sqlite", _LOG, clock=_Time().now_s)
    yield records
    records.close()


def _keep(records: Records, name: str) -> None:
    source, start = Source(name, _OBIS), _DAY * DAY_MS
    part = Slice(source, 3600, start, start + DAY_MS, (start,))
    records.keep(part, [Entry(source, "type", start, {"key": 1})])


def test_all_devices_are_told_of_in_pieces(records: Records) -> None:
    time, told = _Time(), []
    devices = [_device(f"M{number:03}") for number in range(150)]
    for one in devices:
        _keep(records, one.device_name)

    def send(device: str, kind: str, ts_ms: int, values: Mapping[str, int]) -> bool:
        if ts_ms == _DAY * DAY_MS:
            told.append((device, values["dlmsIntervalsExpected"]))
        return True

    names = [one.device_name for one in devices]
    upkeep = Upkeep(records, devices, names, send, _LOG, now_s=time.now_s, clock=time.clock)
    assert not upkeep.take()
    time.now += 61
    assert upkeep.take()
    assert not upkeep.take()
    upkeep.step()
    assert len(told) == 100
    time.now += 2
    assert upkeep.take()
    upkeep.step()
    assert [device for device, _ in told] == names
    assert {expected for _, expected in told} == {24}
    time.now += 2
    assert not upkeep.take()
    time.now += 3601
    assert upkeep.take()
    upkeep.step()
    assert len(told) == 150


def test_what_was_not_taken_is_told_again(records: Records) -> None:
    time, taken, tried = _Time(), [False], []
    _keep(records, "M")

    def send(*told: object) -> bool:
        tried.append(told)
        return taken[0]

    upkeep = Upkeep(records, [_device("M")], ["M"], send, _LOG, now_s=time.now_s, clock=time.clock)
    for count in (3, 6, 6):
        time.now += 3700
        assert upkeep.take()
        upkeep.step()
        assert len(tried) == count
        taken[0] = True


def test_records_that_cannot_be_used_are_told_once(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    time = _Time()
    upkeep = Upkeep(
        records, [_device("M")], ["M"], lambda *_: True, _LOG, now_s=time.now_s, clock=time.clock
    )
    records.close()
    for _ in range(3):
        time.now += 3700
        assert upkeep.take()
        upkeep.step()
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_devices_that_are_gone_are_told_of(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    time = _Time()
    _keep(records, "M")
    _keep(records, "gone")
    upkeep = Upkeep(
        records, [_device("M")], ["M"], lambda *_: True, _LOG, now_s=time.now_s, clock=time.clock
    )
    for _ in range(95):
        time.now += 86_401
        assert upkeep.take()
        upkeep.step()
    assert "the records of gone are dropped, with 1 entries that waited" in caplog.text
    assert records.sources() == (Source("M", _OBIS),)


def test_a_fault_does_not_end_upkeep(records: Records) -> None:
    time, told = _Time(), []
    _keep(records, "M")

    def send(*what: object) -> bool:
        told.append(what)
        if len(told) == 1:
            raise ValueError("the gateway's fault")
        return True

    upkeep = Upkeep(records, [_device("M")], ["M"], send, _LOG, now_s=time.now_s, clock=time.clock)
    time.now += 61
    assert upkeep.take()
    with pytest.raises(ValueError, match="fault"):
        upkeep.step()
    assert not upkeep.take(), "not at once again"
    time.now += 3601
    assert upkeep.take()
    upkeep.step()
    assert len(told) > 1


def test_devices_that_come_and_go(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    """Also between two pieces of the work."""
    time, told = _Time(), set()
    names = [f"M{number:03}" for number in range(150)]
    for name in names:
        _keep(records, name)

    def send(device: str, *_: object) -> bool:
        told.add(device)
        return True

    devices = [_device(name) for name in names[:-1]]
    upkeep = Upkeep(records, devices, names[:-1], send, _LOG, now_s=time.now_s, clock=time.clock)
    time.now += 61
    upkeep.step()
    assert told == {*names[:100]}
    upkeep.serve([_device(name) for name in names[-30:]], names[-30:])
    time.now += 2
    upkeep.step()
    assert told == {*names[:100], *names[120:-1]}
    time.now += 3601
    upkeep.step()
    assert told == {*names[:100], *names[120:]}
