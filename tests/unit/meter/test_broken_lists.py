"""Meters with short names whose object list breaks off at the same place each time."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.meter import Outcome, wanted
from dlms_connector.simulator import Meter as SimulatedMeter
from dlms_connector.simulator import MeterOptions
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on
from tests.unit.meter.test_short_names_of_meters import MANY

#: The list has 7 KB; a connection ends after so many octets.
BREAKS = "drop-after=2000"
FORMS = pytest.mark.parametrize(
    "form",
    [("HDLC", 65535), ("HDLC", 200), ("WRAPPER", 65535), ("WRAPPER", 200)],
    ids=["HDLC", "HDLC, blocks", "WRAPPER", "WRAPPER, blocks"],
)


class Bench:
    def __init__(self, form: tuple[Any, int], *codes: str, faults: tuple[str, ...] = ()) -> None:
        framing, max_pdu = form
        self.simulated = SimulatedMeter(
            MeterOptions(
                framing=framing,
                referencing="SN",
                hold_at=1_790_000_000,
                overrides=MANY,
                faults=[BREAKS, *faults],
            )
        )
        self.link = SimulatedLink(self.simulated)
        self.device = Device.model_validate(
            {
                "deviceName": "M1",
                "connection": {"host": "h", "timeoutMs": 1500, "retries": 1},
                "dlms": {"referencing": "SN", "interfaceType": framing},
                "workarounds": {"maxPdu": max_pdu},
                "timeseries": [{"key": code, "obis": code, "scaler": 0} for code in codes],
            }
        )
        self.meter = meter_on(self.device, self.link)

    async def poll(self) -> Outcome:
        return await self.meter.poll(wanted(self.device))


def keys(outcome: Outcome) -> set[str]:
    return {reading.key for reading in outcome.poll.readings}


@FORMS
def test_what_had_come_of_the_list_is_used_at_once(form: tuple[Any, int]) -> None:
    async def test() -> None:
        bench = Bench(form, "1-0:1.8.0")
        assert keys(await bench.poll()) == {"1-0:1.8.0"}
        assert bench.link.opened > 1
        await bench.meter.session.release()

    fake_time.run(test())


@FORMS
def test_objects_behind_the_break_are_asked_for_one_by_one(form: tuple[Any, int]) -> None:
    async def test() -> None:
        bench = Bench(form, "1-0:1.8.0", "1-0:108.11.9")
        assert keys(await bench.poll()) == {"1-0:1.8.0", "1-0:108.11.9"}
        for _ in range(5):
            await bench.meter.session.release()
            outcome = await bench.poll()
        assert bench.meter._directory.breaks == 1
        assert keys(outcome) == {"1-0:1.8.0", "1-0:108.11.9"}
        await bench.meter.session.release()

    fake_time.run(test())


@FORMS
def test_without_selective_access_the_others_are_read_and_the_list_only_now_and_then(
    form: tuple[Any, int], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        bench = Bench(form, "1-0:1.8.0", "1-0:108.11.9", faults=("whole-list-only",))
        for _ in range(2):
            await bench.poll()
        good = 0
        for _ in range(30):
            await bench.meter.session.release()
            outcome = await bench.poll()
            good += "1-0:1.8.0" in keys(outcome)
        assert good >= 26
        assert (
            bench.simulated.seen["associations"] < 50
            if "associations" in bench.simulated.seen
            else True
        )
        await bench.meter.session.release()

    caplog.set_level("INFO")
    fake_time.run(test())
    assert sum("breaks off in its object list" in line for line in caplog.messages) == 1
