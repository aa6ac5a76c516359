"""The devices of a configuration that a command is to talk to."""

from __future__ import annotations

from collections.abc import Sequence

import click

from dlms_connector.config import Device, Loaded
from dlms_connector.errors import ConfigError


def chosen(loaded: Loaded, names: Sequence[str]) -> Sequence[Device]:
    """Return the named devices, each once; without names all that are polled.

    Raises ConfigError if a named device was refused, BadParameter if there is none of that name.
    """
    devices = {device.device_name: device for device in loaded.configuration.devices}
    if not names:
        return tuple(device for device in devices.values() if device.is_polled)
    for name in names:
        refused = [one for one in loaded.refused if one.name == name]
        if name not in devices and refused:
            raise ConfigError(*refused[0].problems)
        if name not in devices:
            there_are = ", ".join(devices) or "no usable devices"
            raise click.BadParameter(f"no device is called {name!r}; there are: {there_are}")
    return tuple(devices[name] for name in dict.fromkeys(names))
