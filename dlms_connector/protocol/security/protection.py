"""Which APDUs are ciphered how, and which replies are believed.

What is kept against replay: the highest counter received, for the global and for the
dedicated key. The dedicated key's begins anew with every association, as does the key; one
that is configured for good shares what is kept for the global key. That begins anew where
one of the HIGH mechanisms proves the peer afresh (some meters count from one in each
association); where none does, it is kept with our own counter, that is for as long as this
process runs.
"""

from __future__ import annotations

from dlms_connector.errors import CounterError, ProtocolError, SecurityError
from dlms_connector.protocol.acse import CONFIRMED_SERVICE_ERROR
from dlms_connector.protocol.data.ber import decode_content, encode_length
from dlms_connector.protocol.security.ciphering import TITLE_SIZE, InvocationCounter, Keys

GENERAL_GLO, GENERAL_DED = 0xDB, 0xDC
EXCEPTION_RESPONSE = 0xD8

GLOBAL, DEDICATED = "global", "dedicated"

#: Services of short names and of logical names keep their order under ciphering.
_SN_SERVICES = (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x0E, 0x16, 0x18)
_LN_SERVICES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7)

#: Ciphered tag by plain tag, for each kind of key.
CIPHERED = {
    GLOBAL: {tag: tag + 0x20 for tag in _SN_SERVICES} | {tag: tag + 8 for tag in _LN_SERVICES},
    DEDICATED: {tag: tag + 0x40 for tag in _SN_SERVICES}
    | {tag: tag + 0x10 for tag in _LN_SERVICES},
}
_PLAIN = {
    ciphered: (kind, plain) for kind, tags in CIPHERED.items() for plain, ciphered in tags.items()
}
_GENERAL = {GENERAL_GLO: GLOBAL, GENERAL_DED: DEDICATED}

#: A meter that cannot decipher can only complain in clear: errors carry no reading.
_CLEAR = (EXCEPTION_RESPONSE, CONFIRMED_SERVICE_ERROR)

_DOING = "deciphering"
_COUNTER_ERROR = 6


def key_of(apdu: bytes) -> str | None:
    """Return which key an APDU says it is ciphered with; None if it is in clear."""
    if not apdu:
        return None
    kind, _ = _PLAIN.get(apdu[0], (None, None))
    return kind or _GENERAL.get(apdu[0])


def is_ciphered(apdu: bytes) -> bool:
    """Whether an APDU says that it is ciphered."""
    return key_of(apdu) is not None


