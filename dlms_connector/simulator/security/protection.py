"""Ciphered APDUs as the meter reads and writes them: global, dedicated, general."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.simulator.encoding.data import MalformedError, Reader, length
from dlms_connector.simulator.encoding.exceptions import (
    COUNTER,
    DECIPHERING,
    NOT_ALLOWED,
    OTHER,
    exception,
)
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.security.ciphering import AUTHENTICATED, ENCRYPTED, ForgedError, Keys

GENERAL_GLOBAL, GENERAL_DEDICATED = 0xDB, 0xDC
_UNDECIPHERABLE = exception(NOT_ALLOWED, DECIPHERING)
_KEY_SET_AND_COMPRESSION = 0xC0
#: Tags of APDUs with global and with dedicated ciphering (IEC 62056-5-3): plain -> ciphered.
_GLOBAL = {
    **{0x01: 0x21, 0x05: 0x25, 0x06: 0x26, 0x08: 0x28, 0x0C: 0x2C, 0x0D: 0x2D, 0x0E: 0x2E},
    **{0xC0: 0xC8, 0xC1: 0xC9, 0xC3: 0xCB, 0xC4: 0xCC, 0xC5: 0xCD, 0xC7: 0xCF},
}
_DEDICATED = {
    **{0x05: 0x45, 0x06: 0x46, 0x0C: 0x4C, 0x0D: 0x4D, 0x0E: 0x4E},
    **{0xC0: 0xD0, 0xC1: 0xD1, 0xC3: 0xD3, 0xC4: 0xD4, 0xC5: 0xD5, 0xC7: 0xD7},
}
_BY_TAG = {tag: ("global", plain) for plain, tag in _GLOBAL.items()}
_BY_TAG |= {tag: ("dedicated", plain) for plain, tag in _DEDICATED.items()}
_STRENGTH = {
    "NONE": 0,
    "AUTHENTICATION": AUTHENTICATED,
    "ENCRYPTION": ENCRYPTED,
    "AUTHENTICATION_ENCRYPTION": AUTHENTICATED | ENCRYPTED,
}


def strength(meter: Meter) -> int:
    """Return the bits of the security control octet that the meter's security requires."""
    return _STRENGTH[meter.options.security]


class RejectedError(Exception):
    """A request without the required protection; `reply` is the ExceptionResponse to send."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply.hex())
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How a request was ciphered: its reply is ciphered the same way."""

    control: int
    dedicated: bool = False
    general: bool = False


class Protection:
    """The ciphering of one association."""

    def __init__(self, meter: Meter, client_title: bytes, dedicated_key: bytes = b"") -> None:
        options = meter.options
        self._meter = meter
        self._needed = strength(meter)
        self.client_title = client_title
        shared = options.block_cipher_key, options.authentication_key
        self._keys = {
            False: (Keys(client_title, *shared), Keys(options.title(), *shared)),
        }
        self._received_dedicated = -1
        self._sent_dedicated = -1
        if dedicated_key:
            self.use_dedicated(dedicated_key)

    def use_dedicated(self, key: bytes) -> None:
        """Set the dedicated key of the association, which was in the InitiateRequest."""
        options = self._meter.options
        if len(key) != len(options.block_cipher_key):
            raise MalformedError(f"a dedicated key of {len(key)} octets")
        titles = self.client_title, options.title()
        pair = (Keys(title, key, options.authentication_key) for title in titles)
        client, server = pair
        self._keys[True] = (client, server)

    def open(self, apdu: bytes) -> tuple[bytes, Wrapping | None]:
        """Return the plain APDU and how it was ciphered; raises RejectedError."""
        reader = Reader(apdu)
        tag = reader.number()
        if tag in (GENERAL_GLOBAL, GENERAL_DEDICATED):
            title = reader.string()
            if title and title != self.client_title:
                raise RejectedError(_UNDECIPHERABLE)
            dedicated, general, plain_tag = tag == GENERAL_DEDICATED, True, None
        elif tag in _BY_TAG:
            kind, plain_tag = _BY_TAG[tag]
            dedicated, general = kind == "dedicated", False
        elif self._needed:
            raise RejectedError(exception(NOT_ALLOWED, OTHER))
        else:
            return apdu, None
        body = Reader(reader.string())
        control, counter, sealed = body.number(), body.number(4), body.rest()
        plain = self._open(control, counter, sealed, dedicated)
        if plain_tag is not None and plain[:1] != bytes((plain_tag,)):
            raise RejectedError(_UNDECIPHERABLE)
        key = "dedicated" if dedicated else "global"
        self._meter.seen[f"general-{key}" if general else key] += 1
        return plain, Wrapping(control, dedicated, general)

    def _open(self, control: int, counter: int, sealed: bytes, dedicated: bool) -> bytes:
        wrong_suite = control & 0x0F != self._meter.options.security_suite
        too_weak = control & self._needed != self._needed
        if control & _KEY_SET_AND_COMPRESSION or wrong_suite or too_weak:
            raise RejectedError(_UNDECIPHERABLE)
        if dedicated not in self._keys:
            raise RejectedError(_UNDECIPHERABLE)
        try:
            plain = self._keys[dedicated][0].open(control, counter, sealed)
        except ForgedError:
            self._meter.seen["forged"] += 1
            raise RejectedError(_UNDECIPHERABLE) from None
        self._count(counter, dedicated)
        return plain

    def _count(self, counter: int, dedicated: bool) -> None:
        last = self._received_dedicated if dedicated else self._meter.received_counter
        if counter <= last:
            self._meter.seen["replayed"] += 1
            raise RejectedError(exception(NOT_ALLOWED, COUNTER, last + 1))
        if dedicated:
            self._received_dedicated = counter
        else:
            self._meter.received_counter = counter

    def seal(self, plain: bytes, wrapping: Wrapping) -> bytes:
        """Cipher a reply as its request was; only general ciphering covers an ExceptionResponse."""
        faults = self._meter.faults
        tags = _DEDICATED if wrapping.dedicated else _GLOBAL
        if "plain-replies" in faults or (not wrapping.general and plain[0] not in tags):
            return plain
        counter = self._next(wrapping.dedicated)
        keys = self._keys[wrapping.dedicated][1]
        sealed = keys.seal(wrapping.control, counter, plain)
        if "bad-tag" in faults:
            sealed = sealed[:-1] + bytes((sealed[-1] ^ 1,))
        body = bytes((wrapping.control,)) + counter.to_bytes(4, "big") + sealed
        content = length(len(body)) + body
        if wrapping.general:
            tag = GENERAL_DEDICATED if wrapping.dedicated else GENERAL_GLOBAL
            return bytes((tag, len(keys.title))) + keys.title + content
        return bytes((tags[plain[0]],)) + content

    def _next(self, dedicated: bool) -> int:
        if "replayed-counter" in self._meter.faults:
            return 1
        if dedicated:
            self._sent_dedicated += 1
            return self._sent_dedicated
        self._meter.sent_counter += 1
        return self._meter.sent_counter
