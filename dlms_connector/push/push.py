"""All that is pushed to a connector: its listeners, and what polled meters say in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlms_connector.config import Device, PushListener
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ConfigError, ConnectError
from dlms_connector.interpret import ScalerUnit
from dlms_connector.protocol.data import Data
from dlms_connector.push.caller import Caller
from dlms_connector.push.door import Door
from dlms_connector.push.doors import make_door
from dlms_connector.push.mapping import definitions
from dlms_connector.push.news import News
from dlms_connector.push.receiver import Receiver, Sink
from dlms_connector.state import PUSHED_FILE, NoPlace, PushedCounters

_SWEEP_S = 1.0
#: The counters are stored that often, if there are new ones.
_STORE_S = 2.0
#: Pauses before a port that is not free is tried again.
_RETRY_S, _LONGEST_RETRY_S = 5.0, 300.0


class Push:
    """Receives pushes until closed; call `run` once, in the loop."""

    def __init__(
        self,
        devices: Sequence[Device],
        sink: Sink,
        log: logging.Logger,
        *,
        listeners: Sequence[PushListener] = (),
        state_dir: Path | NoPlace | None = None,
        now_ms: Callable[[], int],
        adopt: Callable[[Device], bool] = lambda device: False,
        known_scaler: Callable[[str, AttributeRef], ScalerUnit | None] = lambda name, ref: None,
        unlisted: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`unlisted` is asked for the push setup of a polled device: see `listed`."""
        self._log = log
        path = state_dir / PUSHED_FILE if isinstance(state_dir, Path) else None
        self._counters = PushedCounters(path, log)
        self._loaded = path is None
        self._callers: dict[str, Caller] = {}
        loop_time = _loop_time
        self._news = News(log, loop_time)
        self.receiver = Receiver(
            devices,
            sink,
            log,
            counters=self._counters,
            now_ms=now_ms,
            clock=loop_time,
            adopt=adopt,
            known_scaler=known_scaler,
            unlisted=unlisted,
        )
        self.doors: list[Door] = [
            make_door(listener, self.receiver.take, self._news.tell) for listener in listeners
        ]
        self._listeners = tuple(listeners)
        self._tasks: list[asyncio.Task[Any]] = []
        #: Set when a polled meter has said something for the first time.
        self._said = asyncio.Event()

    def change(self, devices: Sequence[Device]) -> None:
        """Receive for these devices from now on, and for those that were made by rule."""
        self.receiver.change(devices)
        known = self.receiver.knows
        self._callers = {name: each for name, each in self._callers.items() if known(name)}

    async def run(self) -> None:
        """Listen until cancelled; `close` must be called afterwards."""
        loop = asyncio.get_running_loop()
        if not self._loaded:
            await loop.run_in_executor(None, self._counters.load)
            self._loaded = True
        pairs = zip(self._listeners, self.doors, strict=True)
        self._tasks = [asyncio.ensure_future(self._open(*pair)) for pair in pairs]
        store_at = loop.time() + _STORE_S
        if not self.doors:  # there is nothing to look at before a meter has said something
            await self._said.wait()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            self._look(now)
            if now >= store_at and self._counters.changed:
                await loop.run_in_executor(None, self._counters.store)
                store_at = loop.time() + _STORE_S

    def _look(self, now: float) -> None:
        """End what takes too long; a fault in that must not cost the counters."""
        try:
            for door in self.doors:
                door.sweep(now)
            self.receiver.silent(now)
        except Exception as error:
            self._news.tell("pushes", type(error).__name__, f"a fault of the connector: {error!r}")
            self._log.debug("a look at the pushes failed", exc_info=True)

    async def close(self) -> None:
        """Stop listening, and store the counters."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(door.close() for door in self.doors))
        if self._counters.changed:
            await asyncio.get_running_loop().run_in_executor(None, self._counters.store)

    def said(self, device_name: str, apdu: bytes) -> None:
        """Take what a polled meter said besides its answers; returns at once, never raises.

        It is called in the middle of a talk: the work is done when that has gone on.
        """
        if self._loaded and self.receiver.knows(device_name):
            asyncio.get_running_loop().call_soon(self._take, device_name, apdu)

    def listed(self, device_name: str, data: Data) -> None:
        """Note the object list of a meter's push setup (class 40, attribute 2)."""
        self.receiver.listed(device_name, definitions(data) or ())

    def _take(self, device_name: str, apdu: bytes) -> None:
        caller = self._callers.get(device_name)
        if caller is None:
            caller = Caller(f"{device_name} (between replies)", device=device_name)
            self._callers[device_name] = caller
        self._said.set()
        self.receiver.take(apdu, caller)

    async def _open(self, listener: PushListener, door: Door) -> None:
        """Open a door, and if its port is not free yet, try again."""
        pause_s = _RETRY_S
        while True:
            try:
                await door.open()
            except ConfigError as error:
                self._log.error("%s: no meter can push there: %s", listener.door, error)
                return
            except ConnectError as error:
                level = logging.ERROR if pause_s == _RETRY_S else logging.DEBUG
                self._log.log(level, "no meter can push: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_RETRY_S, 2 * pause_s)
            else:
                self._log.info("%s: listening for pushes (%s)", listener.door,
                               listener.interface_type)  # fmt: skip
                return


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
