"""Devices that the gateway's `deviceFiltering` excludes.

The gateway only filters data, and only once all connectors run. Data polled before that still
creates the device on the platform, and later every poll causes a warning. So these devices
are not polled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from logging import Logger
from typing import Any

from thingsboard_gateway.gateway.device_filter import DeviceFilter


def denied_by(gateway: Any, connector_name: str, log: Logger) -> Callable[[str], bool]:
    """Return a function that tells whether the device of a name is excluded."""
    section = gateway.config.get("thingsboard", {}).get("deviceFiltering")
    if not isinstance(section, Mapping) or not section.get("enable"):
        return lambda name: False
    if not (name := section.get("filterFile")):  # without one the gateway filters nothing
        return lambda name: False
    try:
        device_filter = DeviceFilter(f"{gateway.get_config_path()}{name}")
    except (OSError, ValueError) as error:
        log.error("the gateway's deviceFiltering cannot be read: %s", error)
        return lambda name: False

    def denied(name: str) -> bool:
        try:
            return not device_filter.validate_device(connector_name, {"deviceName": name})
        except Exception as error:  # the filter file may hold anything
            log.error("%s: the gateway's deviceFiltering makes no sense: %r", name, error)
            return False

    return denied
