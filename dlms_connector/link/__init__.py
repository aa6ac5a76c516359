"""Bytes to and from an endpoint: TCP, UDP, serial ports, meters that dial in.

What the bytes mean is not known here. Use `make_link`; each kind is imported when it is wanted.
"""

from dlms_connector.link.dial_in_link import Call, DialInLink, plain
from dlms_connector.link.link import Link, make_link
from dlms_connector.link.listener import EVERYBODY, Listener, room_for_strangers
from dlms_connector.link.unreachable import unheard

__all__ = [
    "EVERYBODY",
    "Call",
    "DialInLink",
    "Link",
    "Listener",
    "make_link",
    "plain",
    "room_for_strangers",
    "unheard",
]
