"""Ciphering of APDUs, and the checks of received ones.

Against replay, the highest invocation counter received is kept for the global and for the
dedicated key. For the dedicated key it starts again with every association, as the key is
new; a permanently configured dedicated key shares the value of the global key. For the global
key it starts again if one of the HIGH mechanisms authenticates the peer (some meters count
from one in each association). Otherwise it is kept with our own counter, over restarts too.

Without authentication anybody can send a counter. Then it is not kept for the next association,
and a leap within one is not believed: a forged packet costs one association at most.
"""

from __future__ import annotations

from dlms_connector.errors import CounterError, ProtocolError, RepeatedError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.acse import CONFIRMED_SERVICE_ERROR
from dlms_connector.protocol.data.ber import decode_content, encode_length
from dlms_connector.protocol.security.ciphering import (
    AUTHENTICATED,
    TITLE_SIZE,
    InvocationCounter,
    Keys,
    Unsealed,
)

GENERAL_GLO, GENERAL_DED = 0xDB, 0xDC
EXCEPTION_RESPONSE = 0xD8

GLOBAL, DEDICATED = "global", "dedicated"

#: Tags of the services by short name and by logical name; the ciphered tags have an offset.
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

#: Errors may come in clear: a meter that cannot decipher has no other way. They carry no data.
_CLEAR = (EXCEPTION_RESPONSE, CONFIRMED_SERVICE_ERROR)

#: DataNotification, InformationReport, EventNotification: they answer no request.
_UNASKED = (b"\x0f", b"\x18", b"\xc2")

_DOING = "deciphering"
_COUNTER_ERROR = 6
#: No meter sends so many APDUs, to whomever, between two replies to us.
_LARGEST_LEAP = 10_000


def key_of(apdu: bytes) -> str | None:
    """Return which key an APDU says it is ciphered with; None if it is in clear."""
    if not apdu:
        return None
    kind, _ = _PLAIN.get(apdu[0], (None, None))
    return kind or _GENERAL.get(apdu[0])


def is_ciphered(apdu: bytes) -> bool:
    """Return whether an APDU says that it is ciphered."""
    return key_of(apdu) is not None


