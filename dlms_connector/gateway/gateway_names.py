"""What the devices of a gateway are called on the platform, where people rename them."""

from __future__ import annotations

from typing import Any


def renamed_devices(gateway: Any) -> dict[str, str]:
    """Return the names on the platform of the devices that were renamed there, by our names.

    The gateway offers no public way to ask.
    """
    return dict(getattr(gateway, "_TBGatewayService__renamed_devices", {}))
