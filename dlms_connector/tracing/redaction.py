"""What of APDUs and texts must not be seen: secrets, and what identifies a meter.

Secrets are passwords, keys, challenges and proofs of authentication: with a challenge and its
proof, passwords can be tried without the meter. A meter is identified by its serial number, system
title and logical device name. Encrypted parts stay as they are; what is only authenticated is not
encrypted.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from dlms_connector.config import Device
from dlms_connector.tracing.apdus import CIPHERED, Named, objects_of
from dlms_connector.tracing.fillers import (
    FILLER,
    UnclearError,
    fill,
    fill_ber,
    fill_data,
    is_plain,
    length,
)

#: Attributes that hold secrets or names, by class; None means all but the logical name.
_ATTRIBUTES: dict[int, frozenset[int] | None] = {
    12: frozenset({5}),  # association with short names: secret
    15: frozenset({7}),  # association: secret
    17: None,  # SAP assignment: logical device names
    28: None,  # auto answer: callers
    29: None,  # auto connect: destinations
    44: None,  # PPP setup: user and password
    45: None,  # GPRS modem: APN and PIN
    64: frozenset({4, 5, 6}),  # security setup: system titles, certificates
    72: frozenset({6}),  # M-Bus client: identification number
    100: frozenset({7}),  # NTP setup: password
}
#: Their methods take keys and proofs, and what is written to them may be such.
_KEY_HOLDERS = frozenset({12, 15, 44, 45, 64, 72, 100, 111})
#: Serial numbers, device ids, logical device names (IEC 62056-6-1).
_IDENTITIES = re.compile(rb".(?:.\x60\x01.|.\x2a\x00\x00|.\x00\x00.).", re.DOTALL)
_GET, _SET, _ACTION, _ACCESS = 0xC0, 0xC1, 0xC3, 0xD9
#: Of the security control octet; what follows it, with the invocation counter; and the tag.
_ENCRYPTED, _SECURITY_HEADER, _TAG_SIZE = 0x20, 5, 12
#: APDUs within APDUs: signed, ciphered, and the service itself.
_MOST_WITHIN = 4
#: Titles, qualifiers (which may be certificates) and authentication values of ACSE APDUs.
_ACSE = {
    0x60: frozenset({0xA2, 0xA3, 0xA6, 0xA7, 0xAC}),
    0x61: frozenset({0xA4, 0xA5, 0xAA, 0xAC}),
    0x62: frozenset[int](),
    0x63: frozenset[int](),
}
#: A line of a readout whose value is an identity (IEC 62056-21 and 62056-6-1), or a password.
_TEXT_VALUE = re.compile(
    rb"(?:(?:C\.1|0\.0|96\.1)\.[0-9A-F]{1,3}(?:[*.][0-9]+)?|42\.0\.0(?:[*.][0-9]+)?|\x01P[0-9]\x02)"
    rb"\(([^)]*)\)"
)
#: Shorter values are found everywhere by chance.
_LEAST = 6
_LEAST_SECRET = 4
_MOST_KNOWN = 64


def keys_of(device: Device) -> list[bytes]:
    """Return the keys that the configuration of a device holds; they are in no trace at all."""
    names = (name for name in type(device.dlms).model_fields if name.endswith("_key"))
    values = (getattr(device.dlms, name) for name in names)
    return [bytes(value) for value in values if isinstance(value, bytes)]


def secrets_of(device: Device) -> list[bytes]:
    """Return the passwords, keys and identities that the configuration of a device holds."""
    dlms = device.dlms
    values = [getattr(dlms, name) for name in type(dlms).model_fields]
    found = [bytes(value) for value in values if isinstance(value, bytes)]
    if dlms.serial_number is not None:
        found.append(str(dlms.serial_number).encode())
    return found


class Redactor:
    """Redacts one conversation; give it the APDUs of both directions in their order.

    With `everything`, only the values of `secrets` are replaced.
    """

    def __init__(self, secrets: Iterable[bytes] = (), *, everything: bool = False) -> None:
        self._everything = everything
        self._known: set[bytes] = set()
        for secret in secrets:
            if len(secret) >= _LEAST_SECRET:
                self._know(secret)
        #: What the last request asked for may be shown; None if there was none, or an unclear one.
        self._open: bool | None = None
        #: For each object of the last request, whether it must not be seen.
        self._closed: list[bool] = []
        #: How many APDUs the one that is redacted is within, and itself.
        self._within = 0

    def apdu(self, apdu: bytes) -> bytes:
        """Return an APDU of the same length."""
        octets = bytearray(apdu)
        if octets and not self._everything:
            self._within += 1
            try:
                self._apply(octets, apdu[0])
            except (UnclearError, IndexError):
                fill(octets, min(3, len(octets)))
            finally:
                self._within -= 1
        return self._masked(bytes(octets))

    def text(self, line: bytes) -> bytes:
        """Return a line of text, maybe with parity bits."""
        plain = bytes(octet & 0x7F for octet in line)
        parts = [] if self._everything else [found.span(1) for found in _TEXT_VALUE.finditer(plain)]
        if not parts:
            return self._masked(line) if self._masked(plain) == plain else self._masked(plain)
        octets = bytearray(line)
        for start, end in parts:
            self._learn(plain[start:end])
            fill(octets, start, end)
        return self._masked(bytes(octets))

    def unclear(self, octets: bytes, keep: int = 8) -> bytes:
        """Return octets of which nothing is known but their beginning."""
        filled = bytearray(octets)
        if not self._everything:
            fill(filled, keep)
        return self._masked(bytes(filled))

    # By kind of APDU

    def _apply(self, octets: bytearray, tag: int) -> None:
        if self._within > _MOST_WITHIN:
            raise UnclearError
        if 0x60 <= tag <= 0x63:
            self._acse(octets, tag)
        elif tag in (0x01, 0x08):
            _initiate(octets, 0, len(octets))
        elif tag in (_GET, _SET, _ACTION, _ACCESS):
            self._request(octets, tag)
        elif tag in (0xC4, 0xC5, 0xC7, 0xDA):
            if not self._open:
                self._response(octets, tag)
        elif tag in (0x05, 0x06, 0x16):
            self._open, self._closed = None, []
            _fill_parameters(octets, tag)
        elif tag in (0x0C, 0x18):
            self._short_names(octets, tag)
        elif tag in (0x0F, 0xC2):
            self._notification(octets, tag)
        elif tag in (0xDB, 0xDC):
            self._sealed(octets, self._title(octets, 1))
        elif tag in (0xDD, 0xDF):
            self._general(octets, tag)
        elif tag == 0xE0:
            _, at = length(octets, 6)
            fill(octets, at)
        elif tag in CIPHERED:
            self._sealed(octets, 1)
        elif tag not in (0x0D, 0x0E, 0x10, 0xD8):
            fill(octets, 1)

    def _request(self, octets: bytearray, tag: int) -> None:
        kind = octets[1]
        goes_on = (tag == _GET and kind == 2) or (tag == _ACTION and kind == 2)
        if goes_on:
            return
        named = objects_of(bytes(octets))
        if tag in (_SET, _ACTION) and kind == (3 if tag == _SET else 6):  # a further block
            if self._open is not True:
                fill(octets, 3)
            return
        self._closed = [_is_closed(tag, one) for one in named]
        self._open = bool(named) and not any(self._closed)
        if not self._open and tag != _GET:
            last = named[-1].end if named else 3
            if kind == 1 and named and tag in (_SET, _ACTION):
                try:
                    fill_data(octets, last + 1, integers=True)  # after the selection
                except UnclearError:
                    fill(octets, last + 1)
            else:
                fill(octets, last)

    def _response(self, octets: bytearray, tag: int) -> None:
        kind = octets[1]
        if tag == 0xC5 or kind == 4:
            return
        starts = {(0xC4, 1): 3, (0xC7, 1): 4}
        start = starts.get((tag, kind))
        if start is not None:
            if tag == 0xC7 and not any(octets[4:5]):
                return
            choice = start + (tag == 0xC7)
            if octets[choice] == 0:
                fill_data(octets, choice + 1, integers=True, spare=is_plain, seen=self._learn)
            return
        if tag == 0xC4 and kind == 3:
            count, at = length(octets, 3)
            closed = self._closed if len(self._closed) == count else [True] * count
            for hides in closed:
                if octets[at] == 1:
                    at += 2
                elif hides:
                    at = fill_data(
                        octets, at + 1, integers=True, spare=is_plain, seen=self._learn
                    )  # fmt: skip
                else:
                    at = fill_data(octets, at + 1, integers=False, spare=_shows)
        elif tag == 0xC4 and kind == 2 and octets[8] == 0:
            _, at = length(octets, 9)
            fill(octets, at)
        elif (tag, kind) != (0xC4, 2):
            fill(octets, 3)

    def _short_names(self, octets: bytearray, tag: int) -> None:
        """Fill strings: nothing says which object a short name belongs to."""
        if tag == 0x18:
            fill(octets, 1)
            return
        count, at = length(octets, 1)
        for _ in range(count):
            choice, at = octets[at], at + 1
            if choice == 0:
                at = fill_data(octets, at, integers=False, spare=is_plain)
            elif choice == 2:  # a block
                _, at = length(octets, at + 3)
                fill(octets, at)
                return
            else:
                at += 1

    def _notification(self, octets: bytearray, tag: int) -> None:
        if tag == 0x0F:
            size, at = length(octets, 5)
            fill_data(octets, at + size, integers=False, spare=is_plain, seen=self._learn)
            return
        at = 2 if octets[1] == 0 else 2 + 1 + octets[2]
        fill_data(octets, at + 9, integers=False, spare=is_plain)

    def _title(self, octets: bytearray, at: int) -> int:
        size, start = length(octets, at)
        self._learn(bytes(octets[start : start + size]))
        fill(octets, start, start + size)
        return start + size

    def _sealed(self, octets: bytearray, at: int) -> None:
        """Redact what is authenticated only."""
        size, at = length(octets, at)
        if octets[at] & _ENCRYPTED:
            self._open, self._closed = None, []
            return
        start, end = at + _SECURITY_HEADER, at + size - _TAG_SIZE
        octets[start:end] = self.apdu(bytes(octets[start:end]))

    def _general(self, octets: bytearray, tag: int) -> None:
        size, at = length(octets, 1)
        at += size  # the transaction
        at = self._title(octets, at)
        at = self._title(octets, at)
        for _ in range(2):  # date and time, other information
            size, at = length(octets, at)
            at += size
        if tag == 0xDD:
            if octets[at]:  # key information: the data that follow stay ciphered
                fill(octets, at + 1)
            return
        size, at = length(octets, at)
        octets[at : at + size] = self.apdu(bytes(octets[at : at + size]))

    def _acse(self, octets: bytearray, tag: int) -> None:
        size, at = length(octets, 1)

        def seen(tag: int, value: bytes) -> None:
            if tag in (0xA4, 0xA6):
                self._learn(value)

        self._open, self._closed = None, []
        fill_ber(octets, at, min(at + size, len(octets)), _ACSE[tag], seen, _initiate)

    # By value

    def _learn(self, value: bytes) -> None:
        new = len(value) >= _LEAST and not is_plain(value) and len(set(value)) > 1
        if new and len(self._known) < _MOST_KNOWN:
            self._know(value)

    def _know(self, value: bytes) -> None:
        self._known |= {
            value,
            value.hex().encode(),
            value.hex().upper().encode(),
            base64.b64encode(value),
        }

    def _masked(self, octets: bytes) -> bytes:
        for known in sorted(self._known, key=len, reverse=True):
            if known in octets:
                octets = octets.replace(known, bytes([FILLER]) * len(known))
        return octets


def _fill_parameters(octets: bytearray, tag: int) -> None:
    """Fill what a request by short names carries besides plain names: parameters may be proofs."""
    count, at = length(octets, 1)
    while count and octets[at] == 2:
        count, at = count - 1, at + 3
    if count or tag != 0x05:
        fill(octets, at)


def _shows(value: bytes) -> bool:
    return True


def _is_closed(tag: int, named: Named) -> bool:
    """Whether what a request asks for, or gives, must not be seen."""
    if tag != _GET and named.class_id in _KEY_HOLDERS:
        return True
    attributes = _ATTRIBUTES.get(named.class_id, frozenset())
    if named.index != 1 and (attributes is None or named.index in attributes):
        return True
    return named.index != 1 and bool(_IDENTITIES.fullmatch(named.obis))


def _initiate(octets: bytearray, start: int, end: int) -> None:
    """Fill the dedicated key of an InitiateRequest in clear."""
    if octets[start:start + 2] != b"\x01\x01":  # fmt: skip
        return
    size, at = length(octets, start + 2)
    fill(octets, at, min(at + size, end))
