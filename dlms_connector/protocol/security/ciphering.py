"""AES-GCM as DLMS uses it: security control, invocation counter, content, tag of 12 octets.

The nonce is the sender's system title and its invocation counter, so a counter value
must never be used twice with one key. `InvocationCounter` ensures this (Green Book,
IEC 62056-5-3, security suites 0, 1 and 2).
"""

from __future__ import annotations

from functools import lru_cache
from hmac import compare_digest
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from dlms_connector.errors import ConfigError, ProtocolError, SecurityError
from dlms_connector.hints import Symptom

#: Bits of the security control octet; its low four bits are the security suite.
AUTHENTICATED, ENCRYPTED, BROADCAST_KEY, COMPRESSED = 0x10, 0x20, 0x40, 0x80
SUITE = 0x0F

#: Security control bits, by the names in the configuration.
PROTECTIONS = {
    "NONE": 0,
    "AUTHENTICATION": AUTHENTICATED,
    "ENCRYPTION": ENCRYPTED,
    "AUTHENTICATION_ENCRYPTION": AUTHENTICATED | ENCRYPTED,
}

TAG_SIZE = 12
#: Octets of the tag before it is cut to those.
_WHOLE_TAG = 16
TITLE_SIZE = 8

#: Octets of a key, by suite.
KEY_SIZES = {0: 16, 1: 16, 2: 32}

#: Keys that are kept ready to cipher with: those of the meters that are talked with at present.
_MOST_READY = 256

_HEADER_SIZE = 5
_DOING = "deciphering"


class InvocationCounter(Protocol):
    """Gives out invocation counter values, each only once in the life of a key.

    It outlives associations, so it also keeps the last value of the other side.
    """

    def heard(self, title: bytes) -> int:
        """Return the highest value that the other side used with the key; -1 before the first."""
        ...

    def hear(self, title: bytes, number: int, *, opening: bool) -> None:
        """Note a value of the other side; `opening` marks the first of an association."""
        ...

    def next(self) -> int:
        """Return the next value, unused even after a crash. Raises RefusedError if none is left."""
        ...

    def resync(self, value: int) -> None:
        """Continue from `value`, which the meter expects, if it is higher.

        Raises RefusedError on a second call, if nothing succeeded in between.
        """
        ...

    def confirm(self) -> None:
        """Note that the meter accepted a value: `resync` is allowed again."""
        ...


class CountUp:
    """A counter that is not stored: for the meter's side, and for a single run."""

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._heard: dict[bytes, int] = {}

    def heard(self, title: bytes) -> int:
        """Return the highest value of the other side."""
        return self._heard.get(title, -1)

    def hear(self, title: bytes, number: int, *, opening: bool) -> None:
        """Note a value of the other side."""
        self._heard[title] = number

    def next(self) -> int:
        """Return the next value."""
        self._next += 1
        return self._next - 1

    def resync(self, value: int) -> None:
        """Continue from `value` if it is higher."""
        self._next = max(self._next, value)

    def confirm(self) -> None:
        """Do nothing."""


@lru_cache(maxsize=_MOST_READY)
def _aead(block: bytes) -> AESGCM:
    """Return what ciphers with a key: 2.8 kB in OpenSSL, made anew in 2 µs."""
    return AESGCM(block)


class Unsealed(NamedTuple):
    """A deciphered APDU, with its security control and invocation counter."""

    control: int
    counter: int
    plain: bytes


