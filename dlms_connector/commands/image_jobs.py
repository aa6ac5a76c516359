"""Firmware transfers: long jobs that do not stop polling and survive outages of the meter.

Blocks are sent in small batches, each as a separate job on the meter's line. After an outage,
or after a restart with the same file, a transfer continues at the first block that the meter
does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from logging import Logger
from pathlib import Path
from typing import Any, TypeVar

from dlms_connector.commands.image_file import Image
from dlms_connector.commands.image_shelf import ImageShelf, Read
from dlms_connector.commands.image_transfer import (
    INITIATED,
    Survey,
    initiate,
    send_blocks,
    survey,
)
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.meters import Meters
from dlms_connector.config import Device
from dlms_connector.errors import (
    TEMPORARY_FAILURE,
    CommandError,
    DlmsError,
    LinkError,
    ObjectError,
    RefusedError,
    ServiceError,
)
from dlms_connector.platform_keys import IMAGE_PROGRESS, IMAGE_STATE
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value
from dlms_connector.within import within

T = TypeVar("T")

STATE_KEY, PROGRESS_KEY = IMAGE_STATE.name, IMAGE_PROGRESS.name

_TIMEOUT_S = 60.0
#: Blocks per batch; the number is adapted so that a batch takes about a second.
_FEWEST, _MOST = 1, 64
_SHORT_S, _LONG_S = 0.5, 2.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 5.0, 300.0
#: Refusals in a row, without a block sent in between, after which the transfer fails.
_REFUSALS = 4

#: Reports the state (a client attribute), or the progress in percent (telemetry).
Tell = Callable[[Device, str, Any], None]


class Transfer:
    """The transfer of one image to one meter."""

    def __init__(self, device: Device, image: Image, meters: Meters, kept: Kept) -> None:
        self.device, self.image = device, image
        self.state = "starting"
        self.sent, self.blocks = 0, 0
        self.tell_state: Tell = lambda device, key, value: None
        self.tell_progress: Tell = lambda device, key, value: None
        self.wake = asyncio.Event()
        self._meters, self._kept = meters, kept
        self._batch = 4
        self._percent = -1

    def describe(self) -> dict[str, Value]:
        """Return the result for the caller."""
        return {
            "state": self.state,
            "file": self.image.file,
            "blocks": self.blocks,
            "transferred": self.sent,
            "percent": max(self._percent, 0),
        }

    async def run(self) -> None:
        """Transfer the image. Raises CommandError, ObjectError or ServiceError to give up."""
        failures = refusals = 0
        begun = self._begun_before
        while True:
            before = self.sent
            try:
                await self._transfer(begun)
                return
            except (LinkError, RefusedError) as error:
                self._enter(f"waiting: {error}")
            except (ObjectError, ServiceError) as error:
                busy = isinstance(error, ObjectError) and error.code == TEMPORARY_FAILURE
                refusals = 0 if self.sent > before else refusals + (not busy)
                if refusals >= _REFUSALS:
                    raise
            begun = begun or self._begun_before
            failures = 0 if self.sent > before else failures + 1
            await self._pause(min(_BACKOFF_S * 2 ** min(failures, 10), _LONGEST_BACKOFF_S))

    async def _transfer(self, begun: bool) -> None:
        found = await self._ask(survey)
        if not found.enabled:
            raise CommandError(
                "the meter does not accept images; write true to 0-0:44.0.0 attribute 5 first"
            )
        if not (begun and found.status == INITIATED):
            self._enter("initiating")
            found = await self._ask(lambda client: initiate(client, self.image))
            self._kept.put(self.device.device_name, _record(self.image))
            self.sent = 0
        self.blocks = found.blocks(self.image)
        known = self.sent if found.first_missing is None else found.first_missing
        self.sent = min(known, self.blocks)
        self._enter("transferring")
        missing: int | None = None
        while self.sent < self.blocks:
            await self._send(found)
            if self.sent < self.blocks:
                continue
            # The meter's own state decides: it may have lost blocks.
            before, missing = missing, (await self._ask(survey)).first_missing
            if missing == before:  # no number, or always the same: verification decides
                break
            self.sent = min(self.blocks if missing is None else missing, self.blocks)
        self._progress()
        state = "transferred"
        if missing is not None and missing < self.blocks:
            state += f", but the meter goes on to name block {missing} as missing"
            state += "; verifying will tell"
        self._enter(state)

    async def _send(self, found: Survey) -> None:
        self._progress()
        loop = asyncio.get_running_loop()
        start = loop.time()
        talk = partial(
            send_blocks,
            image=self.image,
            block_size=found.block_size,
            first=self.sent,
            count=self._batch,
        )
        self.sent = await self._ask(talk)
        took_s = loop.time() - start
        if took_s < _SHORT_S:
            self._batch = min(self._batch * 2, _MOST)
        elif took_s > _LONG_S:
            self._batch = max(self._batch // 2, _FEWEST)

    async def _ask(self, talk: Callable[[Client], Talk[T]]) -> T:
        return await self._meters.submit(self.device.device_name, talk, timeout_s=_TIMEOUT_S)

    async def _pause(self, seconds: float) -> None:
        self.wake.clear()
        try:
            await within(seconds, self.wake.wait())
        except asyncio.TimeoutError:
            return

    @property
    def _begun_before(self) -> bool:
        return self._kept.get(self.device.device_name) == _record(self.image)

    def _progress(self) -> None:
        percent = 100 * self.sent // self.blocks if self.blocks else 0
        if percent != self._percent:
            self._percent = percent
            self.tell_progress(self.device, PROGRESS_KEY, percent)

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.tell_state(self.device, STATE_KEY, state)


def _record(image: Image) -> dict[str, Value]:
    return {
        "sha256": image.digest,
        "size": image.size,
        "identifier": image.identifier.hex(),
        "file": image.file,
    }


class ImageJobs:
    """The transfers of a connector, at most one per meter. Runs in the meters' loop."""

    def __init__(
        self,
        folder: Path,
        meters: Meters,
        kept: Kept,
        log: Logger,
        *,
        tell_state: Tell,
        tell_progress: Tell,
        read: Read | None = None,
    ) -> None:
        self._shelf = ImageShelf(folder, read)
        self._meters, self._kept, self._log = meters, kept, log
        self.tell_state, self._tell_progress = tell_state, tell_progress
        self._transfers: dict[str, Transfer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starting: set[str] = set()

    async def start(self, device: Device, name: str, identifier: str | None) -> Value:
        """Start a transfer, or resume it; raises CommandError."""
        self.require_idle(device.device_name)
        self._starting.add(device.device_name)
        try:
            image = await self._shelf.take(device.device_name, name, identifier)
        finally:
            self._starting.discard(device.device_name)
        transfer = Transfer(device, image, self._meters, self._kept)
        transfer.tell_state, transfer.tell_progress = self.tell_state, self._tell_progress
        self._transfers[device.device_name] = transfer
        task = asyncio.get_running_loop().create_task(self._run(transfer))
        self._tasks[device.device_name] = task
        task.add_done_callback(lambda _: self._ended(transfer))
        return {
            "state": "started",
            "file": image.file,
            "size": image.size,
            "sha256": image.digest,
        }

    def running(self, device: str) -> Transfer | None:
        """Return the running transfer, or None."""
        task = self._tasks.get(device)
        return self._transfers[device] if task and not task.done() else None

    def last(self, device: str) -> Transfer | None:
        """Return the running transfer, or the last one, or None."""
        return self._transfers.get(device)

    def require_idle(self, device: str) -> None:
        """Raise CommandError while a transfer is running."""
        if device in self._starting:
            raise CommandError("an image is being read to be transferred; wait")
        if transfer := self.running(device):
            raise CommandError(
                f"{transfer.image.file} is being transferred ({transfer.describe()['percent']} %); "
                "wait, or call cancelImageTransfer"
            )

    def cancel(self, device: str) -> Value:
        """Cancel a transfer; the meter keeps its blocks, so that it can be resumed."""
        transfer = self.running(device)
        if transfer is None:
            raise CommandError("no image is being transferred")
        self._tasks[device].cancel()
        transfer.state = "cancelled"
        self.tell_state(transfer.device, STATE_KEY, "cancelled")
        return transfer.describe()

    def finished(self, device: str) -> None:
        """Delete the stored state of a transfer: its image is active."""
        self._kept.put(device, None)

    def serve(self, devices: Mapping[str, Device]) -> None:
        """Go on with the transfers to these devices; others are broken off, and can be resumed."""
        for name, transfer in list(self._transfers.items()):
            if (device := devices.get(name)) is not None:
                transfer.device = device
                continue
            del self._transfers[name]
            if (task := self._tasks.pop(name, None)) is not None:
                task.cancel()
            self._shelf.give_back(name)

    def online(self, device: str) -> None:
        """Resume at once a transfer that waits for the meter."""
        if transfer := self.running(device):
            transfer.wake.set()

    async def _run(self, transfer: Transfer) -> None:
        name = transfer.device.device_name
        try:
            await transfer.run()
            self._log.info("%s: %s is transferred", name, transfer.image.file)
        except DlmsError as error:
            self._failed(transfer, str(error))
        except Exception as error:
            self._log.exception("%s: the image transfer failed", name)
            self._failed(transfer, f"a fault of the connector: {type(error).__name__}")

    def _ended(self, transfer: Transfer) -> None:
        """Release the octets of a transfer's image; what is told of it is kept."""
        if self._transfers.get(transfer.device.device_name) is transfer:
            self._shelf.give_back(transfer.device.device_name)
        transfer.image = transfer.image.described()

    def _failed(self, transfer: Transfer, sentence: str) -> None:
        transfer.state = f"failed: {sentence}"
        self._log.warning(
            "%s: the transfer of %s failed: %s",
            transfer.device.device_name,
            transfer.image.file,
            sentence,
        )
        self.tell_state(transfer.device, STATE_KEY, transfer.state)
