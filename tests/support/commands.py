"""Commands against simulated meters in memory: no socket, no thread, no waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from dlms_connector.commands.audit import Audit, Event
from dlms_connector.commands.dispatcher import Dispatcher
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.request import Request, wanted_timeout_s
from dlms_connector.commands.work import Context, Method
from dlms_connector.config.model import Device
from dlms_connector.errors import DlmsError
from dlms_connector.fleet import ProfileProgress
from dlms_connector.meter import Tap
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client, make_client
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Connection, Meter
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.json_value import json_value
from tests.support.simulated import NOW, make_meter
from tests.support.talks import drive

T = TypeVar("T")

LOG = logging.getLogger("test.commands")


def device(name: str = "M1", **keys: Any) -> Device:
    """Return a device that may be written to, unless told otherwise."""
    keys.setdefault("allowWrite", True)
    return Device.model_validate({"deviceName": name, "connection": {"host": "h"}, **keys})


class Link:
    """A client with its association to a simulated meter, in memory."""

    def __init__(self, meter: Meter, device: Device) -> None:
        self.meter = meter
        self._connection = Connection([meter])
        self.client: Client = make_client(device)
        self.hold(self.client.connect())

    def hold(self, talk: Talk[T]) -> T:
        return drive(talk, self._connection.feed)


@dataclass
class Job:
    """A conversation that was asked for."""

    device: str
    timeout_s: float
    carry_out: Callable[[], None]
    future: asyncio.Future[Any]


@dataclass
class MetersInMemory:
    """Stands for the fleet.

    `down` makes meters fail before a job is done, `lost` when it is done; `held` keeps jobs
    until `release`, each takes `delay_s`.
    """

    links: dict[str, Link] = field(default_factory=dict)
    down: dict[str, DlmsError] = field(default_factory=dict)
    lost: dict[str, DlmsError] = field(default_factory=dict)
    held: bool = False
    delay_s: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    reconnected: list[str] = field(default_factory=list)
    refreshed: list[tuple[str, int, str]] = field(default_factory=list)
    progress: tuple[ProfileProgress, ...] = ()
    taps: dict[str, Tap] = field(default_factory=dict)

    def add(self, device: Device, **options: Any) -> Meter:
        meter = make_meter(**options)
        self.links[device.device_name] = Link(meter, device)
        return meter

    def submit(
        self, device_name: str, job: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def carry_out() -> None:
            if future.done():
                return
            try:
                if error := self.down.get(device_name):
                    raise error
                link = self.links[device_name]
                result = link.hold(job(link.client))
                if error := self.lost.get(device_name):
                    raise error
                future.set_result(result)
            except DlmsError as error:
                future.set_exception(error)

        self.jobs.append(Job(device_name, timeout_s, carry_out, future))
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, carry_out)
        elif not self.held:
            carry_out()
        return future

    def release(self) -> None:
        """Carry out what was held."""
        self.held = False
        for job in self.jobs:
            if not job.future.done():
                job.carry_out()

    def reconnect(self, device_name: str) -> None:
        self.reconnected.append(device_name)

    def refresh(self, device_name: str, class_id: int, obis: Obis) -> None:
        self.refreshed.append((device_name, class_id, str(obis)))

    def statistics(self, device_name: str) -> Statistics:
        return Statistics(polls_ok=7)

    def history(self, device_name: str) -> tuple[ProfileProgress, ...]:
        return self.progress

    def trace(self, device_name: str, tap: Tap | None) -> None:
        if (before := self.taps.pop(device_name, None)) is not None:
            before.close()
        if tap is not None:
            self.taps[device_name] = tap


@dataclass
class Desk:
    """A dispatcher for one or more devices; `events` is its audit."""

    devices: tuple[Device, ...] = ()
    folder: Path | None = None
    converter: Any = None
    more: Mapping[str, Method] | None = None
    now: Callable[[], datetime] = lambda: datetime.fromtimestamp(NOW, timezone.utc)
    meters: MetersInMemory = field(default_factory=MetersInMemory)
    events: list[Event] = field(default_factory=list)
    wrote: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.devices = self.devices or (device(),)
        for one in self.devices:
            if one.device_name not in self.meters.links:
                self.meters.add(one)
        self.audit = Audit(LOG, self.events.append)
        self.contexts = {
            one.device_name: Context(
                one,
                self.converter or DLMSDownlinkConverter(one, LOG),
                self.now,
                Kept(self.folder, "clock-sets.json", LOG),
            )
            for one in self.devices
        }
        self.dispatcher = Dispatcher(
            self.contexts,
            self.meters,
            json_value=json_value,
            audit=self.audit,
            log=LOG,
            more=self.more,
            wrote=lambda name, ref: self.wrote.append((name, ref)),
        )

    @property
    def meter(self) -> Meter:
        return self.meters.links[self.devices[0].device_name].meter

    def request(self, method: str, params: Any = None, *, device: str = "M1", id: int = 1) -> Any:  # noqa: A002
        """Make a call and return the future of its answer."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request = Request(device, id, method, params, wanted_timeout_s(params))
        self.dispatcher.call(request, answer.set_result)
        return answer

    async def ask(self, method: str, params: Any = None, *, device: str = "M1") -> Any:
        """Make a call and return its answer."""
        return await self.request(method, params, device=device)

    async def result(self, method: str, params: Any = None) -> Any:
        answer = await self.ask(method, params)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, params: Any = None) -> str:
        answer = await self.ask(method, params)
        assert "error" in answer, answer
        return str(answer["error"])
