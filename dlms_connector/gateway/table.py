"""What the configuration says, and what it says anew when its table of devices has changed.

The table is a file; the rest of the configuration stays as the gateway gave it. A device that is
configured as before stays the same object, with the same converters, so that everybody can tell by
that whom a change concerns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from dlms_connector.config import Configuration, Device, Loaded, load
from dlms_connector.errors import ConfigError
from dlms_connector.gateway.device_filter import denied_by
from dlms_connector.gateway.file_watch import FileWatch
from dlms_connector.gateway.owner import Logs, Owner
from dlms_connector.gateway.prepared import Prepared, devices_file, prepare
from dlms_connector.gateway.uplink import Converter
from dlms_converters.own import downlink_converter, uplink_converter

#: Seconds between two looks at the file; a change counts after two.
LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Difference:
    """The names of devices that come, of those that are configured otherwise, and of the others."""

    new: frozenset[str]
    changed: frozenset[str]
    left: frozenset[str]
    same: frozenset[str]

    def __str__(self) -> str:
        new, changed, left, same = map(len, (self.new, self.changed, self.left, self.same))
        return (
            f"{new} meters are new, {changed} are configured otherwise, {left} have left; "
            f"{same} go on as before"
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What a configuration says: devices with their converters, and whom the gateway denies."""

    prepared: Prepared
    #: Converters of what goes to the meters, by device.
    downlinks: dict[str, Any]
    denied: Callable[[str], bool]

    @property
    def names(self) -> list[str]:
        """The devices that are served."""
        return [device.device_name for device in self.prepared.devices]

    @property
    def named(self) -> list[str]:
        """The devices that the platform knows by the configuration, also those that are refused."""
        return [*self.names, *(one.name for one in self.prepared.misconfigured)]

    def since(self, before: Said) -> Difference:
        """Return whom it concerns that this is said, and not what was said before."""
        then = {device.device_name: device for device in before.prepared.devices}
        now = {device.device_name: device for device in self.prepared.devices}
        same = frozenset(name for name, device in now.items() if then.get(name) is device)
        new, left = now.keys() - then.keys(), then.keys() - now.keys()
        return Difference(frozenset(new), frozenset(now.keys() - same - new), frozenset(left), same)

    def is_alike(self, other: Said) -> bool:
        """Whether both differ in their devices at most."""
        here, there = self.prepared, other.prepared
        rest = (one.configuration.model_copy(update={"devices": ()}) for one in (here, there))
        return here.share == there.share and next(rest) == next(rest)


class Table:
    """The configuration as it was loaded last, and the file that may change it.

    Making it reads files, and raises what a user's own converter raises. With `like`, nothing is
    loaded again.
    """

    def __init__(
        self, gateway: Any, owner: Owner, config: Any, logs: Logs, *, like: Table | None = None
    ) -> None:
        self._gateway, self._owner, self._config = gateway, owner, config
        self._log, self._converter_log = logs.connector, logs.converters
        self._folder = Path(gateway.get_config_path())
        self._look_at = monotonic() + LOOK_S
        self.watch: FileWatch = (
            like.watch if like else FileWatch(devices_file(config, self._folder))
        )
        self.said: Said = like.said if like else self._prepared(None)

    @property
    def path(self) -> Path | None:
        """The file, None if there is none."""
        return self.watch.path

    def look(self) -> None:
        """Tell the owner once of each change of the file; call this often."""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_S
            if self.watch.changed():
                self._owner.table_changed()

    def news(self) -> Said | None:
        """Return what the configuration says now; None if it says what it said, or is of no use.

        Raises what a user's own converter raises. Secrets count by their values.
        """
        before = self.said.prepared
        try:
            loaded = _with_known(load(self._config, base=self._folder), before)
        except ConfigError:
            loaded = None
        if loaded is None or not loaded.configuration.devices:
            told = "%s has changed and gives no usable device: polling goes on as before"
            self._log.error(told, self.path)
            return None
        if loaded == before.loaded:
            told = "%s was written anew and says what it said: the meters are polled on"
            self._log.info(told, self.path)
            return None
        self._log.info("%s has changed: the devices are loaded again", self.path)
        return self._prepared(loaded)

    def uplink_converter(self, device: Device) -> Converter:
        """Return the converter of a device that was made at run time. Raises ConfigError."""
        return self._uplink_converter(device, self.said.prepared.configuration)

    def _prepared(self, loaded: Loaded | None) -> Said:
        """Prepare what was loaded, or load it; devices that are known keep their converters."""
        denied = denied_by(self._gateway, self._owner.name, self._log)
        downlinks: dict[str, Any] = {}
        known = {id(one): one.device_name for one in self.said.prepared.devices} if loaded else {}

        def converter_of(device: Device, configuration: Configuration) -> Converter:
            if (name := known.get(id(device))) is not None:
                downlinks[name] = self.said.downlinks[name]
                return self.said.prepared.converters[name]
            downlinks[device.device_name] = downlink_converter(
                device,
                self._converter_log,
                self._owner.get_type(),
                configuration.numeric_texts,
            )
            return self._uplink_converter(device, configuration)

        prepared = prepare(
            self._config, self._folder, self._log, converter_of, denied, loaded=loaded
        )
        return Said(prepared, downlinks, denied)

    def _uplink_converter(self, device: Device, configuration: Configuration) -> Converter:
        made: Converter = uplink_converter(
            device,
            self._converter_log,
            self._owner.get_type(),
            configuration.report_strategy,
            configuration.numeric_texts,
        )
        return made


def _with_known(loaded: Loaded, before: Prepared) -> Loaded:
    """Return what was loaded with the very devices of before, where they say the same."""
    known = {device.device_name: device for device in before.configuration.devices}
    devices = tuple(
        same if (same := known.get(one.device_name)) == one else one
        for one in loaded.configuration.devices
    )
    return replace(
        loaded, configuration=loaded.configuration.model_copy(update={"devices": devices})
    )
