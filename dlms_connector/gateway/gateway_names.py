"""The names of the gateway's devices on the platform, where users can rename them."""

from __future__ import annotations

from typing import Any


def renamed_devices(gateway: Any) -> dict[str, str]:
    """Return the platform's names of renamed devices, by the connector's names.

    The gateway has no public interface for this.
    """
    return dict(getattr(gateway, "_TBGatewayService__renamed_devices", {}))


def our_name(gateway: Any, called: str) -> str:
    """Return the connector's name of a device that is called by either of its names.

    The platform's names go first: two devices may have changed theirs.
    """
    return {there: here for here, there in renamed_devices(gateway).items()}.get(called, called)
