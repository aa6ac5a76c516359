"""One row of the table of devices changes: the meters of all others notice nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

from dlms_connector.simulator import MeterOptions
from tests.support.measured import measured
from tests.support.site import Configuration, Site, device, site

TABLE, KEY = "meters.csv", "voltage_l1"
#: Meters that there are; the one whose row changes, the one that leaves, and the one that comes.
COUNT, CHANGED, LEAVING, COMING = 51, "M07", "M09", "M50"
PERIOD_S = 1.0
#: What begins within a change takes its time from the others; and a busy machine does.
LATE_S = 0.5


class Fleet:
    """Simulated meters, and the table in which they stand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "config"
        self._ports: dict[str, int] = {}
        self.options = [MeterOptions(serial=1 + number, framing="HDLC") for number in range(COUNT)]

    def configure(self, configuration: Configuration) -> None:
        """Put the meters into the table, and what they have in common into the document."""
        ports = [one["connection"]["port"] for one in configuration["devices"]]
        self._ports = {f"M{number:02d}": port for number, port in enumerate(ports)}
        common = device("", 0, pollPeriod=round(PERIOD_S * 1000))
        del common["deviceName"], common["connection"]["port"]
        configuration.clear()
        configuration.update(defaults=common, devicesFile=TABLE, diagnosticsPeriod=0)
        self.write(without=[COMING])

    def write(self, *, without: Collection[str], **periods: int) -> None:
        """Write the table beside its place, and rename it into that."""
        rows = ["deviceName,connection.port,pollPeriod"]
        rows += [f"{name},{port},{periods.get(name, '')}" for name, port in self._ports.items()
                 if name not in without]  # fmt: skip
        self._folder.mkdir(exist_ok=True)
        draft = self._folder / f"{TABLE}.new"
        draft.write_text("\n".join((*rows, "")))
        draft.replace(self._folder / TABLE)

    def seen(self, running: Site, what: str) -> dict[str, int]:
        """Return how often each meter has seen a request."""
        return {name: endpoint.meter.seen[what]
                for name, endpoint in zip(self._ports, running.endpoints, strict=True)}  # fmt: skip


def stamps_s(running: Site, name: str) -> list[float]:
    return [point.ts / 1000 for point in running.platform.telemetry(name, KEY)]


async def until_polled(running: Site, names: Collection[str], times: int) -> None:
    await running.until(lambda: all(len(stamps_s(running, name)) >= times for name in names))


@measured
async def test_one_row_of_fifty_changes(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    async with site(tmp_path, fleet.options, fleet.configure) as running:
        names = set(fleet.seen(running, "aarq"))
        await until_polled(running, names - {COMING}, 5)
        before = fleet.seen(running, "aarq")
        assert before == dict.fromkeys(names, 1) | {COMING: 0}
        polls = {name: len(stamps_s(running, name)) for name in names}
        fleet.write(without=[LEAVING], M07=2000)
        await running.until_logged("1 meters are new, 1 are configured otherwise, 1 have left")
        await running.until(lambda: running.states(LEAVING)[-1:] == ["offline"])
        await until_polled(running, [COMING, CHANGED], polls[CHANGED] + 5)
        await asyncio.sleep(5 * PERIOD_S)

        after = fleet.seen(running, "aarq")
        assert after == before | {COMING: 1, CHANGED: 2}
        released = {name for name, count in fleet.seen(running, "disc").items() if count}
        assert released == {CHANGED, LEAVING}
        unchanged = names - {CHANGED, LEAVING, COMING}
        for name in unchanged:
            assert running.states(name) == ["online"]
            stamps = stamps_s(running, name)[3:]
            assert len(stamps) > polls[name] + 5
            assert max(b - a for a, b in pairwise(stamps)) < PERIOD_S + LATE_S
        connected = [packet.json["device"] for packet in running.published("v1/gateway/connect")]
        assert sorted(connected) == sorted(names)
        assert stamps_s(running, LEAVING)[-1] < stamps_s(running, COMING)[0] + 1
