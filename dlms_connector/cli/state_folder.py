"""Where the gateway keeps the counters and short names of its meters, which commands share."""

from __future__ import annotations

from pathlib import Path

from dlms_connector.config import Device, Loaded
from dlms_connector.state import NoPlace, commands_folder, needs_counter


def state_folder(loaded: Loaded, file: Path, *devices: Device) -> Path | NoPlace | None:
    """Return the folder of the gateway's counters and short names; None if nobody needs it."""
    if not any(needs_counter(device) or device.dlms.referencing == "SN" for device in devices):
        return None
    return commands_folder(loaded.configuration.state_directory, file.resolve().parent)
