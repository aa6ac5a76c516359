"""What meters send unasked: notifications in clear, ciphered, and in blocks (IEC 62056-5-3).

Nothing here knows a meter: `envelope` tells which key an APDU needs, `parse` what it holds.
"""

from dlms_connector.protocol.notifications.apdus import Notification, confirmation, parse
from dlms_connector.protocol.notifications.blocks import GENERAL_BLOCK_TRANSFER, Blocks
from dlms_connector.protocol.notifications.envelopes import (
    AGREED,
    BROADCAST,
    Envelope,
    envelope,
    opened,
)

__all__ = [
    "AGREED",
    "BROADCAST",
    "GENERAL_BLOCK_TRANSFER",
    "Blocks",
    "Envelope",
    "Notification",
    "confirmation",
    "envelope",
    "opened",
    "parse",
]
