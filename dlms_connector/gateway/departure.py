"""Takes devices off the gateway's list before it closes the connector.

When a connector has closed, the gateway (3.8.5) disconnects each of its devices on the platform
and writes its file of devices anew for each: about 6 ms per device, so that thousands, also of
meters that never answered, take longer than the 5 s that it gives a connector.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dlms_connector.gateway.renames import renamed_devices

#: The gateway's own objects that hold a device, for which it has no public interface.
_HELD_IN = ("_TBGatewayService__saved_devices", "_TBGatewayService__added_devices")


def depart(gateway: Any, connector: Any, is_connected: Callable[[str], bool]) -> None:
    """Take the devices of a connector off that need not be disconnected on the platform.

    Those are the ones that are not connected there; all of them, if the gateway stops, because
    its session ends. Renamed devices are left, as the gateway keeps their names, and another
    device is, so that the gateway writes its file.
    """
    devices = gateway.get_devices()
    renamed = renamed_devices(gateway)
    ours = [name for name, one in list(devices.items()) if one.get("connector") is connector]
    needless = [
        name for name in ours if name not in renamed and (gateway.stopped or not is_connected(name))
    ]
    if len(needless) == len(ours):
        needless = needless[1:]
    for name in needless:
        devices.pop(name, None)
        for held in _HELD_IN:
            getattr(gateway, held, {}).pop(name, None)


def forget_reports(gateway: Any, connector: Any) -> None:
    """Stop the gateway's periodic reports: it would repeat the last values for ever."""
    with suppress(Exception):
        service = gateway.get_report_strategy_service()
        if service is not None:
            service.delete_all_records_for_connector_by_connector_id_and_connector_name(
                connector.get_id(), connector.name
            )
