"""What meters push, beside the polls: listeners, and what association and polls tell of pushes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dlms_connector.config import Device, PushListener
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import CommandError, LinkError
from dlms_connector.fleet.lines import Lines
from dlms_connector.hints import Symptom
from dlms_connector.interpret import ScalerUnit
from dlms_connector.meter import Meter
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.push import Push, Sink
from dlms_connector.state import NoPlace

#: The object list of the first push setup (IEC 62056-6-2, class 40).
PUSH_OBJECTS = AttributeRef(40, Obis.parse("0-0:25.9.0"), 2)
_TIMEOUT_S = 60.0
#: A meter that did not answer is asked again for its push setup after this time.
_AGAIN_S = 3600.0


class PushesOnlyError(CommandError):
    """The meter is never asked, so it cannot carry out a call."""

    symptoms = (Symptom.PUSHES_ONLY,)

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} only pushes: it has no connection over which it could be asked")


class Pushing:
    """The pushes of a fleet; `lines` are those of the polled meters."""

    def __init__(
        self,
        sink: Sink,
        log: logging.Logger,
        lines: Lines,
        *,
        listeners: Sequence[PushListener],
        state_dir: Path | NoPlace | None,
        now_ms: Callable[[], int],
        adopt: Callable[[Device], bool],
    ) -> None:
        self._log, self._lines = log, lines
        self._asked: dict[str, float] = {}
        self._adopt = adopt
        self.push = Push(
            (),
            sink,
            log,
            listeners=listeners,
            state_dir=state_dir,
            now_ms=now_ms,
            adopt=self._adopted,
            known_scaler=self._scaler,
            unlisted=self._ask,
        )

    def change(self, devices: Sequence[Device]) -> None:
        """Receive for these meters from now on, and for those that were made by rule."""
        self._asked.clear()
        self.push.change(devices)

    async def run(self) -> None:
        """Receive pushes until cancelled; a fault of ours does not stop the polls."""
        try:
            await self.push.run()
        except Exception:
            self._log.exception("a fault of the connector: meters cannot push")

    def only(self, device_name: str) -> bool:
        """Whether a meter only pushes."""
        return device_name not in self._lines.of and self.push.receiver.knows(device_name)

    def _adopted(self, device: Device) -> bool:
        return device.device_name not in self._lines.of and self._adopt(device)

    def _scaler(self, device_name: str, ref: AttributeRef) -> ScalerUnit | None:
        line = self._lines.of.get(device_name)
        meter = line.members[device_name].meter if line else None
        return meter.learned.scalers.get(ref) if isinstance(meter, Meter) else None

    def _ask(self, device_name: str) -> None:
        """Read a meter's push setup, for what it pushes next; once, if it answers."""
        line, now = self._lines.of.get(device_name), asyncio.get_running_loop().time()
        if line is None or now < self._asked.get(device_name, 0.0):
            return
        self._asked[device_name] = now + _AGAIN_S

        def talk(client: Client) -> Talk[Data]:
            return get_one(client, PUSH_OBJECTS)

        future = line.submit(device_name, talk, timeout_s=_TIMEOUT_S)
        future.add_done_callback(partial(self._told, device_name))

    def _told(self, device_name: str, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self.push.listed(device_name, future.result())
        elif not isinstance(error, LinkError):
            self.push.listed(
                device_name, Data(DataType.NULL)
            )  # it has none, and is not asked again
        if error is not None:
            self._log.info("%s: its push setup was not read: %s", device_name, error)
