"""AES-GCM as DLMS uses it (security suites 0, 1 and 2): 12 octets of IV and of tag.

The primitive is the `cryptography` package's; what goes into it is written from the standard.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

AUTHENTICATED, ENCRYPTED = 0x10, 0x20
_TAG = 12


class ForgedError(Exception):
    """A ciphered APDU whose tag is wrong."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one direction: who sends (its title is in the IV) and with what."""

    title: bytes
    encryption: bytes
    authentication: bytes

    def seal(self, control: int, counter: int, plain: bytes) -> bytes:
        """Return cipher text and tag as the security control octet wants them."""
        iv = self.title + counter.to_bytes(4, "big")
        encryptor = Cipher(algorithms.AES(self.encryption), modes.GCM(iv)).encryptor()
        head = bytes((control,)) + self.authentication
        if not control & ENCRYPTED:
            encryptor.authenticate_additional_data(head + plain)
            encryptor.finalize()
            return plain + encryptor.tag[:_TAG]
        if not control & AUTHENTICATED:
            return encryptor.update(plain) + encryptor.finalize()
        encryptor.authenticate_additional_data(head)
        sealed = encryptor.update(plain) + encryptor.finalize()
        return sealed + encryptor.tag[:_TAG]

    def open(self, control: int, counter: int, sealed: bytes) -> bytes:
        """Return the plain text; raises ForgedError."""
        iv = self.title + counter.to_bytes(4, "big")
        if not control & AUTHENTICATED:
            return (
                Cipher(algorithms.AES(self.encryption), modes.CTR(_first_block(iv)))
                .decryptor()
                .update(sealed)
            )
        body, tag = sealed[:-_TAG], sealed[-_TAG:]
        if len(tag) < _TAG:
            raise ForgedError
        mode = modes.GCM(iv, tag, min_tag_length=_TAG)
        decryptor = Cipher(algorithms.AES(self.encryption), mode).decryptor()
        head = bytes((control,)) + self.authentication
        encrypted = bool(control & ENCRYPTED)
        decryptor.authenticate_additional_data(head if encrypted else head + body)
        try:
            plain = (decryptor.update(body) if encrypted else b"") + decryptor.finalize()
        except InvalidTag:
            raise ForgedError from None
        return plain if encrypted else body


def _first_block(iv: bytes) -> bytes:
    """Return the counter block of GCM's first block of text: with no tag it is plain CTR."""
    return iv + (2).to_bytes(4, "big")
