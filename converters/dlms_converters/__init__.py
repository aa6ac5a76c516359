"""The converters between COSEM values and the gateway's data model.

The classes that a user's own converter derives from are here by name, and imported when
they are asked for: the command line, which shapes values too, must not need the gateway.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlms_converters.downlink import DLMSDownlinkConverter
    from dlms_converters.uplink import DLMSUplinkConverter

__all__ = ["DLMSDownlinkConverter", "DLMSUplinkConverter"]

_HOMES = {
    "DLMSDownlinkConverter": "dlms_converters.downlink",
    "DLMSUplinkConverter": "dlms_converters.uplink",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
