"""Reading and setting a simulated meter's clock."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from dlms_connector.commands.clock import Setting, set_clock
from dlms_connector.interpret import Options
from dlms_connector.protocol.data.cosem_time import DateTime
from dlms_connector.protocol.data.data import Data, DataType
from dlms_connector.simulator.encoding.data import octets, u32
from dlms_connector.simulator.objects.cosem_object import DENIED, AccessError
from tests.support.commands import Desk, MetersInMemory, device

#: Seven minutes behind a quarter of an hour: no row is captured about then.
NOON = datetime(2026, 6, 1, 12, 7, tzinfo=timezone.utc)
CLOCK = b"\0\0\1\0\0\xff"


def desk(
    folder: Path | None = None,
    *,
    shift_s: float = 0.0,
    at: datetime = NOON,
    tick_s: float = 0.0,
    meter: dict[str, Any] | None = None,
    **keys: Any,
) -> Desk:
    """Return a desk whose clock takes a tick at each look, and a meter off by so much."""
    time = [at]

    def now() -> datetime:
        time[0] += timedelta(seconds=tick_s)
        return time[0]

    meters = MetersInMemory()
    one = device(**keys)
    simulated = meters.add(one, now=lambda: time[0].timestamp(), **(meter or {}))
    simulated.clock_shift = shift_s
    made = Desk((one,), folder, now=now, meters=meters)
    made.time = time  # type: ignore[attr-defined]
    return made


async def test_what_the_clock_says() -> None:
    assert await desk(shift_s=-40).result("readClock") == {
        "time": "2026-06-01T12:06:20+00:00",
        "driftSeconds": -40,
        "status": [],
    }


@pytest.mark.parametrize("standard", ["DLMS", "INDIA"])
async def test_the_meters_own_zone(standard: str) -> None:
    sign = 1 if standard == "INDIA" else -1
    meter = {"utc_offset_minutes": 330, "time_zone_sign": sign}
    one = desk(shift_s=60, meter=meter, dlms={"standard": standard})
    assert await one.result("readClock") == {
        "time": "2026-06-01T17:38:00+05:30",
        "driftSeconds": 60,
        "status": [],
    }
    assert (await one.result("syncClock"))["driftAfterSeconds"] == 0


async def test_a_clock_without_deviation_ticks_in_the_configured_zone() -> None:
    one = desk(dlms={"timeZone": "Europe/Paris"})
    one.meter.put(8, "0-0:1.0.0", 2, octets(bytes.fromhex("07EA0601FF0E0600FF8000FF")))
    shown = await one.result("readClock")
    assert shown["time"] == "2026-06-01T14:06:00+02:00"
    assert shown["driftSeconds"] == -60


async def test_a_clock_in_two_octet_strings() -> None:
    one = desk()
    one.meter.put(8, "0-0:1.0.0", 2, octets(bytes.fromhex("090C07EA0601FF0C0600FF000000")))
    assert (await one.result("readClock"))["driftSeconds"] == -60


async def test_a_clock_that_tells_nothing() -> None:
    one = desk()
    one.meter.put(8, "0-0:1.0.0", 2, octets(b"\xff" * 9 + b"\x80\x00\xff"))
    sentence = "M1: the meter's clock tells no instant: ****-**-** **:**:**"
    assert await one.error("readClock") == sentence
    assert (await one.error("syncClock")).endswith("; use force to set it")
    forced = await one.result("syncClock", {"force": True})
    # The simulated meter goes on saying nothing.
    assert forced == {"driftSeconds": None, "set": True, "driftAfterSeconds": None}
    assert one.meter.clock() == one.meter.true_time()


async def test_a_clock_whose_reading_back_is_refused_is_set_all_the_same(tmp_path: Path) -> None:
    one = desk(tmp_path, shift_s=100)
    client = one.meters.links["M1"].client
    written, set_ = [], client.set

    def then_silent(writes: Any) -> Any:
        written.append((yield from set_(writes)))
        one.meter.put(8, "0-0:1.0.0", 2, AccessError(DENIED))
        return written[-1]

    client.set = then_silent  # type: ignore[method-assign]
    outcome = {"driftSeconds": 100, "set": True, "driftAfterSeconds": None}
    assert await one.result("syncClock") == outcome
    assert json.loads((tmp_path / "clock-sets.json").read_text())["M1"]


async def test_the_fields_of_a_workaround_are_left_open() -> None:
    skip = {"skipDateTimeFields": ["hundredths", "status"]}
    one = desk(shift_s=-60, at=NOON + timedelta(seconds=0.6), workarounds=skip)
    client = one.meters.links["M1"].client
    written: list[bytes] = []
    set_ = client.set

    def noted(writes: Any) -> Any:
        written.extend(data.value for _, data in writes)
        return (yield from set_(writes))

    client.set = noted  # type: ignore[method-assign]
    await one.result("syncClock")
    (moment,) = map(DateTime.parse, written)
    assert (moment.time.hundredths, moment.status, moment.deviation) == (None, None, 0)
    assert moment.time.second == 1, "the nearest whole second"


async def test_a_clock_that_is_right_is_left_alone() -> None:
    one = desk(shift_s=20)
    outcome = {"driftSeconds": 20, "set": False, "reason": "within 30 s"}
    assert await one.result("syncClock") == outcome
    assert (await one.result("syncClock", {"thresholdSeconds": 10}))["set"] is True


async def test_half_the_round_trip_is_added() -> None:
    one = desk(shift_s=-300, tick_s=4)
    await one.result("syncClock")
    # Set when the request was sent, plus half of a round trip of 4 s.
    assert one.meter.clock() == pytest.approx(one.meter.true_time() + 2, abs=0.01)


async def test_setting_is_written_down() -> None:
    one = desk(shift_s=100)
    assert await one.result("syncClock") == {
        "driftSeconds": 100, "set": True, "driftAfterSeconds": 0,
    }  # fmt: skip
    assert one.events[0].sentence == (
        "call 1 syncClock: setting the clock: "
        '{"driftSeconds": 100, "set": true, "driftAfterSeconds": 0}: done'
    )


async def test_once_a_day_unless_forced_also_after_a_restart(tmp_path: Path) -> None:
    one = desk(tmp_path, shift_s=100)
    assert (await one.result("syncClock"))["set"] is True
    assert json.loads((tmp_path / "clock-sets.json").read_text())["M1"]["at"] == NOON.isoformat()
    assert (tmp_path / "clock-sets.json").stat().st_mode & 0o777 == 0o600
    again = desk(tmp_path, shift_s=100, at=NOON + timedelta(hours=23))
    error = await again.error("syncClock")
    assert "it was set at 2026-06-01T12:07:00+00:00 already, and it is set once a day" in error
    assert (await again.result("syncClock", {"force": True}))["set"] is True
    later = desk(tmp_path, shift_s=100, at=NOON + timedelta(hours=48))
    assert (await later.result("syncClock"))["set"] is True


@pytest.mark.parametrize("text", ["", "[]", '{"M1": {"at": "yesterday"}}', '{"M1": 5}', "\0"])
async def test_a_damaged_memory_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "clock-sets.json").write_text(text)
    assert (await desk(tmp_path, shift_s=100).result("syncClock"))["set"] is True


async def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    one = desk(tmp_path / "missing", shift_s=100)
    assert (await one.result("syncClock"))["set"] is True


@pytest.mark.parametrize(
    ("minute", "second", "refused"),
    [(0, 0, True), (1, 59, True), (2, 1, False), (12, 59, False), (13, 1, True), (14, 59, True)],
)
async def test_not_about_the_time_of_a_capture(minute: int, second: int, refused: bool) -> None:
    one = desk(shift_s=200, at=NOON.replace(minute=minute, second=second))
    one.meter.clock_shift = 31.0
    answer = await one.ask("syncClock", {"thresholdSeconds": 30})
    # The meter's own clock is half a minute ahead and counts as well.
    ahead = second + 31 + 60 * minute
    expected = refused or ahead % 900 < 120 or 900 - ahead % 900 < 120
    assert ("error" in answer) is expected
    if expected:
        assert "a row is captured about now; try again in " in answer["error"]
        forced = await one.result("syncClock", {"force": True})
        assert forced["set"] is True


async def test_capture_periods_are_those_of_the_configured_profiles() -> None:
    at = NOON.replace(minute=30)
    hourly = desk(shift_s=60, at=at, profiles=[{"obis": "1-0:99.1.0"}])
    assert "a row is captured about now" in await hourly.error("syncClock")
    hourly.meter.put(7, "1-0:99.1.0", 4, u32(3600))
    assert (await hourly.result("syncClock"))["set"] is True


@pytest.mark.parametrize(("seconds", "set_"), [(3600, True), (0, True), (900, False)])
async def test_capture_periods_of_the_call(seconds: int, set_: bool) -> None:
    one = desk(shift_s=60, at=NOON.replace(minute=30))
    answer = await one.ask("syncClock", {"capturePeriodSeconds": seconds})
    assert ("result" in answer) is set_


async def test_days_begin_at_the_meters_midnight() -> None:
    # 18:31 UTC is 00:01 at the meter.
    one = desk(
        shift_s=60, at=datetime(2026, 6, 1, 18, 31, tzinfo=timezone.utc),
        meter={"utc_offset_minutes": 330},
    )  # fmt: skip
    assert "a row is captured" in await one.error("syncClock", {"capturePeriodSeconds": 86400})


async def test_fields_that_the_meter_leaves_open_stay_open() -> None:
    one = desk(dlms={"timeZone": "Europe/Paris"})
    written: list[bytes] = []
    one.meter.put(8, "0-0:1.0.0", 2, octets(bytes.fromhex("07EA0601FF0D0600FF8000FF")))
    await one.ask("syncClock", {"force": True})
    held = one.meter.value(8, CLOCK, 2).value
    written.append(held)
    moment = DateTime.parse(held)
    assert moment.deviation is None
    assert (moment.time.hour, moment.time.minute) in ((14, 7), (13, 6))


@pytest.mark.parametrize("type_", [DataType.OCTET_STRING, DataType.DATE_TIME])
def test_a_clock_is_set_in_its_own_type(type_: DataType) -> None:
    written: list[Data] = []

    class Client:
        def get(self, _refs: Any) -> Any:
            yield from ()
            return [Data(type_, bytes.fromhex("07EA0601FF0C0000FF000000"))]

        def set(self, pairs: Any) -> Any:
            yield from ()
            written.extend(data for _, data in pairs)
            return [None]

    setting = Setting(force=True)
    talk = set_clock(cast("Any", Client()), Options(), lambda: NOON, setting, lambda: None)
    with pytest.raises(StopIteration):
        next(talk)
    assert written == [Data(type_, bytes.fromhex("07EA0601FF0C0700FF000000"))]


async def test_a_clock_that_keeps_standard_time_is_not_set_by_an_hour() -> None:
    """It is right, but the configured zone is not."""
    meter = {"utc_offset_minutes": 60, "faults": ["unspecified-deviation"]}
    one = desk(meter=meter, dlms={"timeZone": "Europe/Berlin"})
    sentence = await one.error("syncClock")
    assert "1 h behind" in sentence
    assert 'set dlms.timeZone to the fixed offset "+01:00"' in sentence
    assert one.meter.clock_shift == 0
    assert (await one.result("syncClock", {"force": True}))["set"] is True


async def test_a_configured_capture_period_needs_no_answer_of_the_meter() -> None:
    """A row is captured each half hour, though the meter says each quarter."""
    profiles = [{"obis": "1-0:99.1.0", "capturePeriod": 1800}]
    one = desk(shift_s=60, at=NOON.replace(minute=15), profiles=profiles)
    assert (await one.result("syncClock"))["set"] is True
    one = desk(shift_s=60, at=NOON.replace(minute=30), profiles=profiles)
    assert "a row is captured about now" in await one.error("syncClock")
