"""Makes the members of a line: each meter with its files, its link, and its history."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from dlms_connector.config import Device
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.member import Member
from dlms_connector.fleet.sink import Sink
from dlms_connector.link import Link
from dlms_connector.meter import MakeClient, meter_of
from dlms_connector.state import NoPlace


def members_of(
    devices: Sequence[Device],
    sink: Sink,
    log: logging.Logger,
    *,
    link: Link,
    open_link: Callable[[Link], Awaitable[None]],
    make_client: MakeClient,
    now_ms: Callable[[], int],
    state_dir: Path | NoPlace | None,
    unasked: Callable[[str, bytes], None],
    archive: Archive | None,
    wake: Callable[[], None],
    spread_s: float,
) -> dict[str, Member]:
    """Return the members by name; `wake` is called when one may have history to read."""

    def member_of(device: Device) -> Member:
        meter = meter_of(
            device,
            link,
            open_link=partial(open_link, link),
            make_client=make_client,
            now_ms=now_ms,
            log=log,
            state_dir=state_dir,
            shared=len(devices) > 1,
            unasked=unasked,
        )
        member = Member(meter, sink, log)
        if archive is not None:
            member.remember(archive, now_ms=now_ms, wake=wake, spread_s=spread_s)
        return member

    return {device.device_name: member_of(device) for device in devices}