class Protection:
    """Ciphers the APDUs of one side and checks those of the other; for client and meter."""

    def __init__(
        self, keys: Keys, protection: int, title: bytes, counter: InvocationCounter
    ) -> None:
        """`protection` is the agreed security control, `title` is our own system title."""
        self._keys = {GLOBAL: keys}
        self._protection = protection
        self._title = title
        self._counter = counter
        #: The last counter of this association, where an earlier one does not matter.
        self._passing_heard = {GLOBAL: -1, DEDICATED: -1}
        self._fresh, self._opening = False, True
        self._lasting = False
        #: The other side's system title, once known.
        self.peer: bytes | None = None
        #: Whether APDUs are sent with general instead of service-specific ciphering.
        self.general = False

    def begin(self, *, fresh: bool, peer: bytes | None) -> None:
        """Discard an earlier association; `fresh` also discards the last counter received."""
        self._keys.pop(DEDICATED, None)
        self._passing_heard = {GLOBAL: -1, DEDICATED: -1}
        self._fresh, self._opening = fresh, True
        self.peer = peer
        self.general = False

    def use_dedicated(self, keys: Keys, *, lasting: bool = False) -> None:
        """Use a dedicated key from now on: of this association only, or a `lasting` one."""
        self._keys[DEDICATED], self._lasting = keys, lasting

    def protect(self, plain: bytes, kind: str | None = None) -> bytes:
        """Cipher an APDU, with the dedicated key if there is one.

        With a `kind` it is ciphered as in an AARQ, where general ciphering is not agreed yet.
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

    def unprotect(self, apdu: bytes, least: int | None = None) -> bytes:
        """Return the plain APDU, or an error that came in clear.

        `least` is the protection that it must have; without it, the one that was agreed.
        Raises SecurityError if the APDU cannot be trusted, CounterError if the meter
        wants a higher counter, ProtocolError if the APDU is malformed.
        """
        if not apdu:
            raise ProtocolError(_DOING, "an empty APDU")
        tag, least = apdu[0], self._protection if least is None else least
        if (known := _PLAIN.get(tag)) is not None:
            kind, inner = known
            return self._unseal(kind, self._known_peer(), _only_content(apdu, 1), least, inner)
        if tag in _CLEAR:
            check_counter_error(apdu)
            return apdu
        if tag in _GENERAL:
            return self._unseal(_GENERAL[tag], *self._read_general(apdu), least)
        problem = f"a reply in clear ({tag:02X}) where ciphering is agreed"
        raise SecurityError(_DOING, problem).showing(Symptom.IN_CLEAR)

    def _read_general(self, apdu: bytes) -> tuple[bytes, bytes]:
        """Return the sender's system title and the ciphered content."""
        title, at = decode_content(apdu, 1, _DOING)
        if not title:
            title = self._known_peer()
        elif len(title) != TITLE_SIZE or title == self._title:
            problem = f"{title[:16].hex()} cannot be the peer's system title"
            raise SecurityError(_DOING, problem).showing(Symptom.OTHER_TITLE)
        elif self.peer is not None and title != self.peer:
            problem = f"sent by {title.hex()} instead of {self.peer.hex()}"
            raise SecurityError(_DOING, problem).showing(Symptom.OTHER_TITLE)
        return title, _only_content(apdu, at)

    def _known_peer(self) -> bytes:
        if self.peer is None:
            problem = "the meter's system title is unknown"
            raise SecurityError(_DOING, problem).showing(Symptom.NO_TITLE)
        return self.peer

    def _unseal(
        self, kind: str, title: bytes, sealed: bytes, least: int, inner: int | None = None
    ) -> bytes:
        """Return the deciphered APDU; `inner` is the tag that it must have, if known."""
        if (keys := self._keys.get(kind)) is None:
            raise SecurityError(_DOING, f"ciphered with a {kind} key that was not agreed upon")
        control, number, plain = unsealed = keys.unseal(title, sealed, least)
        if inner is None and plain[:1] in _UNASKED:
            return plain  # no answer: its counter and sender are not those of answers
        kept = self._is_kept(kind, control)
        self._check_counter(kind, title, unsealed, kept=kept)
        if inner is not None and (not plain or plain[0] != inner):
            # Without authentication only this check detects noise, whose counter is not valid.
            raise SecurityError(_DOING, f"it covers no APDU with the tag {inner:02X}")
        if kept:
            self._counter.hear(title, number, opening=self._opening)
            self._opening = False
        self._passing_heard[kind] = max(number, self._passing_heard[kind])
        self.peer = title
        self._counter.confirm()
        return plain

    def _is_kept(self, kind: str, control: int) -> bool:
        """Whether the counter also counts for later associations."""
        lasting = kind == GLOBAL or self._lasting
        return lasting and not self._fresh and bool(control & AUTHENTICATED)

    def _check_counter(self, kind: str, title: bytes, unsealed: Unsealed, *, kept: bool) -> None:
        number, last = unsealed.counter, self._passing_heard[kind]
        if kept:
            last = max(last, self._counter.heard(title))
        authenticated = bool(unsealed.control & AUTHENTICATED)
        if number <= last:
            back = Symptom.COUNTER_SAME if number == last else Symptom.COUNTER_BACK
            symptom = back if authenticated else Symptom.COUNTER_UNPROVEN
            raise _incredible(RepeatedError, f"{number} after {last}: a repeated reply", symptom)
        if not authenticated and 0 <= last < number - _LARGEST_LEAP:
            problem = f"{number} after {last}: too far ahead"
            raise _incredible(SecurityError, problem, Symptom.COUNTER_UNPROVEN)


def _incredible(kind: type[SecurityError], problem: str, symptom: Symptom) -> SecurityError:
    return kind(_DOING, f"invocation counter {problem}").showing(symptom)


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
