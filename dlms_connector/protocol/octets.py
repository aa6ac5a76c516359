"""How octets that nobody expected are shown in a message: as text or in hexadecimal."""

from __future__ import annotations

#: Octets of an unexpected reply that a message shows, in hex and as text.
_SHOWN, _SHOWN_AS_TEXT = 16, 40
_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")
#: Part of an AARQ, which may hold a password: a line may send back what it heard.
_MECHANISM = b"\x60\x85\x74\x05\x08\x02"


def is_text(octets: bytes) -> bool:
    """Return whether octets are plain text: no APDU is."""
    return len(octets) > 2 and _PRINTABLE.issuperset(octets)


def is_mostly_text(octets: bytes, share: float = 0.75) -> bool:
    """Return whether at least this share of octets is printable."""
    return len(octets) > 2 and sum(octet in _PRINTABLE for octet in octets) >= share * len(octets)


def shown(octets: bytes) -> str:
    """Return the beginning of an unexpected reply for a message: as text if most is printable."""
    if _MECHANISM in octets:
        octets = octets[:8]
    text = octets[:_SHOWN_AS_TEXT]
    if is_mostly_text(text):
        return f"the text {bytes(text)!r}".replace(" b", " ", 1)
    return octets[:_SHOWN].hex(" ") or "nothing"
