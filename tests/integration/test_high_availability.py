"""Two gateways for the same meters, one active at a time: the active one dies again and again."""

from __future__ import annotations

import random
import signal
from itertools import pairwise
from pathlib import Path
from time import monotonic

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.simulator import MeterOptions
from tests.support.history import DAY_MS, held, rows_sent, stored, with_profile
from tests.support.pair import Pair, pair
from tests.support.site import Configuration

DAYS = 8
PERIOD_S = 4
#: How the active gateway ends: killed, or told by the cluster manager to let go.
ENDS = ("killed", "told", "killed", "killed")
#: Periods without a value, at most: one that was read and not yet sent, and one meanwhile.
MISSING = 2

METERS = [
    MeterOptions(serial=1, framing="WRAPPER", profile_days=DAYS + 2, faults={"delay": 0.25}),
    MeterOptions(
        serial=2, client_address=1, authentication="LOW", security="AUTHENTICATION_ENCRYPTION"
    ),
]


def configure(configuration: Configuration) -> None:
    with_profile(DAYS)(configuration)
    del configuration["devices"][1]["profiles"]
    configuration["defaults"]["pollPeriod"] = PERIOD_S * 1000


async def hand_over(both: Pair, active: int, end: str, files: list[Path]) -> float:
    """End the active gateway, and make the other one active, as a cluster manager does.

    Returns how long it took, in seconds: on a busy machine more than one.
    """
    started = monotonic()
    other = 1 - active
    gateway = both.sites[active].gateway
    if end == "killed":
        await gateway.stop(signal.SIGKILL)
        files[active].unlink()
        await both.until_let_go()  # else what was sent last may be read after the other's first
    else:
        files[active].unlink()
        await both.until_told(active, dlmsRole="standby")
    files[other].touch()
    await both.until_told(other, dlmsRole="active")
    took_s = monotonic() - started
    if end == "killed":
        await gateway.start()
    return took_s


async def until_rows(both: Pair, device: str, count: int) -> None:
    """Wait until so many more rows of the profile were sent, or none are left."""
    goal = min(rows_sent(both.first, device) + count, (DAYS - 1) * 96)
    await both.first.until(lambda: rows_sent(both.first, device) >= goal, 60)


async def test_the_other_one_goes_on(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    print(f"seed {seed}")
    files = [tmp_path / name / "dlms-active" for name in ("run-a", "run-b")]
    for file in files:
        file.parent.mkdir()
    environments = tuple({"DLMS_ACTIVE_FILE": str(file)} for file in files)
    manners = Manners(telemetry_s=0.2, attributes_s=0.02)
    async with pair(
        tmp_path, METERS, configure, (environments[0], environments[1]), manners=manners
    ) as both:
        profiled, ciphered = both.first.devices
        simulated = both.meters[0]
        began_ms = int(simulated.clock() * 1000)
        files[0].touch()
        for one in both.sites:
            await one.gateway.start()
        await both.until_more(1)
        active, busy_s = 0, 0.0
        for end in ENDS:
            await both.until_told(1 - active, dlmsRole="standby")  # one that was killed is back
            await until_rows(both, profiled, rng.randrange(5, 80))
            busy_s = max(busy_s, await hand_over(both, active, end, files))
            active = 1 - active
            await both.until_more(1)
        wanted = held(simulated, began_ms - (DAYS - 1) * DAY_MS, began_ms)
        await both.first.until(lambda: wanted.keys() <= stored(both.first, profiled).keys(), 120)

        every = held(simulated, 0, int(simulated.clock() * 1000) + 1)
        there = stored(both.first, profiled)
        assert {ts: row for ts, row in there.items() if every.get(ts) != row} == {}
        assert both.two_clients() == 0
        for device in (profiled, ciphered):
            ts = both.instants(device)
            longest_s = max(after - before for before, after in pairwise(ts)) / 1000
            assert longest_s < (MISSING + 1) * PERIOD_S + 2 * busy_s, (device, seed)
            assert set(both.first.states(device)) == {"online"}
