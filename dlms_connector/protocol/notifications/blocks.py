"""general-block-transfer from the receiver's side, without requests (IEC 62056-5-3).

A pushing meter streams its blocks: nobody acknowledges them, so each must be the next one.
"""

from __future__ import annotations

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data import Cursor
from dlms_connector.protocol.security import GENERAL_DED, GENERAL_GLO

GENERAL_BLOCK_TRANSFER = 0xE0

_DOING = "joining the blocks of a notification"
_LAST = 0x80
#: An APDU has at most 65535 octets.
_LONGEST = 0xFFFF


class Blocks:
    """Joins the blocks of one sender."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._next = 1

    @property
    def begun(self) -> bool:
        """Whether there are blocks without their last."""
        return self._next > 1

    @property
    def held(self) -> int:
        """How many octets wait for their rest."""
        return len(self._parts)

    def add(self, apdu: bytes) -> bytes | None:
        """Take a block; return the whole APDU with the last one, else None.

        Some senders do not mark the last block. A ciphered APDU tells its own length: it is whole
        when so many octets are there.

        Raises ProtocolError if it is not the next block; then the next APDU begins anew. A first
        block always begins anew: the meter has given up the one before.
        """
        cursor = Cursor(apdu[1:], _DOING)
        control, number = cursor.octet(), cursor.number(2)
        cursor.number(2)  # the block that is acknowledged: we send none
        data = cursor.string()
        cursor.end()
        expected = self._next
        if number == 1:
            self.reset()
        elif number != expected:
            self.reset()
            raise ProtocolError(_DOING, f"block {number} came instead of {expected}")
        if len(self._parts) + len(data) > _LONGEST or (not data and not control & _LAST):
            self.reset()
            raise ProtocolError(_DOING, f"block {number} makes more of it than an APDU has")
        self._parts += data
        self._next = number + 1
        if not control & _LAST and not _is_whole(self._parts):
            return None
        whole = bytes(self._parts)
        self.reset()
        if not whole:
            raise ProtocolError(_DOING, "the blocks are empty")
        return whole

    def reset(self) -> None:
        """Discard what has come."""
        self._parts, self._next = bytearray(), 1


def _is_whole(octets: bytearray) -> bool:
    """Whether these octets are a whole APDU in general-glo- or general-ded-ciphering."""
    if not octets or octets[0] not in (GENERAL_GLO, GENERAL_DED):
        return False
    cursor = Cursor(bytes(octets[1:]), _DOING)
    try:
        cursor.string()  # the system title
        cursor.string()
        cursor.end()
    except ProtocolError:
        return False
    return True
