"""The last configuration with devices, kept aside.

The gateway's user interface sends an empty configuration when a connector is added, and the gateway
writes it over the file of a local connector of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from pathlib import Path
from typing import Any

from dlms_connector.gateway.remembered import file_name
from dlms_connector.state import private_files

#: Most octets that are compared; a larger one is written each time.
_MOST = 64 * 1024 * 1024


def keep(raw: Any, folder: Path, name: str, log: Logger) -> None:
    """Keep a configuration with devices; log one line if this one has none, but an earlier had."""
    path = folder / f"configuration-{file_name(name)}.json"
    if not isinstance(raw, Mapping):
        return
    try:
        if raw.get("devices") or raw.get("devicesFile"):
            if _read(path) != raw:
                private_files.write(path, raw)
        elif path.is_file():
            log.warning("no devices: the last configuration that had some is kept in %s", path)
    except (OSError, TypeError, ValueError, RecursionError) as error:
        log.warning("the configuration is not kept aside in %s: %s", path, error)


def _read(path: Path) -> Any:
    try:
        return private_files.load(path, _MOST)
    except (OSError, ValueError):
        return None
