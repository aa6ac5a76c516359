"""The call that traces the frames of a meter for some minutes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from logging import Logger
from pathlib import Path

from dlms_connector.commands.meters import Meters
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Local, Method
from dlms_connector.errors import CommandError
from dlms_connector.reading import Value
from dlms_connector.tracing import FOLDER, MOST_OCTETS, trace_into

_MINUTES, _MOST_MINUTES = 5, 60
_NO_FOLDER = "there is no folder for the state, see the connector's log"


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
        try:
            trace, paths = trace_into(
                self._state_dir / FOLDER, context.device, now_ms=_now_ms, log=self._log
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
        self._ends[name] = loop.call_later(minutes * 60, self._end, name)
        until = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        self._log.info("%s: frames are traced for %d min into %s", name, minutes, paths[0])
        return {
            "files": [str(path) for path in paths],
            "until": until.isoformat(timespec="seconds"),
            "mostOctets": MOST_OCTETS,
        }

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
