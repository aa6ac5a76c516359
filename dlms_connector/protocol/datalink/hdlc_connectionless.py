"""APDUs in UI frames, for meters that take no I frames (IEC 62056-46, connectionless operation).

A UI frame has no number and is not acknowledged. So an APDU is in one frame, and what tells
answers apart is only the invoke-id, as with the wrapper.
"""

from __future__ import annotations

from typing import Any

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_frame import POLL_FINAL, UI, Frame
from dlms_connector.protocol.datalink.hdlc_reception import Reception
from dlms_connector.protocol.datalink.hdlc_refusals import refuse_unnumbered
from dlms_connector.protocol.datalink.hdlc_transfer import EXCHANGING, LLC_COMMAND, Transfer
from dlms_connector.protocol.datalink.hdlc_unasked import UnaskedFrames
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.talk import Talk


class ConnectionlessHdlc(Hdlc):
    """HDLC with APDUs in UI frames; SNRM and DISC are sent as usual.

    `repeats` is how often a request is repeated that may be.
    """

    def __init__(
        self,
        client: bytes,
        server: bytes,
        *,
        repeats: int,
        remarks: Remarks | None = None,
        **more: Any,
    ) -> None:
        super().__init__(client, server, **more)
        self._reception = Reception(client, server, UnaskedFrames(remarks or Remarks(), client))
        self._repeats = repeats

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU in one frame and return the next one that arrives.

        Raises ProtocolError if it is too long, LinkTimeoutError on silence, and OutOfStepError if
        an answer before this one may have been to another request.
        """
        data, room = LLC_COMMAND + apdu, self._sizes.info_receive
        if len(data) > room:
            raise ProtocolError(
                EXCHANGING, f"{len(data)} octets do not fit in a UI frame of {room}"
            )
        return (yield from self._ask([self._command(UI, data)], self._repeats * repeatable))

    def receive(self) -> Talk[bytes]:
        """Return the next APDU without sending."""
        return (yield from self._ask([], 0))

    def _ask(self, commands: list[Frame], repeats: int) -> Talk[bytes]:
        if commands:
            yield from self._expect_nothing()
        self._begin(keep=not commands)
        for _ in range(repeats + 1):
            transfer = Transfer([], 0, 0, 1)
            frame = yield from self._reception.next(commands)
            while frame is not None:
                refuse_unnumbered(frame)
                if frame.is_information or frame.control | POLL_FINAL == UI:
                    transfer.add(frame.information)
                    if not frame.segmented:
                        return transfer.apdu()
                frame = yield from self._reception.next([])
        raise self._timeout(repeats + 1)