class Keys:
    """The keys of one security suite; they are never shown."""

    __slots__ = ("_authentication", "_block", "_foreign", "suite")

    def __init__(
        self, suite: int, block: bytes, authentication: bytes = b"", *, broadcast: bool = False
    ) -> None:
        """Take the keys; for encryption only, `authentication` is empty. Raises ConfigError.

        `broadcast` says that `block` is the key for all meters, and may be used as such.
        """
        size = KEY_SIZES[suite]
        problems = [
            f"dlms.{name}: suite {suite} takes a key of {size} bytes, not {len(key)}"
            for name, key in (("blockCipherKey", block), ("authenticationKey", authentication))
            if len(key) != size and not (key is authentication and not key)
        ]
        if problems:
            raise ConfigError(*problems)
        self.suite = suite
        self._block = bytes(block)
        self._authentication = bytes(authentication)
        self._foreign = COMPRESSED if broadcast else COMPRESSED | BROADCAST_KEY

    def __repr__(self) -> str:
        return f"<keys of suite {self.suite}>"

    def seal(
        self, protection: int, title: bytes, counter: int, plain: bytes, context: bytes = b""
    ) -> bytes:
        """Protect an APDU sent by `title`.

        `context` is the data that general-ciphering authenticates besides the content.
        """
        header = bytes([protection | self.suite]) + counter.to_bytes(4, "big")
        nonce = title + header[1:]
        if protection == ENCRYPTED:
            return header + self._keystream(nonce, plain)
        aad = header[:1] + self._authentication + context
        if protection & ENCRYPTED:
            return header + _aead(self._block).encrypt(nonce, plain, aad)[: TAG_SIZE - _WHOLE_TAG]
        return header + plain + self.gmac(nonce, aad + plain)

    def unseal(self, title: bytes, sealed: bytes, least: int, context: bytes = b"") -> Unsealed:
        """Verify and decipher an APDU sent by `title`, with `least` as minimum protection.

        The caller must compare the counter with earlier ones. Raises SecurityError, and
        ProtocolError if the APDU is too short.
        """
        if len(sealed) < _HEADER_SIZE:
            raise ProtocolError(_DOING, f"{len(sealed)} octets are too few")
        control, number = sealed[0], sealed[1:_HEADER_SIZE]
        self._check(control, least)
        nonce = title + number
        if control & AUTHENTICATED:
            if len(sealed) < _HEADER_SIZE + TAG_SIZE:
                raise SecurityError(_DOING, "the tag is cut short")
            aad = sealed[:1] + self._authentication + context
            content, tag = sealed[_HEADER_SIZE:-TAG_SIZE], sealed[-TAG_SIZE:]
            plain = self._verified(control, nonce, content, tag, aad)
        else:
            plain = self._keystream(nonce, sealed[_HEADER_SIZE:])
        return Unsealed(control, int.from_bytes(number, "big"), plain)

    def gmac(self, nonce: bytes, aad: bytes) -> bytes:
        """Return the tag over data that is authenticated but not encrypted."""
        return _aead(self._block).encrypt(nonce, b"", aad)[:TAG_SIZE]

    def authenticate(self, title: bytes, counter: int, challenge: bytes) -> bytes:
        """Return security control, counter and tag over a challenge: HIGH_GMAC's answer."""
        header = bytes([AUTHENTICATED | self.suite]) + counter.to_bytes(4, "big")
        aad = header[:1] + self._authentication + challenge
        return header + self.gmac(title + header[1:], aad)

    def _check(self, control: int, least: int) -> None:
        """Raise SecurityError if the protection is not as agreed."""
        if control == least | self.suite and least & (AUTHENTICATED | ENCRYPTED):
            return  # exactly as agreed
        if control & SUITE != self.suite:
            problem = f"suite {control & SUITE} instead of {self.suite}"
            error = SecurityError(_DOING, problem)
            raise error.showing(Symptom.OTHER_SUITE, suite=control & SUITE)
        if control & self._foreign:
            raise SecurityError(_DOING, f"security control {control:02X}: not agreed upon")
        if control & least != least or not control & (AUTHENTICATED | ENCRYPTED):
            raise _too_weak(control)

    def _verified(
        self, control: int, nonce: bytes, content: bytes, tag: bytes, aad: bytes
    ) -> bytes:
        if not control & ENCRYPTED:
            if not compare_digest(self.gmac(nonce, aad + content), tag):
                raise SecurityError(_DOING, "the tag is wrong").showing(Symptom.WRONG_TAG)
            return content
        # AESGCM knows no tag of 12 octets, and a `Cipher` costs several times as much. The key
        # stream is the same in both directions: applied to the content it gives the plain text,
        # and applied to that the content again, with the tag that it must have.
        aead = _aead(self._block)
        plain = aead.encrypt(nonce, content, None)[:-_WHOLE_TAG]
        expected = aead.encrypt(nonce, plain, aad)[len(content) : TAG_SIZE - _WHOLE_TAG]
        if not compare_digest(expected, tag):
            raise SecurityError(_DOING, "the tag is wrong").showing(Symptom.WRONG_TAG)
        return plain

    def _keystream(self, nonce: bytes, content: bytes) -> bytes:
        # Encryption alone is GCM without its tag: counter mode that begins with block 2.
        return Cipher(AES(self._block), CTR(nonce + b"\0\0\0\2")).encryptor().update(content)


def _too_weak(control: int) -> SecurityError:
    error = SecurityError(_DOING, f"less protected than agreed (security {control:02X})")
    return error.showing(Symptom.WEAKER if control & AUTHENTICATED else Symptom.IN_CLEAR)
