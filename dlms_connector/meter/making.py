"""Makes the meter of a device: one that speaks DLMS, or one that is read out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from dlms_connector.config import Device
from dlms_connector.link import Link
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.readout_meter import ReadoutMeter
from dlms_connector.meter.session import MakeClient
from dlms_connector.state import NoPlace, counter_of, short_names_of

AnyMeter = Meter | ReadoutMeter


def meter_of(
    device: Device,
    link: Link,
    *,
    open_link: Callable[[], Awaitable[None]],
    make_client: MakeClient,
    now_ms: Callable[[], int],
    log: logging.Logger,
    state_dir: Path | NoPlace | None,
    shared: bool = False,
    unasked: Callable[[str, bytes], None] = lambda name, apdu: None,
) -> AnyMeter:
    """Return the meter of a device, over a link that the caller lends.

    `open_link` opens it and raises ConnectError; `now_ms` is the Unix time in ms; `state_dir` holds
    what must survive a restart; `shared` says that other meters talk over the same link;
    `unasked` gets the device's name and each APDU that answers nothing, as received.
    """
    if device.dlms.interface_type == "IEC_62056_21":
        return ReadoutMeter(device, link, open_link=open_link, now_ms=now_ms, log=log)
    return Meter(
        device,
        link,
        open_link=open_link,
        make_client=make_client,
        now_ms=now_ms,
        log=log,
        counter=counter_of(device, state_dir, log),
        short_names=short_names_of(device, state_dir, log),
        shared=shared,
        unasked=unasked,
    )
