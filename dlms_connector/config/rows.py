"""The rows of a document: each device's own keys, from `devices` and from the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.config import fleet_file
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.keys import DEVICES, DEVICES_FILE, is_empty
from dlms_connector.config.model import Device
from dlms_connector.config.noted import Problems
from dlms_connector.config.shown import shown
from dlms_connector.errors import ConfigError

DEVICE_TYPE: str = Device.model_fields["device_type"].default


@dataclass(frozen=True)
class Refused:
    """A device that cannot be used, and all its problems.

    `name` is the path if the device has no name of its own.
    """

    name: str
    path: str
    problems: tuple[str, ...]
    device_type: str = DEVICE_TYPE


def rows_of(
    document: Mapping[str, Any], base: Path, problems: Problems
) -> Iterator[Layer | Refused]:
    """Yield every device's own keys, or a refusal if it has none."""
    devices = document.get(DEVICES)
    if devices is not None and not isinstance(devices, list | tuple):
        problems.note(f"{DEVICES}: expected a list, got {shown(devices)}")
        devices = None
    for index, values in enumerate(devices or ()):
        path = f"{DEVICES}[{index}]"
        if isinstance(values, Mapping):
            yield Layer(Place(path), {str(key): value for key, value in values.items()})
        else:
            yield Refused(path, path, (f"{path}: expected an object, got {shown(values)}",))
    name = document.get(DEVICES_FILE)
    if isinstance(name, str) and name:
        yield from _of_table(name, base, problems)
    elif name is not None:
        problems.note(f"{DEVICES_FILE}: expected the name of a file, got {shown(name)}")
    if devices is None and name is None and not problems and not is_empty(document):
        problems.note(f"{DEVICES}: required, or a {DEVICES_FILE}")


def _of_table(name: str, base: Path, problems: Problems) -> Iterator[Layer | Refused]:
    try:
        for row in fleet_file.rows(name, base):
            if isinstance(row, fleet_file.OutOfStep):
                yield Refused(row.place.path, row.place.path, (str(row),))
            else:
                yield row
    except ConfigError as error:
        problems.note(*error.problems)
