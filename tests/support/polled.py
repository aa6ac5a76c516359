"""What polls a meter, over a link that a test has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dlms_connector.config import Device
from dlms_connector.meter.meter import Meter
from dlms_connector.protocol.client import make_client

#: An instant of September 2026.
NOW_MS = 1_790_000_000_000
LOG = logging.getLogger("test.meter")


def meter_on(
    device: Device,
    link: Any,
    *,
    now_ms: Callable[[], int] = lambda: NOW_MS,
    **keys: Any,
) -> Meter:
    """Return what polls this device; it opens the link, as a line does."""
    return Meter(
        device,
        link,
        open_link=link.open,
        make_client=make_client,
        now_ms=now_ms,
        log=LOG,
        **keys,
    )
