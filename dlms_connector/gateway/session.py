"""The gateway's connection to the platform."""

from __future__ import annotations

from typing import Any


def is_connected(gateway: Any) -> bool:
    """Whether the gateway is connected."""
    client = gateway.tb_client  # None until the gateway has made its connectors
    return client is not None and bool(client.is_connected())


def session(gateway: Any) -> object | None:
    """Return an object that identifies the present session, or None.

    An outage may begin and end between two looks. The client is connected before and after it,
    but over another socket.
    """
    if not is_connected(gateway):
        return None
    client = getattr(gateway.tb_client.client, "_client", None)
    return (client and client.socket()) or True
