"""Tells answers from what a meter says besides them.

Some meters push while they are asked: before the AARE, before an answer, or between the blocks
of one. Nothing of that costs an answer. It is passed on as it was received and not used here.
Some meters repeat the LLC octets of HDLC before an APDU; these are taken off.
An answer that is played back, or delivered twice, is refused, and the true one is waited for:
otherwise everybody who can send to us could end an association with what he has recorded.
"""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.errors import CounterError, ProtocolError, RepeatedError
from dlms_connector.protocol.remarks import UNASKED, Remarks
from dlms_connector.protocol.talk import DataLink, Talk

#: LLC octets of responses and commands (IEC 62056-46); no APDU begins with them.
_LLC = (b"\xe6\xe7\x00", b"\xe6\xe6\x00")
LLC_QUIRK = "repeats the LLC octets before its APDUs"

#: general-glo-ciphering, general-ded-ciphering, general-signing: an answer, or unasked.
_GENERAL = (b"\xdb", b"\xdc", b"\xdf")

#: AARE and RLRE: they answer no request of an association, and are not ciphered as a whole.
_ACSE = (b"\x61", b"\x63")

#: Answers to requests of an association: in clear, or with the global or dedicated key; and
#: AARE and RLRE.
LATE = frozenset(b"\x0c\x0d\xc4\xc5\xc7\xda\x2c\x2d\xcc\xcd\xcf\x4c\x4d\xd4\xd5\xd7\x61\x63")

#: Limits of what is passed on during one request. The blocks of one general-block-transfer are
#: one APDU.
MAX_UNASKED = 64
_MAX_OCTETS = 1 << 18
_BLOCK, _LAST_BLOCK = 0xE0, 0x80


class Listening:
    """Receives the answers to one request.

    `open_` turns an APDU into a plain one; `sealed` says that answers may come in general
    ciphering or signing.
    """

    def __init__(
        self,
        datalink: DataLink,
        remarks: Remarks,
        open_: Callable[[bytes], bytes] = bytes,
        *,
        sealed: bool = True,
    ) -> None:
        self._datalink, self._remarks = datalink, remarks
        self._open, self._sealed = open_, sealed
        self._count = self._octets = 0
        #: Why the last APDU that may have been an answer was not used.
        self.doubt: ProtocolError | None = None

    def next(self, apdu: bytes) -> Talk[bytes]:
        """Return the first plain APDU, from this one on, that may be an answer.

        Raises LinkTimeoutError if none comes: `doubt` tells more, if there was one that cannot
        be trusted.
        """
        while (plain := self._plain(apdu := self._bare(apdu))) is None:
            apdu = yield from self._datalink.receive()
        return plain

    def _plain(self, apdu: bytes) -> bytes | None:
        """Return the plain APDU, None if it is unasked or may not be the answer."""
        tag = apdu[:1]
        full = self._count >= MAX_UNASKED or self._octets > _MAX_OCTETS
        if not full and (tag in UNASKED or (tag in _GENERAL and not self._sealed)):
            self._pass_on(apdu)
            return None
        try:
            plain = self._open(apdu)
        except CounterError:
            raise
        except ProtocolError as error:
            if full:
                raise
            if isinstance(error, RepeatedError) or tag in _ACSE:
                self._refuse(error, apdu)
            elif tag in _GENERAL:
                # Pushes have keys and counters of their own: wait for an answer that can be read.
                self._pass_on(apdu)
            else:
                raise
            self.doubt = error
            return None
        if full or plain[:1] not in UNASKED:
            return plain
        self._pass_on(apdu)
        return None

    def _refuse(self, error: ProtocolError, apdu: bytes) -> None:
        self._octets += len(apdu)
        self._count += 1
        self._remarks.refused(error)

    def _pass_on(self, apdu: bytes) -> None:
        self._octets += len(apdu)
        unfinished = apdu[0] == _BLOCK and not (len(apdu) > 1 and apdu[1] & _LAST_BLOCK)
        self._count += not unfinished
        self._remarks.unasked(apdu)

    def _bare(self, apdu: bytes) -> bytes:
        """Return an APDU without LLC octets before it."""
        if not apdu.startswith(_LLC):
            return apdu
        self._remarks.quirk(LLC_QUIRK)
        while apdu.startswith(_LLC):
            apdu = apdu[3:]
        return apdu
