"""A fleet at the seam to the gateway's side: meters that do what a test says."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from dlms_connector.config import Device
from dlms_connector.fleet import Sink
from dlms_connector.meter import Statistics
from dlms_connector.metrics import Tally
from dlms_connector.obis import Obis
from dlms_connector.reading import Poll, Reading
from dlms_connector.records import Records

#: When everything is read, in ms.
NOW = 1_767_225_600_000


class FakeFleet:
    """Meters that do what a test says; `behave` runs in the loop's thread."""

    def __init__(
        self,
        devices: tuple[Device, ...],
        sink: Sink,
        log: logging.Logger,
        state_dir: Path | None,
        records: Records | None,
        **_push: Any,
    ) -> None:
        self.devices, self.sink, self.state_dir = devices, sink, state_dir
        self.records = records
        self.threads = threading.active_count()
        self.tally = Tally()
        #: The devices of each change, by name.
        self.changes: list[list[str]] = []

    def change(self, devices: Sequence[Device], records: Records | None) -> None:
        before, self.devices = {id(one) for one in self.devices}, tuple(devices)
        self.records = self.records or records
        self.changes.append([device.device_name for device in devices])
        self.begin(*(one for one in devices if id(one) not in before))

    async def run(self) -> None:
        await self.behave()
        await asyncio.Event().wait()

    async def behave(self) -> None:
        self.begin(*self.devices)

    def begin(self, *devices: Device) -> None:
        """Let devices answer for the first time."""
        for device in devices:
            self.sink.state(device, "online", None)
            self.sink.polled(device, poll())

    def statistics(self, name: str) -> Statistics:
        return Statistics(polls_ok=7, bytes_in=100, poll_ms=12)


def poll(value: Any = Decimal("135.19")) -> Poll:
    obis = Obis.parse("1-1:32.7.0")
    one = Reading(
        key="voltage_l1",
        kind="timeseries",
        obis=obis,
        class_id=3,
        attribute=2,
        value=value,
        unit="V",
        ts_ms=NOW,
    )
    return Poll(readings=(one,))


def device(name: str = "M1", **keys: Any) -> dict[str, Any]:
    return {
        "deviceName": name,
        "connection": {"type": "tcp", "host": "127.0.0.1", "port": 9},
        "timeseries": [{"key": "voltage_l1", "obis": "1-1:32.7.0"}],
        **keys,
    }


def configuration(*devices: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"id": "id-1", "name": "Meters", "devices": list(devices or (device(),)), **keys}
