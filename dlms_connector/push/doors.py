"""The places where meters push, by the kinds of listeners."""

from __future__ import annotations

from dlms_connector.config import PushListener
from dlms_connector.push.door import Door, Take, Tell
from dlms_connector.push.serial_door import SerialDoor
from dlms_connector.push.tcp_door import TcpDoor
from dlms_connector.push.udp_door import UdpDoor


def make_door(listener: PushListener, take: Take, tell: Tell) -> Door:
    """Return the closed door of a listener."""
    if listener.type == "tcp":
        return TcpDoor(listener, take, tell)
    return (UdpDoor if listener.type == "udp" else SerialDoor)(listener, take, tell)
