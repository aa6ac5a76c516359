"""A second gateway for a fleet: half of the meters move to it, without two that ask one meter."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from dlms_connector.sharing import owner
from dlms_connector.simulator import MeterOptions
from tests.support.history import DAY_MS, held, stored, with_profile
from tests.support.pair import Pair, pair
from tests.support.site import START_S, Configuration, Site

DAYS = 3
#: The same in each run, unlike the ports: two of them are the second gateway's.
GROUPS = ("north", "south", "east", "west", "centre")

METERS = [
    MeterOptions(
        serial=number,
        framing="WRAPPER",
        client_address=1,
        authentication="LOW",
        security="AUTHENTICATION_ENCRYPTION",
        system_title=b"SIM" + bytes([0, 0, 0, 0, number]),
        block_cipher_key=bytes([number]) * 16,
        profile_days=DAYS + 2,
    )
    for number in range(1, len(GROUPS) + 1)
]


def configure(configuration: Configuration) -> None:
    with_profile(DAYS)(configuration)
    configuration["groups"] = {name: {"maxConcurrent": 8} for name in GROUPS}
    configuration["shard"] = {}
    for device, group in zip(configuration["devices"], GROUPS, strict=True):
        device["connection"]["group"] = group


def moving(both: Pair) -> list[str]:
    """Return the devices that the second of two gateways serves."""
    shares = {name: owner(f"group {name}", (1, 1)) for name in GROUPS}
    return [
        name for name, group in zip(both.first.devices, GROUPS, strict=True) if shares[group] == 1
    ]


def has_all(running: Site, device: str, rows: Mapping[int, object]) -> bool:
    return rows.keys() <= stored(running, device).keys()


def share(index: int, count: int) -> dict[str, str]:
    return {"DLMS_SHARD_INDEX": f"dlms-gateway-{index}", "DLMS_SHARD_COUNT": str(count)}


async def test_meters_move_to_a_second_gateway(tmp_path: Path) -> None:
    async with pair(tmp_path, METERS, configure, (share(0, 1), share(1, 2))) as both:
        one, other = both.sites
        moved = moving(both)
        assert 0 < len(moved) < len(GROUPS)
        began_ms = int(both.meters[0].clock() * 1000)
        await one.gateway.start()
        await both.until_more(2)

        # In this order, whoever has a meter lets go of it before another one takes it.
        one.gateway.environment.update(share(0, 2))
        await one.gateway.stop(signal.SIGINT, START_S)
        await one.gateway.start()
        await both.until_told(0, dlmsShare="0 of 2")
        before = {name: len(both.instants(name)) for name in both.first.devices}
        stayed = [name for name in before if name not in moved]
        await one.until(lambda: all(len(both.instants(name)) > before[name] for name in stayed))
        assert [meter.connections for meter in both.meters] == [
            int(name not in moved) for name in both.first.devices
        ]

        await other.gateway.start()
        await both.until_told(1, dlmsShare="1 of 2")
        await both.until_more(2)
        assert both.two_clients() == 0
        assert both.first.platform.connected >= set(moved)
        for name, meter in zip(both.first.devices, both.meters, strict=True):
            wanted = held(meter, began_ms - (DAYS - 1) * DAY_MS, began_ms)
            await one.until(partial(has_all, one, name, wanted), 120)
            assert {ts: row for ts, row in stored(one, name).items() if ts in wanted} == wanted
            assert one.states(name)[-1] == "online"
        for name in moved:  # the first one does not tell of meters that are another's
            assert "not in the configuration" not in one.gateway.log()
            assert one.platform.store.attributes(name, "client")["dlmsLastError"] == ""
