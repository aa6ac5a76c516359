"""The size of a configuration, which the gateway reports to the platform as an attribute.

It does so at each start and each save. A message above the platform's limit ends the gateway's
MQTT session, and the configuration never appears there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: The platform's default for the largest MQTT message (NETTY_MAX_PAYLOAD_SIZE), in bytes.
LARGEST_MESSAGE = 65_536
#: What the gateway adds to the connector's configuration: its entry in `tb_gateway.json`.
_ENTRY = 512


def too_large(raw: Any, limit: int = LARGEST_MESSAGE) -> str | None:
    """Return a sentence on a configuration that the platform cannot be told; None if it can."""
    if not isinstance(raw, Mapping):
        return None
    try:
        text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False, default=str)
    except RecursionError:  # a problem of its own
        return None
    size = len(text.encode("utf-8", "replace")) + _ENTRY
    if size <= limit:
        return None
    return (
        f"the configuration has {size} bytes and the platform takes {limit}: the gateway reports "
        "it at each start and each save, which ends its session each time; keep the devices in a "
        "devicesFile, and what they share in templates"
    )
