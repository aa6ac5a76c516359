"""A line of simulated meters in memory: hours of polling pass in no time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from dlms_connector.config.model import Device
from dlms_connector.fleet.line import Line
from dlms_connector.protocol.client import make_client
from dlms_connector.simulator import Meter, MeterOptions
from tests.support import fake_time
from tests.support.fake_meter import RecordingSink
from tests.support.links import SimulatedLink

T = TypeVar("T")
LOG = logging.getLogger("test.line")


class Spent(NamedTuple):
    """What went wrong: frames repeated, associations lost, polls that failed."""

    retries: int
    reconnects: int
    failed: int


class SimulatedLine:
    """Simulated meters on one line in memory."""

    def __init__(
        self,
        *devices: Device,
        faults: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self.meters = [
            Meter(
                MeterOptions(
                    framing=one.dlms.interface_type,
                    logical_address=one.dlms.logical_address,
                    physical_address=one.dlms.physical_address,
                    now=lambda: 1_790_000_000.0,
                    monotonic=lambda: asyncio.get_running_loop().time(),
                    faults={"delay": 0.1, **(faults or {})},
                    **options,
                )
            )
            for one in devices
        ]
        self.link = SimulatedLink(*self.meters)
        self.sink = RecordingSink()
        self.line = Line(
            devices,
            self.sink,
            LOG,
            link=self.link,
            open_link=lambda link: link.open(),
            make_client=make_client,
            now_ms=lambda: round(asyncio.get_running_loop().time() * 1000),
        )

    def statistics(self, name: str = "M1") -> Any:
        return self.line.members[name].meter.statistics

    def spent(self, name: str = "M1") -> Spent:
        statistics = self.statistics(name)
        return Spent(statistics.retries, statistics.reconnects, statistics.polls_failed)


def on(bench: Callable[[], SimulatedLine], test: Callable[[SimulatedLine], Awaitable[T]]) -> T:
    """Run a test beside the line."""

    async def body() -> T:
        made = bench()
        running = asyncio.ensure_future(made.line.run())
        try:
            return await test(made)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await made.line.farewell()

    return fake_time.run(body())
