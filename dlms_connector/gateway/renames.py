"""The names of our devices on the platform, where users can rename them.

The gateway (3.8.5) maps a renamed device in memory and in `connected_devices.json`, but loses the
mapping: `add_device` for a renamed device that it does not count as connected removes it from the
file, and a crash can leave the file empty. The device then appears on the platform once more
under its old name. So our devices' names are kept here too, and given back to the gateway.
"""

from __future__ import annotations

from collections.abc import Collection
from logging import Logger
from pathlib import Path
from typing import Any

from dlms_connector.gateway.remembered import Remembered


def renamed_devices(gateway: Any) -> dict[str, str]:
    """Return the platform's names of renamed devices, by the connector's names.

    It is the gateway's own object, for which it has no public interface.
    """
    found: dict[str, str] = getattr(gateway, "_TBGatewayService__renamed_devices", {})
    return found


def our_name(gateway: Any, called: str) -> str:
    """Return the connector's name of a device that is called by either of its names.

    The platform's names go first: two devices may have changed theirs.
    """
    return {there: here for here, there in list(renamed_devices(gateway).items())}.get(
        called, called
    )


class Renames:
    """Keeps the platform's names of `devices` over restarts and crashes of the gateway."""

    def __init__(self, gateway: Any, devices: Collection[str], log: Logger) -> None:
        self._gateway, self._devices = gateway, frozenset(devices)
        self._remembered = Remembered(log)
        self._earlier: dict[str, str] = {}
        self._opened = False

    def open(self, path: Path) -> None:
        """Read the names of the last run; call this once, before the first device is added."""
        self._earlier = self._remembered.open(path)
        self._opened = True

    def serve(self, devices: Collection[str]) -> None:
        """Keep the names of these devices from now on."""
        self._devices = frozenset(devices)

    def observe(self) -> None:
        """Give the gateway the names that it has lost since the last run; keep those it has."""
        if not self._opened:
            return
        known = renamed_devices(self._gateway)
        for name, there in self._earlier.items():
            if name in self._devices:
                known.setdefault(name, there)
        self._earlier = {}  # from now on the gateway knows: the platform tells it
        ours = {name: there for name, there in list(known.items()) if name in self._devices}
        self._remembered.keep(ours)

    def name_of(self, name: str) -> str:
        """Return a device's name on the platform: the old name would create another device."""
        return renamed_devices(self._gateway).get(name) or name

    def before_adding(self, name: str, device_type: str, connector: Any) -> None:
        """Have the gateway count a renamed device as connected, so that it keeps the mapping."""
        self.observe()
        if name in renamed_devices(self._gateway):
            device = {"connector": connector, "deviceType": device_type}
            self._gateway.get_devices().setdefault(name, device)