class Protection:
    """Ciphers what one side sends and believes what the other did; serves client and meter."""

    def __init__(
        self, keys: Keys, protection: int, title: bytes, counter: InvocationCounter
    ) -> None:
        """`protection` is what both sides owe each other, `title` is our own system title."""
        self._keys = {GLOBAL: keys}
        self._protection = protection
        self._title = title
        self._counter = counter
        self._dedicated_heard = -1
        self._lasting = False
        #: The other side's system title, once known.
        self.peer: bytes | None = None
        #: Whether APDUs go out under general ciphering rather than under their service's own.
        self.general = False

    def begin(self, *, fresh: bool, peer: bytes | None) -> None:
        """Forget an earlier association; `fresh` if the peer will prove who it is anew."""
        self._keys.pop(DEDICATED, None)
        self._dedicated_heard = -1
        if fresh:
            self._counter.heard = -1
        self.peer = peer
        self.general = False

    def use_dedicated(self, keys: Keys, *, lasting: bool = False) -> None:
        """Cipher with a key of this association alone from now on, or with a `lasting` one."""
        self._keys[DEDICATED], self._lasting = keys, lasting

    def protect(self, plain: bytes, kind: str | None = None) -> bytes:
        """Cipher an APDU, with the dedicated key if there is one.

        With a `kind` it is ciphered as in an AARQ, where nothing general is agreed on yet.
        """
        general = self.general and kind is None
        kind = kind or (DEDICATED if DEDICATED in self._keys else GLOBAL)
        number = self._counter.next()
        sealed = self._keys[kind].seal(self._protection, self._title, number, plain)
        tag = CIPHERED[kind].get(plain[0])
        if tag is None or general:
            tag = GENERAL_DED if kind == DEDICATED else GENERAL_GLO
            return bytes([tag, TITLE_SIZE]) + self._title + encode_length(len(sealed)) + sealed
        return bytes([tag]) + encode_length(len(sealed)) + sealed

    def unprotect(self, apdu: bytes) -> bytes:
        """Return the plain APDU, or an error's that came in clear.

        Raises SecurityError for all that is not to be believed, CounterError where
        the meter wants a higher counter, ProtocolError for what makes no sense.
        """
        if not apdu:
            raise ProtocolError(_DOING, "an empty APDU")
        tag = apdu[0]
        if tag in _CLEAR:
            check_counter_error(apdu)
            return apdu
        if tag in _GENERAL:
            return self._unseal(_GENERAL[tag], *self._read_general(apdu))
        if tag not in _PLAIN:
            raise SecurityError(_DOING, f"a reply in clear ({tag:02X}) where ciphering is agreed")
        kind, inner = _PLAIN[tag]
        return self._unseal(kind, self._known_peer(), _only_content(apdu, 1), inner)

    def _read_general(self, apdu: bytes) -> tuple[bytes, bytes]:
        """Return the sender's title and what it sealed."""
        title, at = decode_content(apdu, 1, _DOING)
        if not title:
            title = self._known_peer()
        elif len(title) != TITLE_SIZE or title == self._title:
            raise SecurityError(_DOING, f"{title[:16].hex()} cannot be the peer's system title")
        elif self.peer is not None and title != self.peer:
            raise SecurityError(_DOING, f"sent by {title.hex()} instead of {self.peer.hex()}")
        return title, _only_content(apdu, at)

    def _known_peer(self) -> bytes:
        if self.peer is None:
            raise SecurityError(_DOING, "the meter's system title is unknown: "
                                "set dlms.serverSystemTitle")  # fmt: skip
        return self.peer

    def _unseal(self, kind: str, title: bytes, sealed: bytes, inner: int | None = None) -> bytes:
        """Return what is under a seal; `inner` is the tag that it must have, if that is known."""
        if kind not in self._keys:
            raise SecurityError(_DOING, f"ciphered with a {kind} key that was not agreed upon")
        unsealed = self._keys[kind].unseal(title, sealed, self._protection)
        passing = kind == DEDICATED and not self._lasting
        last = self._dedicated_heard if passing else self._counter.heard
        if unsealed.counter <= last:
            raise SecurityError(
                _DOING, f"invocation counter {unsealed.counter} after {last}: a repeated reply"
            )
        if inner is not None and unsealed.plain[:1] != bytes([inner]):
            # Where nothing is authenticated only this tells noise, whose counter is none.
            raise SecurityError(_DOING, f"it covers no APDU with the tag {inner:02X}")
        if passing:
            self._dedicated_heard = unsealed.counter
        else:
            self._counter.heard = unsealed.counter
        self.peer = title
        self._counter.confirm()
        return unsealed.plain


def check_counter_error(apdu: bytes) -> None:
    """Raise CounterError if an exception-response says that our counter is too low."""
    if len(apdu) >= 3 and apdu[0] == EXCEPTION_RESPONSE and apdu[2] == _COUNTER_ERROR:
        expected = int.from_bytes(apdu[3:7], "big") if len(apdu) == 7 else None
        raise CounterError(_DOING, expected)


def _only_content(apdu: bytes, start: int) -> bytes:
    content, end = decode_content(apdu, start, _DOING)
    if end != len(apdu):
        raise ProtocolError(_DOING, f"{len(apdu) - end} octets too many")
    return content
