"""Gives a slice to the sink, and learns in the loop whether it was kept: exactly once, in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from dlms_connector.config import Device, Profile
from dlms_connector.fleet.sink import Sink
from dlms_connector.reading import Reading
from dlms_connector.records import Slice

#: A slice that is neither kept nor refused for so long counts as not kept.
_KEPT_WITHIN_S = 300.0


def hand_over(
    sink: Sink,
    device: Device,
    profile: Profile,
    part: Slice,
    readings: Sequence[Reading],
    log: logging.Logger,
    settled: Callable[[bool, str], None],
) -> None:
    """Give a slice to the sink; `settled` is called in the loop, like `Kept`."""
    loop = asyncio.get_running_loop()
    over = False

    def settle(ok: bool, reason: str) -> None:
        nonlocal over
        if not over:
            over = True
            timer.cancel()
            settled(ok, reason)

    def done(ok: bool, reason: str = "") -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, ok, reason)

    timer = loop.call_later(_KEPT_WITHIN_S, settle, False, f"no word for {_KEPT_WITHIN_S:.0f} s")
    try:
        sink.history(device, profile, part, readings, done)
    except Exception as error:
        log.exception("%s: history could not be handed over", device.device_name)
        settle(False, repr(error))
