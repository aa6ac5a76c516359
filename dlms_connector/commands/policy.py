"""Permission to write and invoke: nothing is allowed unless it is configured."""

from __future__ import annotations

from dlms_connector.config import Device
from dlms_connector.errors import CommandError
from dlms_connector.obis import Obis


def require_write(device: Device, method: str, obis: Obis) -> None:
    """Raise CommandError unless `allowWrite` of the device covers the object."""
    allowed = device.allow_write
    if allowed is True or (isinstance(allowed, tuple) and obis in allowed):
        return
    raise CommandError(
        f"{method}: {device.device_name} does not allow writing to {obis}; "
        f"configure a serverSideRpc method for it, or add it to allowWrite"
    )
