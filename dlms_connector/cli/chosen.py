"""The devices of a configuration that a command is to talk to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dlms_connector.config import Device, Loaded
from dlms_connector.errors import ConfigError


def chosen(loaded: Loaded, names: Sequence[str]) -> Sequence[Device]:
    """Return the named devices, each once; without names all that are polled.

    Raises as `named` does.
    """
    if names:
        return named(loaded, names)
    return tuple(device for device in loaded.configuration.devices if device.is_polled)


def named(loaded: Loaded, names: Sequence[str]) -> Sequence[Device]:
    """Return the devices of these names, each once.

    Raises ConfigError if a named device was refused, BadParameter if there is none of that name.
    """
    devices = {device.device_name: device for device in loaded.configuration.devices}
    for name in names:
        refused = [one for one in loaded.refused if one.name == name]
        if name not in devices and refused:
            raise ConfigError(*refused[0].problems)
        if name not in devices:
            there_are = ", ".join(devices) or "no usable devices"
            raise click.BadParameter(f"no device is called {name!r}; there are: {there_are}")
    return tuple(devices[name] for name in dict.fromkeys(names))


def offered(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the device names of FILE that begin so, for a shell: it shows no errors."""
    # Before the name is written, click takes the option for incomplete and all else for arguments.
    given = [ctx.params.get("file"), *ctx.args]
    file = next((one for one in given if one is not None and Path(one).is_file()), None)
    if file is None:
        return []
    try:
        told: Any = json.loads(Path(file).read_text("utf-8"))
        entries = [one for one in told["devices"] if isinstance(one, dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    names = (one.get("deviceName") for one in entries)
    return [name for name in names if isinstance(name, str) and name.startswith(incomplete)]
