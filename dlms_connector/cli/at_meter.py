"""One meter, ready to be talked to: its link, its counters, and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dlms_connector.cli.tracing import now_ms
from dlms_connector.config import Device
from dlms_connector.fleet import Reception
from dlms_connector.link import DialInLink, Link, make_link
from dlms_connector.meter import AnyMeter, meter_of
from dlms_connector.protocol import make_client
from dlms_connector.state import NoPlace


def meter_over(
    link: Link, device: Device, state_dir: Path | NoPlace | None, log: logging.Logger
) -> AnyMeter:
    """Return a meter over a link, which others of its line may use after it."""
    return meter_of(
        device,
        link,
        open_link=link.open,
        make_client=make_client,
        now_ms=now_ms,
        log=log,
        state_dir=state_dir,
    )


@asynccontextmanager
async def at_meter(
    device: Device, state_dir: Path | NoPlace | None, log: logging.Logger
) -> AsyncIterator[AnyMeter]:
    """Hold a meter over a link of its own; one that dials in is waited for.

    Raises ConfigError if its link cannot be made. The association is released unless it was broken
    off: a meter in the middle of an answer understands no goodbye.
    """
    link = make_link(device.connection)
    reception = Reception(log, make_client, state_dir)
    receiving: asyncio.Future[None] | None = None
    try:
        if isinstance(link, DialInLink):
            reception.expect([device], link)
            receiving = asyncio.ensure_future(reception.run())
            await link.arrival(device.connection.connect_timeout_ms / 1000)
        meter = meter_over(link, device, state_dir, log)
        yield meter
        await meter.session.release()
    finally:
        if receiving is not None:
            receiving.cancel()
        await link.close()
        await reception.close()
