"""A line of simulated meters with histories, and records that outlive it: days pass in no time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dlms_connector.config import Device, Profile
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.line import Line
from dlms_connector.fleet.sink import Kept
from dlms_connector.protocol.client import make_client
from dlms_connector.reading import Reading
from dlms_connector.records import Entry, Records, Slice
from dlms_connector.simulator import Meter, MeterOptions
from tests.support import fake_time
from tests.support.fake_meter import RecordingSink
from tests.support.links import SimulatedLink

T = TypeVar("T")
LOG = logging.getLogger("test.history")
#: The time at which a bench begins: 2026-09-21 14:13:20 UTC.
EPOCH_S = 1_790_000_000


def now_s() -> float:
    """Return the Unix time of the bench, which is that of the gateway and of the meters."""
    return EPOCH_S + asyncio.get_running_loop().time()


def now_ms() -> int:
    return round(now_s() * 1000)


def meter_for(device: Device, **options: Any) -> Meter:
    """Return a simulated meter at the address of a device; `slow_s` is its time for a reply."""
    ahead_s, delay = options.pop("ahead_s", 0.0), options.pop("delay", 0.1)
    options.setdefault("profile_days", 60)
    faults = {"delay": delay, **options.pop("faults", {})}
    return Meter(
        MeterOptions(
            framing=device.dlms.interface_type,
            logical_address=device.dlms.logical_address,
            physical_address=device.dlms.physical_address,
            now=lambda: now_s() + ahead_s,
            monotonic=lambda: asyncio.get_running_loop().time(),
            max_info=options.pop("max_info", 1000),
            faults=faults,
            **options,
        )
    )


class KeepingSink(RecordingSink):
    """Keeps the slices that it is given in records, as the gateway's side does."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.records = records
        self.slices: list[tuple[float, Slice]] = []
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        #: Rows that were entered a second time.
        self.repeats = 0
        self.refuses, self.refused = "", 0
        self.waits_s = 0.02

    def history(
        self,
        device: Device,
        profile: Profile,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        loop = asyncio.get_running_loop()
        if self.refuses:
            self.refused += 1
            loop.call_later(self.waits_s, done, False, self.refuses)
            return

        def keep() -> None:
            self.slices.append((loop.time(), part))
            values: dict[int, dict[str, Any]] = {}
            for one in readings:
                values.setdefault(one.ts_ms, {})[one.key] = str(one.value)
            entries = [Entry(part.source, "meter", ts_ms, row) for ts_ms, row in values.items()]
            for entry in self.records.keep(part, entries):
                row = device.device_name, entry.ts_ms
                self.repeats += row in self.rows
                self.rows[row] = dict(entry.values)
            self._told.set()
            done(True, "")

        loop.call_later(self.waits_s, keep)


class HistoryLine:
    """The line, its meters, and what came of them."""

    def __init__(
        self, *devices: Device, records: Records, meters: Sequence[Meter] = (), **options: Any
    ) -> None:
        self.meters = list(meters) or [meter_for(one, **options) for one in devices]
        self.link = SimulatedLink(*self.meters)
        self.sink = KeepingSink(records)
        self.archive = Archive(records)
        self.line = Line(
            devices,
            self.sink,
            LOG,
            link=self.link,
            open_link=lambda link: link.open(),
            make_client=make_client,
            now_ms=now_ms,
            archive=self.archive,
        )

    def unread(self, name: str = "M1") -> int:
        history = self.line.members[name].history
        assert history is not None
        return -1 if history.unread is None else history.unread

    def rows(self, name: str = "M1") -> list[int]:
        return sorted(ts_ms for device, ts_ms in self.sink.rows if device == name)


def on(bench: Callable[[], HistoryLine], test: Callable[[HistoryLine], Awaitable[T]]) -> T:
    """Run a test beside the line."""

    async def body() -> T:
        made = bench()
        running = asyncio.ensure_future(made.line.run())
        try:
            result = await test(made)
            assert not running.done()
            return result
        finally:
            running.cancel()
            await asyncio.wait({running})
            await made.line.farewell()

    return fake_time.run(body())
