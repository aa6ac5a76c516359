"""AES-GCM of DLMS (security suites 0, 1 and 2): the IV and the tag have 12 octets each.

The cipher is from the `cryptography` package. Its inputs are built according to the standard.
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
    """The keys of one direction; `title` is the sender's system title, a part of the IV."""

    title: bytes
    encryption: bytes
    authentication: bytes

    def seal(self, control: int, counter: int, plain: bytes) -> bytes:
        """Return the protected text and the tag, as the security control octet requires."""
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
    """Return GCM's counter block for the first text block: without a tag, GCM is plain CTR."""
    return iv + (2).to_bytes(4, "big")
