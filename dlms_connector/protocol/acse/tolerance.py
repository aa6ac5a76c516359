"""Reads an AARE whose lengths are wrong, that is cut, or that has octets behind its end.

The strict parsers come first. What they refuse is read by its literal octets: the names, the
integers and the InitiateResponse of an AARE have a fixed form, so that a length that is wrong
by one says nothing that the octets do not say. What has no fixed form must end where another
field begins. Anything else stays refused.
"""

from __future__ import annotations

import re

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.acse.acse import Aare
from dlms_connector.protocol.acse.conformance import decode_conformance
from dlms_connector.protocol.acse.initiate import LN_NAME, InitiateResponse
from dlms_connector.protocol.data.ber import decode_length, encode_length

AARE_QUIRK = "sends an AARE with wrong lengths, or with octets behind its end"
SEALED_QUIRK = "ciphers the InitiateResponse with a wrong length before it"
CUT_QUIRK = "sends an InitiateResponse that is cut short"
SURPLUS_QUIRK = "sends octets behind the InitiateResponse"

#: A length in BER, whatever it says.
_LENGTH = rb"(?:\x81.|\x82..|\x83...|\x84....|[\x00-\x80])"
_DLMS_UA = rb"\x60\x85\x74\x05\x08"
_INTEGER = rb"[\x02\x0a][\x00-\x02](.)"

_AARE = re.compile(rb"\x61" + _LENGTH, re.DOTALL)
_CONTEXT, _RESULT, _DIAGNOSTIC, _TITLE = 0xA1, 0xA2, 0xA3, 0xA4
_USED, _MECHANISM, _CHALLENGE, _INFORMATION = 0x88, 0x89, 0xAA, 0xBE

#: The fields of an AARE by their octets, with their content as groups.
_FIELDS = {
    tag: re.compile(bytes((tag,)) + _LENGTH + form, re.DOTALL)
    for tag, form in {
        _CONTEXT: rb"\x06[\x06-\x08]" + _DLMS_UA + rb"\x01(.)",
        _RESULT: _INTEGER,
        _DIAGNOSTIC: rb"([\xa1\xa2])" + _LENGTH + _INTEGER,
        _TITLE: rb"\x04" + _LENGTH + rb"(.{8})",
        _USED: rb"\x07?\x80",
        _MECHANISM: _DLMS_UA + rb"\x02(.)",
        _CHALLENGE: rb"\x80(.)",
        _INFORMATION: rb"(?:\x04" + _LENGTH + rb")?(.*)",
    }.items()
}
#: The end of a content of indefinite length.
_END_OF_CONTENT = b"\0\0"
_OTHER_FIELD = re.compile(rb"[\x80-\xbe][\x00-\x7f]")

_INITIATE = re.compile(
    rb"\x08(?:\x00|\x01.)?([\x06-\x0f])\x5f\x1f?([\x03-\x05])\x00(...)(.*)", re.DOTALL
)
_AFTER_CONFORMANCE = 4
#: Where the meter's largest PDU is cut off: no meter takes less than this.
_CAUTIOUS_PDU = 128

_SERVICE_ERROR = b"\x0e"
_SEALED = re.compile(rb"([\x28\x48]|\xdb\x08.{8})(" + _LENGTH + rb")(.+)", re.DOTALL)
_CONTROL_AND_COUNTER, _TAG_SIZE, _INITIATE_SIZE, _AUTHENTICATED = 5, 12, 14, 0x10


def read_aare(apdu: bytes) -> tuple[Aare, str]:
    """Return an AARE, and a quirk if it is not as the standard has it. Raises ProtocolError."""
    try:
        return Aare.parse(apdu), ""
    except ProtocolError:
        fields = _fields(apdu)
        if fields is None:
            raise
        return _aare(fields), AARE_QUIRK


def read_initiate_response(plain: bytes) -> tuple[InitiateResponse, str]:
    """Return an InitiateResponse, and a quirk if it is cut or too long. Raises ProtocolError."""
    try:
        return InitiateResponse.parse(plain), ""
    except ProtocolError:
        match = _INITIATE.match(plain)
        if match is None:
            raise
        version, length, services, rest = match.groups()
        if length != b"\x04" and len(rest) != _AFTER_CONFORMANCE:
            raise
    size = int.from_bytes(rest[:2], "big") if len(rest) > 1 else _CAUTIOUS_PDU
    name = int.from_bytes(rest[2:4], "big") if len(rest) > 3 else LN_NAME
    quirk = CUT_QUIRK if len(rest) < _AFTER_CONFORMANCE else SURPLUS_QUIRK
    return InitiateResponse(decode_conformance(services), size, name, version[0]), quirk


