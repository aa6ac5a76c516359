"""Files with the short names of a meter, so that a restart need not read its object list again.

A file is a cache: without it, or with one that cannot be read, the list is read. The names are
proved with the meter before they are used, since another one may be at its address now.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from dlms_connector.config import Device
from dlms_connector.obis import Obis
from dlms_connector.state.no_place import NoPlace
from dlms_connector.state.private_files import load, make_folder, put_aside, write

#: Class and logical name.
Object = tuple[int, Obis]

#: More than any meter has; a larger file is none of ours.
_MOST_OCTETS = 4 << 20


class ShortNameFile:
    """The file of one meter; no error of it costs a poll."""

    def __init__(self, meter: str, path: Path, log: logging.Logger) -> None:
        self._meter, self._path, self._log = meter, path, log

    def load(self) -> tuple[dict[Object, int], dict[Object, int]]:
        """Return base names and class versions; both empty without a valid file."""
        try:
            rows = [_row(row) for row in load(self._path, _MOST_OCTETS)["objects"]]
        except FileNotFoundError:
            return {}, {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            aside = put_aside(self._path)
            self._log.warning(
                "%s: cannot use %s, reads the object list instead%s: %r", self._meter,
                self._path.name, f" (it is kept as {aside.name})" if aside else "", error,
            )  # fmt: skip
            return {}, {}
        names = {object_: base for object_, base, _ in rows}
        return names, {object_: version for object_, _, version in rows}

    def save(self, names: Mapping[Object, int], versions: Mapping[Object, int]) -> None:
        """Replace the file; what cannot be stored is read again after a restart."""
        rows = [
            [class_id, str(obis), base, versions.get((class_id, obis), 0)]
            for (class_id, obis), base in names.items()
        ]
        try:
            make_folder(self._path.parent)
            write(self._path, {"meter": self._meter, "objects": rows})
        except OSError as error:
            self._log.warning("%s: cannot keep its short names: %s", self._meter, error)


def short_names_of(
    device: Device, directory: Path | NoPlace | None, log: logging.Logger
) -> ShortNameFile | None:
    """Return the file of a meter that is asked by short names; None if there is to be none."""
    dlms = device.dlms
    if dlms.referencing != "SN" or not isinstance(directory, Path):
        return None
    place = (
        device.device_name, device.connection.endpoint, dlms.client_address, dlms.logical_address,
        dlms.physical_address, dlms.serial_number,
    )  # fmt: skip
    digest = hashlib.sha256(repr(place).encode("utf-8", "backslashreplace")).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", device.device_name)[:40]
    return ShortNameFile(device.device_name, directory / f"names-{readable}-{digest}.json", log)


def _row(row: object) -> tuple[Object, int, int]:
    match row:
        case [int(class_id), str(obis), int(base), int(version)] if 0 <= base <= 0xFFFF:
            return (class_id, Obis.parse(obis)), base, version
    raise ValueError("a row of it names no object")
