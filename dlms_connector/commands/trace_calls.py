"""Traces of frames in files: by a call for some minutes, and as the configuration has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from logging import Logger
from pathlib import Path

from dlms_connector.commands.meters import Meters
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Local, Method
from dlms_connector.config import Device
from dlms_connector.errors import CommandError, DlmsError
from dlms_connector.reading import Value
from dlms_connector.tracing import FOLDER, MOST_KEPT, MOST_OCTETS, trace_into

_MINUTES, _MOST_MINUTES = 5, 60
_MEGABYTE = 1_000_000
_NO_FOLDER = "there is no folder for the state, see the connector's log"


def _left_s(device: Device) -> float:
    """Return for how many seconds a device is to be traced as configured; 0 if it is not."""
    if device.trace is None or device.trace.minutes is not None:
        return 60.0 * (device.trace.minutes or 0) if device.trace else 0.0
    until = device.trace.until
    return (until - datetime.now(timezone.utc)).total_seconds() if until else 0.0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Traces:
    """The traces of a connector's meters, one per meter; used in the meters' loop only."""

    def __init__(self, meters: Meters, state_dir: Path | None, log: Logger) -> None:
        self._meters, self._state_dir, self._log = meters, state_dir, log
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def methods(self) -> Mapping[str, Method]:
        """Return the methods for the dispatcher."""
        return {"traceFrames": Method(self._tracing)}

    def configured(self, devices: Iterable[Device]) -> None:
        """Begin the traces that the configuration has; what fails is told and stops nothing."""
        wanted = [(device, left) for device in devices if (left := _left_s(device)) > 0]
        room = max(0, MOST_KEPT - len(self._ends))
        for device, left_s in wanted[:room]:
            most = device.trace.megabytes * _MEGABYTE if device.trace else MOST_OCTETS
            try:
                if self._state_dir is None:
                    raise CommandError(_NO_FOLDER)
                self._write(device, self._state_dir, left_s, most)
            except DlmsError as error:
                self._log.warning("%s: its frames are not traced: %s", device.device_name, error)
        if len(wanted) > room:
            told = "%d devices have `trace`: the frames of the first %d are traced"
            self._log.warning(told, len(wanted), room)

    def serve(self, devices: Mapping[str, Device], changed: Iterable[Device]) -> None:
        """Trace these devices from now on: those that have changed, as they are configured now."""
        changed = tuple(changed)
        for name in self._ends.keys() & {one.device_name for one in changed}:
            self._ends[name].cancel()
            self._end(name)
        for name in self._ends.keys() - devices.keys():
            self._ends.pop(name).cancel()  # the trace has ended with the meter
        self.configured(changed)

    def _tracing(self, context: Context, arguments: Arguments) -> Local:
        """`traceFrames`: trace for `minutes`; 0 ends the trace that is running."""
        minutes = arguments.integer("minutes", _MINUTES, least=0, most=_MOST_MINUTES)

        async def begin() -> Value:
            return self._begin(context, minutes) if minutes else self._stop(context)

        return Local(run=begin, what="tracing frames")

    def _begin(self, context: Context, minutes: int) -> Value:
        name = context.device.device_name
        if name in self._ends:
            raise CommandError("a trace of this meter is running; `minutes` 0 ends it")
        if self._state_dir is None:
            raise CommandError(_NO_FOLDER)
        until = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        paths = self._write(context.device, self._state_dir, minutes * 60, MOST_OCTETS)
        return {
            "files": [str(path) for path in paths],
            "until": until.isoformat(timespec="seconds"),
            "mostOctets": MOST_OCTETS,
        }

    def _write(
        self, device: Device, state_dir: Path, seconds: float, most: int
    ) -> tuple[Path, Path]:
        """Begin to write the frames of a meter. Raises CommandError."""
        name = device.device_name
        try:
            trace, paths = trace_into(
                state_dir / FOLDER, device, now_ms=_now_ms, log=self._log, most=most
            )
        except OSError as error:
            raise CommandError(f"the trace cannot be written: {error}") from error
        try:
            self._meters.trace(name, trace)
        except BaseException:
            trace.close()
            for path in paths:
                path.unlink()
            raise
        loop = asyncio.get_running_loop()
        self._ends[name] = loop.call_later(seconds, self._end, name)
        self._log.info("%s: frames are traced for %.0f min into %s", name, seconds / 60, paths[0])
        return paths

    def _stop(self, context: Context) -> Value:
        name = context.device.device_name
        if (timer := self._ends.get(name)) is None:
            raise CommandError("no trace of this meter is running")
        timer.cancel()
        self._end(name)
        return "the trace has ended"

    def _end(self, name: str) -> None:
        del self._ends[name]
        self._meters.trace(name, None)