def mend_sealed(information: bytes) -> tuple[bytes, str]:
    """Return ciphered user-information with the right length, and a quirk if it was wrong.

    The length is that of an InitiateResponse, or else of what is there. If it is still wrong,
    deciphering fails.
    """
    match = _SEALED.fullmatch(information)
    if match is None:
        return information, ""
    head, length, sealed = match.groups()
    usual = _CONTROL_AND_COUNTER + _INITIATE_SIZE
    usual += _TAG_SIZE if sealed[0] & _AUTHENTICATED else 0
    if _told(length) == len(sealed):
        return information, ""
    near = len(length) == 1 and abs(length[0] - usual) <= 1 and len(sealed) >= usual
    whole = sealed[:usual] if near else sealed
    return head + encode_length(len(whole)) + whole, SEALED_QUIRK


def _told(length: bytes) -> int | None:
    """Return what a length says; None if it says nothing, or more than any APDU has."""
    try:
        return decode_length(length, 0, "")[0]
    except ProtocolError:
        return None


def _fields(apdu: bytes) -> dict[int, tuple[bytes, ...]] | None:
    """Return the content of the known fields by tag; None if their meaning is not certain."""
    begin = _AARE.match(apdu)
    if begin is None:
        return None
    fields: dict[int, tuple[bytes, ...]] = {}
    at, last = begin.end(), -1
    while at < len(apdu) and (apdu[at] & 0x1F > last or apdu[at : at + 2] == _END_OF_CONTENT):
        if apdu[at : at + 2] == _END_OF_CONTENT:
            at += 2
            continue
        tag, form = apdu[at], _FIELDS.get(apdu[at])
        if form is None:
            if not _OTHER_FIELD.match(apdu, at):
                break  # octets behind the end
            at += 2 + apdu[at + 1]
        else:
            content = _content(apdu, tag, form.match(apdu, at))
            if content is None:
                return None
            fields[tag], at = content
        last = tag & 0x1F
    return fields if _RESULT in fields else None


def _content(
    apdu: bytes, tag: int, found: re.Match[bytes] | None
) -> tuple[tuple[bytes, ...], int] | None:
    """Return a field's content and its end; None if where it ends is not certain."""
    if found is None or (tag == _TITLE and not _ends(apdu, found.end(), tag)):
        return None
    if tag != _CHALLENGE:
        return found.groups(), found.end()
    told = found.group(1)[0]
    for size in (told, told + 1, told - 1):
        if _ends(apdu, end := found.end() + size, tag):
            return (apdu[found.end() : end],), end
    return None


def _ends(apdu: bytes, at: int, tag: int) -> bool:
    """Whether a field can end here: another one begins, or the APDU ends."""
    if at >= len(apdu):
        return at == len(apdu)
    form = _FIELDS.get(apdu[at])
    follows = form is not None and apdu[at] & 0x1F > tag & 0x1F and form.match(apdu, at)
    return bool(follows) or apdu[at : at + 2] == _END_OF_CONTENT


def _aare(fields: dict[int, tuple[bytes, ...]]) -> Aare:
    source, diagnostic = fields.get(_DIAGNOSTIC, (b"\xa1", b"\x00"))
    context, mechanism = fields.get(_CONTEXT), fields.get(_MECHANISM)
    information = fields.get(_INFORMATION)
    return Aare(
        context=context[0][0] if context else None,
        result=fields[_RESULT][0][0],
        diagnostic=diagnostic[0],
        by_provider=source == b"\xa2",
        title=fields.get(_TITLE, (None,))[0],
        mechanism=mechanism[0][0] if mechanism else None,
        challenge=fields.get(_CHALLENGE, (None,))[0],
        user_information=_whole(information[0]) if information else None,
    )


def _whole(information: bytes) -> bytes:
    """Return user-information without octets behind it, where its end is known."""
    return information[:4] if information[:1] == _SERVICE_ERROR else information
