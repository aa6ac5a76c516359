"""Ciphered notifications: who sent one, and with which key (IEC 62056-5-3).

The tags are those of general-glo- and general-ded-ciphering, general-ciphering, and the ciphered
forms of EventNotification and InformationReport, which do not tell who sent them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.errors import ProtocolError, SecurityError
from dlms_connector.protocol.data.ber import decode_content
from dlms_connector.protocol.security import (
    BROADCAST_KEY,
    CIPHERED,
    DEDICATED,
    GENERAL_DED,
    GENERAL_GLO,
    GLOBAL,
    TITLE_SIZE,
    Keys,
    Unsealed,
)

GENERAL_CIPHERING = 0xDD
#: The key of general-ciphering was made for this message.
AGREED = "agreed"
#: The global broadcast key.
BROADCAST = "broadcast"

_DOING = "deciphering a notification"
#: EventNotification and InformationReport.
_SERVICES = {
    CIPHERED[kind][plain]: (kind, plain) for kind in (GLOBAL, DEDICATED) for plain in (0xC2, 0x18)
}
_GENERAL = {GENERAL_GLO: GLOBAL, GENERAL_DED: DEDICATED}
#: Fields of general-ciphering before the key: transaction-id, originator, recipient, date-time,
#: other-information.
_FIELDS = 5
_ORIGINATOR = 1
_IDENTIFIED, _BROADCAST_ID = 0, 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ciphered notification: the sender's `title` if it is told, and the `kind` of its key.

    `inner` is the tag that the plain APDU must have, if that is known; `context` is what is
    authenticated besides the content.
    """

    title: bytes | None
    kind: str
    sealed: bytes
    inner: int | None = None
    context: bytes = b""


def envelope(apdu: bytes) -> Envelope | None:
    """Return a ciphered notification as it came; None if it is not ciphered.

    Raises ProtocolError if it is malformed.
    """
    tag = apdu[0] if apdu else 0
    if tag in _SERVICES:
        kind, inner = _SERVICES[tag]
        return Envelope(None, kind, _last(apdu, 1), inner)
    if tag in _GENERAL:
        title, at = decode_content(apdu, 1, _DOING)
        sealed = _last(apdu, at)
        broadcast = bool(sealed and sealed[0] & BROADCAST_KEY)
        return Envelope(_title(title), BROADCAST if broadcast else _GENERAL[tag], sealed)
    return _general_ciphering(apdu) if tag == GENERAL_CIPHERING else None


def opened(found: Envelope, keys: Keys, title: bytes, least: int) -> Unsealed:
    """Verify and decipher it with the key of its kind, and `least` as minimum protection.

    The counter is the caller's to compare. Raises SecurityError and ProtocolError.
    """
    unsealed = keys.unseal(title, found.sealed, least, found.context)
    if found.inner is not None and unsealed.plain[:1] != bytes((found.inner,)):
        raise SecurityError(_DOING, f"it covers no APDU with the tag {found.inner:02X}")
    return unsealed


def _general_ciphering(apdu: bytes) -> Envelope:
    fields, at = [], 1
    for _ in range(_FIELDS):
        field, at = decode_content(apdu, at, _DOING)
        fields.append(field)
    context = apdu[1:at]
    kind, at = _key(apdu, at)
    return Envelope(_title(fields[_ORIGINATOR]), kind, _last(apdu, at), context=context)


def _key(apdu: bytes, at: int) -> tuple[str, int]:
    """Return the kind of key that general-ciphering names, and where that ends."""
    head = apdu[at : at + 3]
    if not head:
        raise ProtocolError(_DOING, "cut short before its key")
    if head[0] == 0:
        return GLOBAL, at + 1
    if len(head) == 3 and head[1] == _IDENTIFIED:
        return BROADCAST if head[2] == _BROADCAST_ID else GLOBAL, at + 3
    return AGREED, _after_agreed(apdu, at, head)


def _after_agreed(apdu: bytes, at: int, head: bytes) -> int:
    wrapped = len(head) == 3 and head[1] == 1
    at += 3 if wrapped else 2
    for _ in range(1 if wrapped else 2):
        _, at = decode_content(apdu, at, _DOING)
    return at


def _title(title: bytes) -> bytes | None:
    if not title:
        return None
    if len(title) != TITLE_SIZE:
        raise ProtocolError(_DOING, f"{title[:16].hex()} is no system title")
    return title


def _last(apdu: bytes, at: int) -> bytes:
    content, end = decode_content(apdu, at, _DOING)
    if end != len(apdu):
        raise ProtocolError(_DOING, f"{len(apdu) - end} octets too many")
    return content
