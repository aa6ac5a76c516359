"""Devices that the gateway's `deviceFiltering` keeps from the platform.

The gateway filters data, and not before all connectors run: what is polled until then still
makes the device appear, and afterwards every poll is a warning. So they are not polled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from logging import Logger
from typing import Any

from thingsboard_gateway.gateway.device_filter import DeviceFilter


def denied_by(gateway: Any, connector_name: str, log: Logger) -> Callable[[str], bool]:
    """Return what tells of a device's name whether it is kept out."""
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
        except Exception as error:  # whatever its author wrote
            log.error("%s: the gateway's deviceFiltering makes no sense: %r", name, error)
            return False

    return denied
