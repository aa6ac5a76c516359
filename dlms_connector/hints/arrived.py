"""What octets that made no frame look like: facts for the table, from the octets alone."""

from __future__ import annotations

from typing import Literal

from dlms_connector.hints.symptom import Symptom

Framing = Literal["HDLC", "WRAPPER"]

_FLAG = 0x7E
_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")
#: The share of a text that is printable: of random octets a third is.
_SHARE_OF_TEXT = 0.85
_LEAST_TEXT = 3
_LEAST_HEADER, _WRAPPER_HEADER = 4, 8
#: An APDU over the wrapper is shorter than this where it begins what was asked for.
_LARGEST_WRAPPED = 0x4000


def looks_like(
    octets: bytes, framing: Framing, sent: bytes = b"", size: int | None = None
) -> Symptom:
    """Return what octets are that came instead of an answer, in a link with this framing.

    `octets` are what arrived, or its beginning if `size` octets did; `sent` is what was sent last.
    """
    rest = _without_echo(octets, sent)
    if not rest:
        return Symptom.ECHO if octets else Symptom.SILENCE
    if _is_text(rest):
        return Symptom.IDENTIFICATION if _identifies(rest) else Symptom.TEXT
    if _is_text_with_parity(rest):
        return Symptom.PARITY
    if framing == "WRAPPER":
        return Symptom.LOOKS_LIKE_HDLC if _begins_hdlc(rest) else Symptom.NO_FRAME
    if _begins_wrapper(rest):
        return Symptom.LOOKS_LIKE_WRAPPER
    return _of_hdlc(rest, max(0, (size or 0) - len(octets)))


def _without_echo(octets: bytes, sent: bytes) -> bytes:
    return octets.replace(sent, b"") if sent else octets


def _is_text(octets: bytes) -> bool:
    printable = sum(octet in _PRINTABLE for octet in octets)
    return len(octets) >= _LEAST_TEXT and printable >= _SHARE_OF_TEXT * len(octets)


def _identifies(text: bytes) -> bool:
    start = text.find(b"/")
    return start >= 0 and text[start + 1 : start + 4].isalpha()


def _is_text_with_parity(octets: bytes) -> bool:
    """Whether these are characters of 7 bits with even parity in bit 7."""
    even = all(octet.bit_count() % 2 == 0 for octet in octets)
    return even and _is_text(bytes(octet & 0x7F for octet in octets))


def _begins_hdlc(octets: bytes) -> bool:
    return octets[0] == _FLAG and (len(octets) == 1 or octets[1] & 0xF0 == 0xA0)


def _begins_wrapper(octets: bytes) -> bool:
    if len(octets) < _LEAST_HEADER or octets[:2] != b"\x00\x01":
        return False
    return len(octets) < _WRAPPER_HEADER or (
        0 < int.from_bytes(octets[6:8], "big") < _LARGEST_WRAPPED
    )


def _of_hdlc(octets: bytes, more: int) -> Symptom:
    start = octets.find(_FLAG)
    frame = octets[start:].lstrip(b"\x7e") if start >= 0 else b""
    if len(frame) < 2:
        return Symptom.NO_FRAME
    if frame[0] & 0xF0 == 0x20 and all(octet < 0x80 for octet in octets):
        return Symptom.SEVEN_BITS
    if frame[0] & 0xF0 != 0xA0:
        return Symptom.NO_FRAME
    length = (frame[0] & 7) << 8 | frame[1]
    begun = len(frame) + more <= length and _FLAG not in frame
    return Symptom.CUT_SHORT if begun else Symptom.DAMAGED
