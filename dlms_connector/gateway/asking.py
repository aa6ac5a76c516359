"""What the gateway is asked beside its own calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dlms_converters.message_size import LARGEST_VALUE

#: Bytes that the gateway adds to an attribute: names of up to 255 characters, and metadata.
_ENVELOPE = 2048


def is_of_another(gateway: Any, name: str, connector_name: str) -> bool:
    """Whether the gateway has a device from another connector."""
    devices: Mapping[str, Mapping[str, Any]] = gateway.get_devices()
    owner = devices.get(name, {}).get("connector")
    return owner is not None and owner.get_name() != connector_name


def largest_attribute(gateway: Any) -> int:
    """Return the largest attribute in bytes; it depends on the platform's payload size."""
    most = LARGEST_VALUE["attributes"]
    with suppress(Exception):  # there is no client yet
        most = max(most, gateway.get_max_payload_size_bytes() - _ENVELOPE)
    return most
