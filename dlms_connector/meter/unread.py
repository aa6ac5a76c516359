"""What a meter said while nobody listened: pushes that arrived between two polls.

What arrived before a request answers nothing, so it is not read as a reply. On a line of its own,
a meter's pushes are among it.
"""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.config import Device
from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.datalink import PushFraming, make_arrivals
from dlms_connector.protocol.remarks import UNASKED

#: general-glo-ciphering: a push, unless answers come so too.
_GENERAL_GLO = b"\xdb"
_UNASKED_OR_CIPHERED = UNASKED | {_GENERAL_GLO}
#: What a meter pushes between two polls; more is noise.
_MOST = 1 << 18


def unread_of(device: Device, unasked: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return what takes the octets that arrived before a request, and passes their pushes on."""
    dlms = device.dlms
    framing: PushFraming = "WRAPPER" if dlms.interface_type == "WRAPPER" else "HDLC"
    tags = UNASKED if dlms.general_ciphering else _UNASKED_OR_CIPHERED

    def take(octets: bytes) -> None:
        if not octets:
            return
        try:
            arrivals = make_arrivals(framing).feed(octets[:_MOST])
        except ProtocolError:
            return  # noise, such as a modem's message
        for arrival in arrivals:
            if arrival.apdu[:1] in tags:
                unasked(arrival.apdu)

    return take
