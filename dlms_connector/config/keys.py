"""The keys at the top of a document: whose they are, and what they tell of who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys that the gateway or its user interface adds, and reads itself.
GATEWAY_KEYS = frozenset(
    (
        *("id", "name", "type", "class", "key", "mode", "ts", "configVersion", "useGRPC"),
        *("configuration", "configurationJson", "logLevel", "enableRemoteLogging"),
        *("sendDataOnlyOnChange", "disabled"),
    )
)
#: Names the JSON Schema to an editor, and says nothing to the connector.
SCHEMA_KEY = "$schema"
NOT_OURS = GATEWAY_KEYS | {SCHEMA_KEY}
DEVICES = "devices"
DEVICES_FILE = "devicesFile"
#: Keys that the gateway adds to each configuration that the platform has sent.
_FROM_PLATFORM = frozenset({"enableRemoteLogging", "configVersion"})


def is_empty(raw: object) -> bool:
    """Whether nobody has configured anything yet: there are the gateway's own keys at most.

    This is what the gateway's user interface sends when a connector is added.
    """
    return isinstance(raw, Mapping) and all(
        key in NOT_OURS or (key == DEVICES and value in (None, [])) for key, value in raw.items()
    )


def is_of_platform(document: Mapping[Any, Any]) -> bool:
    """Whether the platform has written a document; then it must not choose what is the host's."""
    return bool(_FROM_PLATFORM & document.keys())
