"""What a plan keeps of what the records have told."""

from __future__ import annotations

import asyncio
import gc

from dlms_connector.config import Profile
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.profile_plan import ProfilePlan
from dlms_connector.obis import Obis
from dlms_connector.records import Day, Known, Source
from tests.support import fake_time

LOAD = Obis.parse("1-0:99.1.0")
SOURCE = Source("M1", LOAD)
DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
DAYS = 700


class Remembering:
    """Records that know all of almost two years."""

    def known(self, source: Source) -> Known:
        last = NOW_MS // DAY_MS
        days = {(last - n, 900): Day(confirmed=(1 << 96) - 1) for n in range(1, DAYS)}
        return Known(source, days=days, first_ms=NOW_MS - DAYS * DAY_MS)

    def noted(self, device: str, serial: str, now_ms: int) -> bool:
        return False

    def held_from(self, source: Source, oldest_ms: int) -> None: ...


def test_a_plan_holds_no_day_of_the_past_that_is_done() -> None:
    """Fleets have thousands of profiles, and the records keep 800 days of each."""

    async def body() -> None:
        plan = ProfilePlan(
            SOURCE, Profile.model_validate({"obis": str(LOAD), "backfill": "P2D"}),
            archive=Archive(Remembering()), now_ms=lambda: NOW_MS, late_s=0.0,
        )  # fmt: skip
        recalled = asyncio.Event()
        plan.recall(recalled.set, lambda error: None)
        await recalled.wait()
        plan.make(None)
        assert plan.knows
        plan.make(900)
        assert plan.knows
        assert plan.planner is not None
        gc.collect()
        mine = [one for one in gc.get_objects() if isinstance(one, Day) and one.confirmed]
        assert mine == []
        # Nothing of it is read again, but for the day that is not over.
        errand = plan.errand(10_000)
        assert errand is not None
        assert errand.start_ms >= NOW_MS - 3 * DAY_MS
        plan.forget()
        assert not plan.knows

    fake_time.run(body())
