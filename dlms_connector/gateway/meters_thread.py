"""The thread in which one asyncio loop runs all meters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from logging import Logger
from threading import Thread

from dlms_connector.config import Device
from dlms_connector.fleet import Fleet
from dlms_connector.gateway import garbage
from dlms_connector.gateway.uplink import Uplink
from dlms_connector.metrics import Histogram
from dlms_connector.records import Records

#: Seconds for the fleet to release its associations, and for the thread to end.
GOODBYE_S = 0.6
JOIN_S = 0.75
#: Seconds between two counts of received bytes if no diagnostics are sent.
COUNT_S = 60.0
#: Most threads for blocking work: name look-ups, opening and setting serial ports. They are
#: started when needed; there are so many that hanging look-ups do not delay serial ports.
_BLOCKING = 128
#: When a fleet has its sessions and plans: after some polls of the last meter that began.
_SETTLED_S, _SETTLED_PER_S = 180.0, 100
#: Seconds between two looks at how late the loop is.
_LOOK_S = 1.0


class MetersThread:
    """Runs a fleet until stopped, and sends its diagnostics every `period_s` (0: never)."""

    def __init__(
        self,
        make_fleet: Callable[[], Fleet],
        devices: Sequence[Device],
        uplink: Uplink,
        log: Logger,
        *,
        period_s: float,
        lateness: Histogram | None = None,
    ) -> None:
        """`lateness` gets how late the loop is, once a second."""
        self._make_fleet, self._uplink = make_fleet, uplink
        self._devices = _polled(devices)
        self._log, self._period_s = log, period_s
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_BLOCKING, "dlms-blocking"))
        self._stop = asyncio.Event()
        self._thread: Thread | None = None
        self._lateness = lateness
        #: What polls the meters; None before it is made.
        self.fleet: Fleet | None = None

    def start(self, name: str) -> None:
        """Start the thread; the loop is running soon."""
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self, within_s: float = JOIN_S) -> None:
        """Release the meters' associations and end the thread; wait so long at most."""
        if self._thread is None:
            self._loop.close()
            return
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._log.warning("the meters' thread did not end within %g s: left behind", within_s)

    def call(self, job: Callable[[], None]) -> bool:
        """Run a job in the loop, from any thread; return false if the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(job)
        except RuntimeError:
            return False
        return True

    def change(self, devices: Sequence[Device], records: Records | None) -> None:
        """Poll these meters from now on, in the loop: see `Fleet.change`."""
        before, self._devices = self._devices, _polled(devices)
        if self.fleet is not None:
            with garbage.uncollected():
                self.fleet.change(devices, records)
            new = sum(before.get(name) is not one for name, one in self._devices.items())
            self._settle(new)

    def _settle(self, new: int) -> None:
        """Take so many new meters for what stays, when they have their sessions and plans."""
        asyncio.get_running_loop().call_later(
            _SETTLED_S + new / _SETTLED_PER_S, garbage.keep_running, new
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except Exception:
            self._log.exception("polling failed: nothing is polled until a restart")
        finally:
            # Not asyncio.run: it would wait for name look-ups that hang.
            self._loop.close()

    async def _main(self) -> None:
        with garbage.uncollected():
            fleet = self.fleet = self._make_fleet()
        garbage.keep_loaded(len(self._devices))
        stopped = asyncio.create_task(self._stop.wait())
        polling = asyncio.create_task(fleet.run())
        diagnosing = asyncio.create_task(self._diagnose(fleet))
        looking = asyncio.create_task(self._look_how_late())
        self._settle(len(self._devices))
        await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if polling.done() and not polling.cancelled() and (error := polling.exception()):
            self._log.error("polling failed: nothing is polled until a restart", exc_info=error)
        await stopped
        diagnosing.cancel()
        looking.cancel()
        polling.cancel()
        await asyncio.wait({polling, diagnosing, looking}, timeout=GOODBYE_S)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=0.05)

    async def _look_how_late(self) -> None:
        """Measure how late the loop does what is due."""
        loop = asyncio.get_running_loop()
        while self._lateness is not None:
            due = loop.time() + _LOOK_S
            await asyncio.sleep(_LOOK_S)
            self._lateness.add(max(0.0, loop.time() - due))

    async def _diagnose(self, fleet: Fleet) -> None:
        """Send every meter's diagnostics once per period, spread evenly to avoid bursts."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        period_s, send = self._period_s or COUNT_S, self._period_s > 0
        while True:
            names = [*self._devices] or [""]  # where there is none yet, one may come
            for name in names:
                due = max(due + period_s / len(names), loop.time())
                await asyncio.sleep(due - loop.time())
                if (device := self._devices.get(name)) is None:  # it has left meanwhile
                    continue
                try:
                    self._uplink.statistics(device, fleet.statistics(name), send=send)
                except Exception:
                    self._log.exception("%s: no diagnostics", name)


def _polled(devices: Sequence[Device]) -> dict[str, Device]:
    return {device.device_name: device for device in devices if device.is_polled}
