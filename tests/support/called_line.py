"""A line of simulated meters in memory, and calls to them as the platform makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from dlms_connector.commands.audit import Audit, Event
from dlms_connector.commands.dispatcher import Dispatcher
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.request import Request, wanted_timeout_s
from dlms_connector.commands.work import Context
from dlms_connector.config.model import Device
from dlms_connector.fleet import ProfileProgress
from dlms_connector.meter import Tap
from dlms_connector.obis import Obis
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.json_value import json_value
from tests.support.commands import LOG
from tests.support.simulated_line import SimulatedLine, on

#: Seconds until the first polls are over.
_SETTLED_S = 20.0


def _now() -> datetime:
    return datetime.fromtimestamp(1_790_000_000.0, timezone.utc)


class CalledLine:
    """Meters on one line; all takes the time that it takes, but nobody waits for it."""

    def __init__(self, *devices: Device, **options: Any) -> None:
        self.site = SimulatedLine(*devices, **options)
        self.line, self.sink = self.site.line, self.site.sink
        self.meters = {
            one.device_name: meter for one, meter in zip(devices, self.site.meters, strict=True)
        }
        self.events: list[Event] = []
        contexts = {
            one.device_name: Context(
                one, DLMSDownlinkConverter(one, LOG), _now, Kept(None, "clock-sets.json", LOG)
            )
            for one in devices
        }
        self.dispatcher = Dispatcher(
            contexts,
            self,
            json_value=json_value,
            audit=Audit(LOG, self.events.append),
            log=LOG,
            wrote=lambda name, ref: self.refresh(name, ref.class_id, ref.obis),
        )

    # What the dispatcher asks of a fleet

    def submit(self, name: str, job: Any, *, timeout_s: float) -> Any:
        return self.line.submit(name, job, timeout_s=timeout_s)

    def reconnect(self, name: str) -> None:
        self.line.reconnect(name)

    def refresh(self, name: str, class_id: int, obis: Obis) -> None:
        self.line.refresh(name, class_id, obis)

    def statistics(self, name: str) -> Any:
        return self.site.statistics(name)

    def history(self, name: str) -> tuple[ProfileProgress, ...]:
        return ()

    def trace(self, name: str, tap: Tap | None) -> None:
        raise NotImplementedError

    # What tests ask

    def call(
        self, method: str, params: Any = None, name: str = "M1"
    ) -> asyncio.Future[tuple[float, Any]]:
        """Make a call; the future has the answer, and after how many seconds it came."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[float, Any]] = loop.create_future()
        start = loop.time()
        request = Request(name, 1, method, params, wanted_timeout_s(params))
        self.dispatcher.call(request, lambda said: done.set_result((loop.time() - start, said)))
        return done

    async def ask(self, method: str, params: Any = None, name: str = "M1") -> Any:
        """Make a call and return the answer."""
        return (await self.call(method, params, name))[1]

    def changes(self, name: str = "M1") -> int:
        """Return how many SET and ACTION requests a meter got."""
        seen = self.meters[name].seen
        return seen["set"] + seen["action"]

    def slow(self, name: str, seconds: float) -> None:
        """Let a meter wait before every answer."""
        self.meters[name].faults.set("delay", seconds)


def run(
    devices: tuple[Device, ...],
    test: Callable[[CalledLine], Awaitable[None]],
    *,
    faults: Mapping[str, float] | None = None,
    settled_s: float = _SETTLED_S,
) -> None:
    """Run a test beside a line, once its meters are polled."""
    made: list[CalledLine] = []

    def make() -> SimulatedLine:
        made.append(CalledLine(*devices, faults=faults))
        return made[0].site

    async def body(_: SimulatedLine) -> None:
        await asyncio.sleep(settled_s)
        await test(made[0])

    on(make, body)
