"""UI frames: what a meter sends without being polled, also between the segments of an answer."""

from __future__ import annotations

from dlms_connector.protocol.datalink.addressing import is_broadcast, split_server_address
from dlms_connector.protocol.datalink.hdlc_frame import POLL_FINAL, UI, Frame
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_RESPONSE
from dlms_connector.protocol.remarks import UNASKED, Remarks

#: An APDU has at most 65535 octets.
_LONGEST = 0x10000


class UnaskedFrames:
    """Takes UI frames of one meter, to any client, and passes their APDUs on.

    A `client` gets its answers in such frames too: of those to it, only APDUs that answer nothing
    are taken.
    """

    def __init__(self, remarks: Remarks, client: bytes | None = None) -> None:
        self._remarks = remarks
        self._client = client
        self._parts = bytearray()

    def takes(self, frame: Frame, server: bytes) -> bool:
        """Whether this is a UI frame of the meter at `server`."""
        if frame.control | POLL_FINAL != UI or not _is_from(frame, server):
            return False
        if frame.destination == self._client and not self._pushes(frame.information):
            return False
        self._parts += frame.information
        if not frame.segmented or len(self._parts) > _LONGEST:
            apdu, self._parts = bytes(self._parts).removeprefix(LLC_RESPONSE), bytearray()
            self._remarks.unasked(apdu)
        return True

    def _pushes(self, information: bytes) -> bool:
        """Whether this is a push, or goes on with one."""
        if information.startswith(LLC_RESPONSE):
            self._parts.clear()
        apdu = information.removeprefix(LLC_RESPONSE)
        return bool(self._parts) or apdu[:1] in UNASKED


def _is_from(frame: Frame, server: bytes) -> bool:
    if is_broadcast(server):
        return True
    return split_server_address(frame.source) == split_server_address(server)
